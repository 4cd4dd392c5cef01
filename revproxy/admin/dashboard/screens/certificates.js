/** Certificates: which names, for how long, and what could not be used. */
import { useAsk } from "../parts/api.js";
import { date, plural } from "../parts/format.js";
import { html } from "../parts/html.js";
import { Empty, Head, Missing, Scroll, State } from "../parts/states.js";

const DAY = 86400;

export default function Certificates() {
  const asked = useAsk("/certificates", 30), found = asked.data?.items ?? asked.data;
  return html`<${Head} title="Certificates" />${!found ? html`<${Missing} asked=${asked} what="certificates" />` : !found.length ? html`<div class="card"><${Empty} title="No certificates">No listener speaks TLS.<//></div>`
    : html`<section class="card"><${Scroll} label="Certificates"><table><thead><tr><th scope="col">Names</th><th scope="col">State</th><th scope="col" class="num">Ends</th><th scope="col">Issuer</th><th scope="col">Where</th><th scope="col" class="text">Problems</th></tr></thead><tbody>${found.map((one) => html`<${One} one=${one} />`)}</tbody></table><//></section>`}`;
}

function One({ one }) {
  const ends = one.not_after ?? one.expires, problems = [].concat(one.problems ?? one.problem ?? []).filter(Boolean), days = ends ? Math.floor((ends - Date.now() / 1000) / DAY) : null;
  const state = days == null ? "off" : days < 0 ? "failed" : days < 14 || problems.length ? "warning" : "ok";
  const names = one.names ?? [];
  return html`<tr><th scope="row" class="text">${names.length ? names.join(", ") : html`<span class="faint">no names</span>`}${one.is_used === false && html` <span class="tag">unused</span>`}${one.is_kept && html` <span class="tag warn">what was there before is served</span>`}</th>
    <td><${State} of=${state}>${days == null ? "unknown" : days < 0 ? "expired" : days < 14 ? "ends soon" : "good"}<//></td><td class="num nowrap">${date(ends)}<div class="small faint">${days == null ? "" : days < 0 ? `${plural(-days, "day")} ago` : plural(days, "day")}</div></td>
    <td class="dim">${one.issuer}</td><td class="dim"><div>${one.endpoint ?? one.listener}</div><code class="small">${one.file ?? one.path ?? one.place}</code></td><td class=${problems.length ? "is-warn" : ""}>${problems.map((text) => html`<div>▲ ${text}</div>`)}</td></tr>`;
}
