/** One plugin: what it does, its configuration, its versions, and what went wrong. */
import { ask, query as params, useAsk } from "../parts/api.js";
import { Action, told } from "../parts/action.js";
import { confirm } from "../parts/dialog.js";
import { Diff } from "../parts/diff.js";
import { RolloutState, stepName } from "../parts/evidence.js";
import { startRollout } from "../parts/forecast.js";
import { count, digest, plural, us } from "../parts/format.js";
import { html, useState } from "../parts/html.js";
import { link, place, setQuery } from "../parts/place.js";
import { PluginConfig } from "../parts/pluginconfig.js";
import { PluginTrust } from "../parts/plugintrust.js";
import { Bar, Empty, Head, Missing, Scroll, State, Tabs, useMay, When } from "../parts/states.js";
import { useStore } from "../parts/store.js";
import { events } from "../parts/stream.js";
import { TrafficCharts, useTraffic } from "../parts/trafficcharts.js";

const TABS = [["overview", "Overview"], ["config", "Configuration"], ["versions", "Versions"], ["trust", "Trust"], ["failures", "Failures"]];

export default function Plugin() {
  const { rest: name, query } = useStore(place);
  const asked = useAsk(`/plugins/${encodeURIComponent(name)}`, 3), plugin = asked.data;
  const tab = query.tab ?? "overview";
  if (!plugin) return html`<${Head} title=${name} crumb=${html`<a href=${link("plugins")}>Plugins</a>`} /><${Missing} asked=${asked} what=${name} />`;
  const failures = plugin.versions.filter((one) => one.last_failure).length + (plugin.failure ? 1 : 0);
  const tabs = TABS.map(([id, label]) => [id, id === "failures" && failures ? `Failures (${failures})` : id === "versions" ? `Versions (${plugin.versions.length})` : id === "trust" && plugin.trust.waiting ? "▲ Trust" : label]);
  return html`<${Head} title=${html`${name} <span class="crumb">${plugin.version}</span>`} crumb=${html`<a href=${link("plugins")}>Plugins</a>`}><${Buttons} plugin=${plugin} again=${asked.again} /><//>
    <div class="row dim below"><${State} of=${plugin.state} />${plugin.required && html`<span class="tag accent">required</span>`}${plugin.pinned && html`<span class="tag">pinned to ${plugin.pinned.version || digest(plugin.pinned.digest)} by ${plugin.pinned.by}</span>`}
      <span class="mono small faint">${digest(plugin.digest)}</span><span class="small">${plugin.origin === "directory" ? "from its folder" : "from an installed package"}</span></div>
    <${Tabs} label="About the plugin" tabs=${tabs} at=${tab} pick=${(tab) => setQuery({ tab })} />
    <div role="tabpanel" aria-label=${TABS.find(([id]) => id === tab)?.[1] ?? "Overview"}>
    ${tab === "config" ? html`<${PluginConfig} plugin=${plugin} />` : tab === "versions" ? html`<${Versions} plugin=${plugin} again=${asked.again} />` : tab === "trust" ? html`<${PluginTrust} plugin=${plugin} again=${asked.again} />` : tab === "failures" ? html`<${Failures} plugin=${plugin} />` : html`<${Overview} plugin=${plugin} />`}</div>`;
}

const send = (plugin, command, body) => ask(`/plugins/${encodeURIComponent(plugin.name)}/${command}`, { method: "POST", body });
const clean = (answer) => answer.reason ? { reason: answer.reason } : {};

/** What takes a plugin back to where it was. */
function undoOf(plugin, command) {
  if (command === "disable") return () => send(plugin, "enable", { reason: "undo" });
  if (command === "enable") return () => send(plugin, "disable", { reason: "undo" });
  if (plugin.pinned) return () => send(plugin, "pin", { version: plugin.pinned.digest, reason: "undo" });
  return () => send(plugin, "unpin", { reason: "undo" });
}

async function change(plugin, command, about, again, body = {}) {
  const answer = await confirm(about);
  if (!answer) return;
  const undo = undoOf(plugin, command);
  told(await send(plugin, command, { ...body, ...clean(answer) }), async () => { told(await undo()); again(); });
  again();
}

function Buttons({ plugin, again }) {
  const isOn = ["running", "quarantined", "failed"].includes(plugin.state), isFolder = plugin.origin === "directory";
  const earlier = plugin.versions.filter((one) => !one.running && !one.quarantined && !one.trial).pop();
  const safety = plugin.required ? " It is required: its routes are served without it, by your word." : "";
  return html`
    <${Action} role="operate" not=${!isFolder ? "A drop-in comes with an installed package." : earlier ? "" : "There is no earlier version that ran well."} run=${() => change(plugin, "rollback", { title: `Roll ${plugin.name} back`, verb: "Roll back", danger: true,
      what: html`New requests meet ${earlier?.version || "the version before"} ${earlier && html`<span class="mono">${digest(earlier.digest)}</span>`} within a second; those under way end with ${plugin.version}. It stays until the folder has something new.` }, again)}>Roll back<//>
    ${plugin.pinned
      ? html`<${Action} role="operate" run=${() => change(plugin, "unpin", { title: `Unpin ${plugin.name}`, verb: "Unpin", what: "It follows its folder again: what is there now runs, if it loads." }, again)}>Unpin<//>`
      : html`<${Action} role="operate" not=${isFolder ? "" : "A drop-in comes with an installed package."} run=${() => change(plugin, "pin", { title: `Pin ${plugin.name}`, verb: "Pin", what: html`It stays at ${plugin.version}, whatever its folder has, until it is unpinned.` }, again)}>Pin<//>`}
    ${isOn ? html`<${Action} role="operate" kind="risky" run=${() => change(plugin, "disable", { title: `Disable ${plugin.name}`, verb: "Disable", danger: true, what: `New requests pass without it, over restarts as well, until it is enabled.${safety}` }, again)}>Disable<//>`
      : html`<${Action} role="operate" kind="main" run=${() => change(plugin, "enable", { title: `Enable ${plugin.name}`, verb: "Enable", what: "It is loaded, and new requests meet it." }, again)}>Enable<//>`}`;
}

function Overview({ plugin }) {
  const isAny = plugin.calls > 0 || plugin.state === "running", traffic = useTraffic("900", "plugin", plugin.name, isAny);
  const all = useStore(events), { order, holders } = plugin;
  const own = all.filter((event) => event.plugin === plugin.name).slice(-10).reverse();
  const tiles = [["Calls", count(plugin.calls)], ["Errors", plugin.errors ? html`<a class="is-bad" href=${link("plugin", plugin.name, { tab: "failures" })}>■ ${count(plugin.errors)}</a>` : "0"], ["Time-outs", count(plugin.timeouts)], ["Interrupts", count(plugin.interrupts)], ["Stalls", count(plugin.stalls)],
    ["Self time a call", plugin.calls ? us((plugin.self_seconds / plugin.calls) * 1e6) : "–"], ["Versions alive", plugin.generations_alive]];
  const failed = plugin.versions.filter((one) => one.last_failure).sort((a, b) => b.last_failure.at - a.last_failure.at)[0], taken = plugin.versions.filter((one) => one.quarantined);
  const last = failed && html`<a href=${link("plugin", plugin.name, { tab: "failures" })}>The last failure</a> of ${failed.version || digest(failed.digest)}, <${When} at=${failed.last_failure.at} />: ${failed.last_failure.message}`;
  return html`<div class="stack">
    ${plugin.rollout && html`<div class="note"><strong>${plugin.rollout.candidate.version || digest(plugin.rollout.candidate.digest)} is being rolled out:</strong> <${RolloutState} of=${plugin.rollout} />${plugin.rollout.step ? ` in step ${plugin.rollout.step.index} of ${plugin.rollout.step.of}, ${stepName(plugin.rollout.step)}` : ""}. <a href=${link("rollouts", plugin.rollout.plugin)}>Show it</a></div>`}
    ${plugin.failure && html`<div class="note bad"><strong>${plugin.failure.version} ${plugin.failure.stage === "rollout" ? html`<a href=${link("rollouts", plugin.name)}>does not run</a>` : `was refused at ${plugin.failure.stage}`}.</strong> ${plugin.failure.message} ${plugin.state === "running" && html`<span>${plugin.version} runs on.</span>`}</div>`}
    ${taken.length > 0 ? html`<div class="note warn">${taken.map((one) => html`<p><strong>${one.version || digest(one.digest)} was taken out.</strong> ${one.quarantined}. ${one.digest === failed?.digest && last}</p>`)}</div>` : last && html`<div class="note warn said">${last}</div>`}
    ${!isAny && html`<div class="note">It runs on no route. Switch it on under <a href=${link("plugin", plugin.name, { tab: "config" })}>Configuration</a>, or in a route.</div>`}
    <dl class="tiles">${tiles.map(([label, value]) => html`<div class="tile"><dt>${label}</dt><dd>${value}</dd></div>`)}</dl>
    ${isAny && html`<${TrafficCharts} traffic=${traffic} words=${["calls", "answered itself", "failed"]} titles=${["Calls a second", "Its own time"]} />`}
    <div class="split"><div class="stack">
      <section class="card"><header><h2>What remains in memory</h2></header><div class="pad">${plugin.generations_alive > 1 ? html`<p>${plural(plugin.generations_alive - 1, "earlier version")} still there. ${holders.length ? "" : "Nobody has been found who holds it; streams may use it yet."}</p>${holders.map((one) => html`<p><span class="faint">${one.version}, <${When} at=${one.at} />:</span> ${one.text}</p>`)}` : html`<${State} of="ok">Nothing: what was replaced is gone<//>`}</div></section>
      ${plugin.figures?.length > 0 && html`<${Figures} figures=${plugin.figures} />`}
      ${plugin.threads && html`<section class="card"><header><h2>Threads</h2></header><div class="pad">${plugin.threads.busy} of ${plugin.threads.most} busy <${Bar} of=${plugin.threads.busy / Math.max(1, plugin.threads.most)} />, ${plugin.threads.queued} waiting, ${plugin.threads.rejected} rejected</div></section>`}
      <section class="card"><header><h2>Lately</h2></header>${own.length ? html`<ul class="timeline">${own.map((event) => html`<li><span class="small faint"><${When} at=${event.at} isShort /></span><div><strong>${event.kind}</strong> <span class="faint">${event.version.split(" ")[0]}</span><div class="dim said">${event.text}</div></div></li>`)}</ul>` : html`<p class="pad dim">Nothing.</p>`}</section></div>
      <section class="card"><header><h2>Where it stands</h2><span class="end small"><a href=${link("chain")}>Chain</a></span></header>${order.length ? html`<ul class="problems">${order.map((one) => html`<li><span>${one.position} of ${one.of}</span><span>${one.rule}<div class="small faint">${one.routes.slice(0, 8).join(", ")}${one.routes.length > 8 ? ` and ${count(one.routes.length - 8)} more` : ""}</div></span></li>`)}</ul>` : html`<p class="pad dim">In no chain now.</p>`}</section>
    </div></div>`;
}

function Figures({ figures }) {
  const rows = figures.flatMap((figure) => figure.series.map((series) => [figure.name, series.labels, figure.kind === "counter" ? count(series.value) : `${count(series.count)}, ${(series.sum / Math.max(1, series.count)).toPrecision(3)} on average`]));
  return html`<section class="card"><header><h2>Its own figures</h2></header><${Scroll} label="Its own figures"><table><thead><tr><th scope="col">Figure</th><th scope="col" class="num">Value</th></tr></thead><tbody>${rows.slice(0, 60).map(([name, labels, value]) => html`<tr><th scope="row">${name} ${Object.entries(labels).map(([label, text]) => html`<span class="tag">${label}=${text}</span> `)}</th><td class="num">${value}</td></tr>`)}</tbody></table><//></section>`;
}

function Versions({ plugin, again }) {
  const kept = [...plugin.versions].reverse();
  const [pair, setPair] = useState(null);
  const may = useMay("configure");
  if (!kept.length) return html`<div class="card"><${Empty} title="No versions are kept">${plugin.origin === "directory" ? "The first that runs well is." : "A drop-in's versions are the installed package's."}<//></div>`;
  const older = (i) => kept[i + 1];
  return html`<div class="stack"><section class="card"><${Scroll} label="Versions"><table><thead><tr><th scope="col">Version</th><th scope="col">Digest</th><th scope="col">State</th><th scope="col">Ran</th><th scope="col" class="num">Calls</th><th scope="col" class="num">Errors</th><th scope="col" class="tight"><span class="sr">Actions</span></th></tr></thead>
    <tbody>${kept.map((one, i) => html`<tr key=${one.digest}><th scope="row">${one.version || "–"}</th><td class="mono dim">${digest(one.digest)}</td>
      <td>${one.running ? html`<${State} of="running" />` : one.quarantined ? html`<${State} of="quarantined" /> <span class="small dim">${one.quarantined}</span>` : one.trial ? html`<${State} of="off">${one.trial.state === "going" ? "on trial" : one.trial.state.replace("-", " ")}<//> <span class="small dim">${one.trial.reason}</span>` : one.trial ? html`<${State} of=${one.trial.state === "going" ? "running" : "off"}>${one.trial.state === "going" ? "on trial" : one.trial.state.replace("-", " ")}<//> <span class="small dim">${one.trial.reason}</span>` : html`<${State} of="off">kept<//>`}</td><td><${When} at=${one.ran_at} /></td><td class="num">${count(one.calls)}</td><td class=${"num" + (one.errors ? " is-bad" : "")}>${one.errors ? "■ " : ""}${count(one.errors)}</td>
      <td class="tight"><span class="row">${older(i) && html`<${Action} kind="small" role="configure" run=${async () => setPair([older(i), one])} label=${`Changes of ${one.version}`}>Changes<//>`}
        ${!one.running && html`<${Action} kind="small" role="operate" run=${() => change(plugin, "rollback", { title: `Go back to ${one.version}`, verb: "Roll back", danger: true, what: html`New requests meet ${one.version} (<span class="mono">${digest(one.digest)}</span>) within a second.${one.quarantined ? ` It was taken out before: ${one.quarantined}` : ""}` }, again, { version: one.digest })} label=${`Run this: ${one.version}`}>Run this<//>
          <${Action} kind="small" role="operate" not=${plugin.rollout ? "Another version is being rolled out." : plugin.state === "running" ? "" : "Nothing of it runs that it could be held against."} run=${() => startRollout(plugin.name, one, again)} label=${`Roll out ${one.version}`}>Roll out …<//>`}</span></td></tr>`)}</tbody></table><//></section>
    ${pair && may && html`<${Source} plugin=${plugin} from=${pair[0]} to=${pair[1]} />`}</div>`;
}

function Source({ plugin, from, to }) {
  const asked = useAsk(`/plugins/${encodeURIComponent(plugin.name)}/diff${params({ from: from.digest, to: to.digest })}`);
  return html`<section class="card" aria-label="Source differences"><header><h2>From ${from.version || digest(from.digest)} to ${to.version || digest(to.digest)}</h2></header>
    ${asked.data ? (asked.data.files.length ? asked.data.files.map((file) => html`<h3 class="pad mono">${file.path}</h3><${Diff} text=${file.diff} label=${`Changes in ${file.path}`} />`) : html`<p class="pad dim">The code is the same.</p>`) : html`<${Missing} asked=${asked} what="the differences" />`}</section>`;
}

function Failures({ plugin }) {
  const failed = plugin.versions.filter((one) => one.last_failure).map((one) => [one, one.last_failure]).reverse();
  if (plugin.failure) failed.unshift([plugin.failure, { ...plugin.failure, isRefusal: true }]);
  if (!failed.length) return html`<div class="card"><${Empty} title="Nothing has failed since the edge started" /></div>`;
  return html`<div class="stack">${failed.map(([version, failure]) => html`<section class="card"><header><${State} of="failed">${failure.isRefusal ? `refused at ${failure.stage}` : "failed at work"}<//><span class="dim">${version.version || digest(version.digest)}</span><span class="end faint small"><${When} at=${failure.at} /></span></header>
    <div class="pad stack"><p><strong>${failure.message}</strong>${failure.function && html`<span class="dim"> in <code>${failure.function}</code></span>`}${failure.where && html`<span class="dim"> at <code>${failure.where}</code></span>`}</p>${failure.traceback && html`<pre class="note" tabindex="0" role="group" aria-label="Traceback">${failure.traceback}</pre>`}</div></section>`)}</div>`;
}
