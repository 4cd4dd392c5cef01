/** Connections: who is connected, and what is under way on it. */
import { useAsk } from "../parts/api.js";
import { coarse, count } from "../parts/format.js";
import { html } from "../parts/html.js";
import { Empty, Head, Missing, Scroll, State } from "../parts/states.js";

export default function Connections() {
  const asked = useAsk("/connections", 3), answer = asked.data;
  const rows = answer?.items ?? [];
  return html`<${Head} title="Connections">${answer && html`<span class="dim">${count(answer.count)} open${answer.count > rows.length ? `, ${count(rows.length)} shown` : ""}</span>`}<//>
    ${!answer ? html`<${Missing} asked=${asked} what="connections" />` : !rows.length ? html`<div class="card"><${Empty} title="Nobody is connected" /></div>` : html`<section class="card"><${Scroll} label="Connections"><table>
      <thead><tr><th scope="col">Client</th><th scope="col" class="at-desk">Listener</th><th scope="col">Protocol</th><th scope="col">State</th><th scope="col">Route</th><th scope="col" class="num">Requests</th><th scope="col" class="num">Open for</th><th scope="col" class="num">Request for</th><th scope="col">Request</th></tr></thead>
      <tbody>${rows.map((one) => html`<tr><th scope="row">${one.peer || "unix"}</th><td class="dim at-desk">${one.listener}</td><td class="nowrap">${one.scheme} ${one.protocol}</td><td><${State} of=${one.state === "idle" ? "off" : one.state === "closing" ? "warning" : "up"}>${one.state}<//></td>
        <td>${one.route || html`<span class="faint">–</span>`}</td><td class="num">${count(one.requests)}</td><td class="num">${coarse(Math.max(0, Date.now() / 1000 - one.since))}</td>
        <td class="num">${one.request_at ? coarse(Math.max(0, Date.now() / 1000 - one.request_at)) : ""}</td><td class="mono small">${one.request_id}</td></tr>`)}</tbody></table><//></section>`}`;
}
