/** Before a rollout begins: how long it would take by the traffic of the last hour, and what it cannot show. */
import { ask, query } from "./api.js";
import { told } from "./action.js";
import { confirm } from "./dialog.js";
import { endsBy, stepName } from "./evidence.js";
import { count, digest, duration, rate } from "./format.js";
import { html } from "./html.js";
import { go } from "./place.js";
import { Scroll } from "./states.js";

/** @param {{forecast: object}} props */
export function Forecast({ forecast }) {
  const cannot = [...new Set([...forecast.steps.flatMap((one) => one.cannot), ...forecast.cannot])];
  return html`<div class="stack-small"><p>${count(forecast.requests)} requests in the last hour, ${rate(forecast.rate)} a second; clients by ${forecast.by}.</p>
    <${Scroll} label="Steps"><table><thead><tr><th scope="col">Step</th><th scope="col">Ends well by</th><th scope="col" class="num">Takes about</th></tr></thead><tbody>${forecast.steps.map((one) => html`<tr><th scope="row" class="nowrap">${stepName(one)}</th><td class="dim">${one.text && html`<div>${one.text}</div>`}${endsBy(one, one.text) || (one.text ? "" : "–")}</td><td class="num">${duration(one.seconds)}</td></tr>`)}</tbody>
      <tfoot><tr><th scope="row" class="dim" colspan="2">All</th><td class="num dim">${forecast.seconds == null ? "nobody can say" : duration(forecast.seconds)}</td></tr></tfoot></table><//>
    ${cannot.length > 0 && html`<div class="note"><strong>It cannot show:</strong><ul>${cannot.map((text) => html`<li>${text}</li>`)}</ul></div>`}
    ${forecast.warnings.map((text) => html`<div class="note warn">${text}</div>`)}</div>`;
}

/**
 * Ask whether a version is to be rolled out, after showing what that would be; and have it begin.
 * @param {string} plugin @param {{version: string, digest: string}} version @param {() => void} again
 */
export async function startRollout(plugin, version, again) {
  const path = `/rollouts/${encodeURIComponent(plugin)}`, name = version.version || digest(version.digest);
  const forecast = await ask(`${path}/plan${query({ version: version.digest })}`);
  const answer = await confirm({ title: `Roll ${name} of ${plugin} out`, verb: "Start", isWide: true, what: html`<${Forecast} forecast=${forecast} />` });
  if (!answer) return;
  const isDone = told(await ask(`${path}/start`, { method: "POST", body: { version: version.digest, ...(answer.reason ? { reason: answer.reason } : {}) } }));
  again();
  if (isDone) go("rollouts", plugin);
}
