/** Certificates of each listener: for whom, for how long, and what could not be used. */
import { useAsk } from "../parts/api.js";
import { coarse, date } from "../parts/format.js";
import { html, useState } from "../parts/html.js";
import { Empty, Head, Missing, Scroll, State, When } from "../parts/states.js";

const SOON = 30;
const NAMES = 6;

export default function Certificates() {
  const asked = useAsk("/certificates", 15), listeners = asked.data?.items;
  return html`<${Head} title="Certificates" />${!listeners ? html`<${Missing} asked=${asked} what="certificates" />` : !listeners.length ? html`<div class="card"><${Empty} title="No certificates">No listener speaks TLS.<//></div>`
    : html`<div class="stack">${listeners.map((one) => html`<${Listener} key=${one.listener} one=${one} />`)}</div>`}`;
}

function Listener({ one }) {
  return html`<section class="card" aria-label=${`Certificates of ${one.listener}`}><header><h2>${one.listener}</h2><code class="dim">${one.place}</code><span class="end small faint">read <${When} at=${one.read_at} /></span></header>
    ${one.problems.length > 0 && html`<div class="pad"><div class="note warn"><strong>${one.is_kept ? "Nothing could be used; what was there before serves on." : "Some could not be used."}</strong><ul>${one.problems.map((text) => html`<li>${text}</li>`)}</ul></div></div>`}
    ${!one.certificates.length ? html`<${Empty} title="No certificate is served" />` : html`<${Scroll} label=${`Certificates of ${one.listener}`}><table><thead><tr><th scope="col">Hosts</th><th scope="col">State</th><th scope="col" class="num">Ends</th><th scope="col">Chain</th><th scope="col">File</th></tr></thead>
      <tbody>${[...one.certificates].sort((a, b) => a.days_left - b.days_left).map((each) => html`<${Certificate} key=${each.file} one=${each} />`)}</tbody></table><//>`}</section>`;
}

function Certificate({ one }) {
  const days = one.days_left, left = coarse(Math.abs(days) * 86400), state = days < 0 ? "failed" : days < SOON ? "warning" : "ok";
  const [isAll, setAll] = useState(false), names = isAll ? one.names : one.names.slice(0, NAMES);
  return html`<tr><th scope="row" class="text">${names.length ? names.join(", ") : one.subject}${names.length < one.names.length && html` <button type="button" class="link small" onClick=${() => setAll(true)}>and ${one.names.length - names.length} more</button>`}${one.is_default && html` <span class="tag" title="Shown to clients that ask for no host, or for one that none is for">default</span>`}${!one.is_used && html` <span class="tag warn">unused</span>`}</th>
    <td><${State} of=${state}>${days < 0 ? "expired" : days < SOON ? "ends soon" : "good"}<//></td><td class="num nowrap">${date(one.not_after)}<div class="small faint">${days < 0 ? `${left} ago` : `in ${left}`}</div></td>
    <td class="dim text">${[one.issuer, ...one.chain.slice(1)].join(" ← ")}<div class="small faint mono nowrap" title=${`SHA-256 ${one.fingerprint}\nSerial ${one.serial}`}>${one.fingerprint.slice(0, 16)}…</div></td><td><code class="small" title=${one.file}>${one.file.split("/").pop()}</code></td></tr>`;
}
