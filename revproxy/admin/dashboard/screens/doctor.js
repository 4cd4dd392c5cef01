/** Doctor: what is well with the edge and its machine, what is not, and what to do. */
import { useAsk } from "../parts/api.js";
import { Action } from "../parts/action.js";
import { html } from "../parts/html.js";
import { link } from "../parts/place.js";
import { Head, Missing, State } from "../parts/states.js";

const ORDER = ["failing", "warning", "ok"];
const PLACES = { upstreams: "upstreams", certificates: "certificates", plugins: "plugins", drift: "changes", alerts: "events", config: "configuration" };
/** Commands stand between backticks. */
const said = (text) => text.split("`").map((part, i) => i % 2 ? html`<code>${part}</code>` : part);

export default function Doctor() {
  const asked = useAsk("/doctor"), checks = [...(asked.data?.checks ?? [])].sort((a, b) => ORDER.indexOf(a.state) - ORDER.indexOf(b.state));
  const wrong = checks.filter((one) => one.state !== "ok").length;
  return html`<${Head} title="Doctor" text=${asked.data ? (wrong ? `${wrong} of ${checks.length} want looking at.` : `All ${checks.length} are well.`) : ""}><${Action} run=${asked.again}>Look again<//><//>
    ${!asked.data ? html`<${Missing} asked=${asked} what="how it is" />` : html`<ul class="card">${checks.map((one) => html`<li class="check-line"><${State} of=${one.state}>${PLACES[one.name] ? html`<a href=${link(PLACES[one.name])}>${one.name}</a>` : one.name}<//><div><div>${said(one.text)}</div>${one.state !== "ok" && one.advice && html`<div class="dim">${said(one.advice)}</div>`}</div></li>`)}</ul>`}`;
}
