/** Plugins: all of them, and what is wrong with any. */
import { ask, useAsk } from "../parts/api.js";
import { Action, told } from "../parts/action.js";
import { stepName } from "../parts/evidence.js";
import { count, digest, us } from "../parts/format.js";
import { html } from "../parts/html.js";
import { link, place, setQuery } from "../parts/place.js";
import { Choice, Empty, Head, Missing, Scroll, State, When } from "../parts/states.js";
import { useStore } from "../parts/store.js";

/** Those that do nothing come last. */
const isIdle = (one) => ["off", "removed"].includes(one.state);

export default function Plugins() {
  const { query } = useStore(place);
  const asked = useAsk(`/plugins${query.removed ? "?removed=true" : ""}`, 4);
  const plugins = asked.data?.items ?? asked.data;
  const failed = plugins?.filter((one) => one.failure) ?? [], taken = plugins?.filter((one) => one.pinned?.by === "quarantine") ?? [];
  const order = [...(plugins ?? [])].sort((a, b) => isIdle(a) - isIdle(b));
  const reload = async () => told(await ask("/reload", { method: "POST", body: {} }));
  return html`<${Head} title="Plugins"><${Choice} label="Which" options=${[["", "Present"], ["1", "Also removed"]]} at=${query.removed ?? ""} pick=${(removed) => setQuery({ removed })} />
      <${Action} role="operate" run=${reload}>Read all files now<//><//>
    ${!plugins ? html`<${Missing} asked=${asked} what="plugins" />` : !plugins.length ? html`<div class="card"><${Empty} title="No plugins">Copy a folder with a plugin.json into the folder of plugins, or begin one: <code>revproxy new-plugin NAME</code><//></div>` : html`<div class="stack">
      ${failed.map((one) => html`<div class=${`note ${one.state === "failed" ? "bad" : "warn"}`} key=${one.name}><strong><a href=${link("plugin", one.name)}>${one.name}</a> ${one.failure.version}</strong> ${one.failure.stage === "rollout" ? html`<a href=${link("rollouts", one.name)}>does not run</a>: ` : `${one.state === "failed" ? "does not run" : "was refused; what ran before runs on"}: ${one.failure.stage}: `}${one.failure.message}</div>`)}
      ${taken.map((one) => html`<div class="note warn" key=${`taken ${one.name}`}><strong><a href=${link("plugin", one.name, { tab: "failures" })}>${one.name}</a></strong> failed too often and was taken out; ${one.version} runs in its place until the folder has something new.</div>`)}
      <section class="card"><${Scroll} label="Plugins"><table><thead><tr><th scope="col">Plugin</th><th scope="col">State</th><th scope="col">Version</th><th scope="col" class="num">Calls</th><th scope="col" class="num">Errors</th><th scope="col" class="num">Time-outs</th>
        <th scope="col" class="num">Interrupts</th><th scope="col" class="num" title="Of its own, in each call">Self time</th><th scope="col" class="num" title="Versions that are still in memory">Alive</th></tr></thead><tbody>${order.map((one) => html`<${Plugin} key=${one.name} one=${one} />`)}</tbody></table><//></section></div>`}`;
}

function Plugin({ one }) {
  return html`<tr><th scope="row" class="name"><a href=${link("plugin", one.name)}>${one.name}</a>${one.required && html` <span class="tag accent" title="No request passes without it">required</span>`}</th>
    <td><${State} of=${one.state} />${one.state === "removed" && html` <span class="small faint"><${When} at=${one.removed_at} /></span>`}</td>
    <td>${one.version || digest(one.digest) || "–"}${one.pinned && html` <span class=${"tag" + (one.pinned.by === "quarantine" ? " warn" : "")} title=${`By ${one.pinned.by}`}>${one.pinned.by === "quarantine" ? "put back" : "pinned"}</span>`}${one.rollout && html` <a class="tag accent" href=${link("rollouts", one.rollout.plugin)} title="It is being rolled out">→ ${one.rollout.candidate.version || digest(one.rollout.candidate.digest)}, ${one.rollout.held ? "held" : one.rollout.step ? stepName(one.rollout.step) : one.rollout.state}</a>`}</td><td class="num">${count(one.calls)}</td>
    <td class=${"num" + (one.errors ? " is-bad" : "")}>${one.errors ? html`■ <a href=${link("plugin", one.name, { tab: "failures" })}>${count(one.errors)}</a>` : "0"}</td><td class=${"num" + (one.timeouts ? " is-bad" : "")}>${count(one.timeouts)}</td><td class="num">${one.interrupts ? html`<a href=${link("requests", "", { plugin: one.name })}>${count(one.interrupts)}</a>` : "0"}</td>
    <td class="num">${one.calls ? us((one.self_seconds / one.calls) * 1e6) : ""}</td><td class=${"num" + (one.generations_alive > 1 ? " is-warn" : "")}>${one.generations_alive > 1 ? "▲ " : ""}${one.generations_alive}</td></tr>`;
}
