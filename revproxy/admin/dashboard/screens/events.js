/** Events and alerts: what happens, what fires, who is told and whether they heard. */
import { Labels, worstFirst } from "../parts/alert.js";
import { ask, useAsk } from "../parts/api.js";
import { Action } from "../parts/action.js";
import { confirm } from "../parts/dialog.js";
import { count, duration, plural } from "../parts/format.js";
import { html, useState } from "../parts/html.js";
import { link, place, setQuery } from "../parts/place.js";
import { Empty, Head, Missing, Scroll, State, Tabs, When } from "../parts/states.js";
import { useStore } from "../parts/store.js";
import { events, way } from "../parts/stream.js";
import { toast } from "../parts/toast.js";

const BAD = /refused|failed|lost|quarantined|stalled|broken|full|gone|down|missing|damaged|remains|off$|ended|slow-plugin$|undelivered|expir|crashed/;
/** Of each change there is one; they are shown when they are asked for. */
const USUAL = "audited";

export default function Events() {
  const { query } = useStore(place);
  const asked = useAsk("/alerts", 5), alerts = asked.data, tab = query.tab ?? "alerts";
  const tabs = [["alerts", `Firing${alerts?.firing?.length ? ` (${alerts.firing.length})` : ""}`], ["events", "Events"], ["rules", "Rules"], ["receivers", "Receivers"]];
  return html`<${Head} title="Events & alerts" /><${Tabs} label="Events and alerts" tabs=${tabs} at=${tab} pick=${(tab) => setQuery({ tab })} />
    <div role="tabpanel" aria-label=${tab}>${tab === "events" ? html`<${Stream} />` : !alerts ? html`<${Missing} asked=${asked} what="alerts" />` : tab === "rules" ? html`<${Rules} rules=${alerts.rules ?? []} receivers=${alerts.receivers ?? []} />` : tab === "receivers" ? html`<${Receivers} all=${alerts.receivers ?? []} again=${asked.again} />` : html`<${Alerts} alerts=${alerts} again=${asked.again} />`}</div>`;
}

async function silence(one, again) {
  const answer = await confirm({ title: "Silence", verb: "Silence", what: html`Nobody is told of ${one.rule} <${Labels} of=${one} /> for so long. It is still shown here.`, fields: [{ name: "for", label: "For how long", value: "1h", options: [["15m", "15 minutes"], ["1h", "1 hour"], ["8h", "8 hours"], ["1d", "1 day"]] }] });
  if (!answer) return;
  const made = await ask("/alerts/silences", { method: "POST", body: { matchers: Object.entries(one.labels).map(([name, value]) => `${name}=${value}`), for: answer.for, ...(answer.reason ? { reason: answer.reason } : {}) } });
  toast("Silenced.", { undo: async () => { await ask(`/alerts/silences/${encodeURIComponent(made.id)}`, { method: "DELETE" }); again(); } });
  again();
}

function Alerts({ alerts, again }) {
  const { firing = [], silenced = [], pending = [], resolved = [], silences = [] } = alerts;
  const line = (one, state, action) => html`<li key=${one.fingerprint + state}><span class="small faint"><${When} at=${one.ended_at ?? one.fired_at ?? one.since} isShort /></span><div><div class="row"><${State} of=${state}>${one.rule}<//>${one.labels.severity && html`<span class=${`tag ${{ critical: "bad", warning: "warn" }[one.labels.severity] ?? ""}`}>${one.labels.severity}</span>`}<${Labels} of=${one} /><span class="grow"></span>${action}</div>
    <div class="dim">${one.text || one.summary}</div>${one.why && html`<div class="small faint">${one.why}</div>`}</div></li>`;
  return html`<div class="stack"><section class="card"><header><h2>Firing</h2></header>${firing.length ? html`<ul class="timeline">${worstFirst(firing).map((one) => line(one, "firing", html`<${Action} kind="small" role="operate" run=${() => silence(one, again)} label=${`Silence ${one.rule}`}>Silence<//>`))}</ul>` : html`<p class="pad"><${State} of="ok">Nothing fires<//></p>`}</section>
    ${pending.length > 0 && html`<section class="card"><header><h2>Soon, if it goes on</h2></header><ul class="timeline">${worstFirst(pending).map((one) => line(one, "warning"))}</ul></section>`}
    ${silenced.length > 0 && html`<section class="card"><header><h2>Silenced</h2></header><ul class="timeline">${silenced.map((one) => line(one, "silenced"))}</ul></section>`}
    ${silences.length > 0 && html`<section class="card"><header><h2>Silences</h2></header><ul class="timeline">${silences.map((one) => html`<li><span class="small faint">ends <${When} at=${one.until} /></span><div class="row">${one.matchers.map((text) => html`<span class="tag">${text}</span>`)}<span class="dim">${one.by}${one.reason ? `: ${one.reason}` : ""}</span><span class="grow"></span><${Action} kind="small" role="operate" run=${async () => { await ask(`/alerts/silences/${encodeURIComponent(one.id)}`, { method: "DELETE" }); toast("It is told again."); again(); }}>End it<//></div></li>`)}</ul></section>`}
    <section class="card"><header><h2>Resolved lately</h2></header>${resolved.length ? html`<ul class="timeline">${resolved.slice(0, 30).map((one) => line(one, "resolved"))}</ul>` : html`<p class="pad dim">Nothing.</p>`}</section></div>`;
}

function Rules({ rules, receivers }) {
  const to = (names) => !names.length ? "nobody" : names.length > 1 && names.length === receivers.length ? `all ${names.length}` : names.join(", ");
  if (!rules.length) return html`<div class="card"><${Empty} title="No rules">alerts.rules in revproxy.yaml has them.<//></div>`;
  return html`<section class="card"><${Scroll} label="Rules"><table><thead><tr><th scope="col">Rule</th><th scope="col" class="text">Fires</th><th scope="col">For</th><th scope="col">To</th><th scope="col">State</th></tr></thead><tbody>${rules.map((one) => html`<tr><th scope="row" class="nowrap">${one.name}${one.is_ready_made && html` <span class="tag">ready-made</span>`}</th>
    <td>${one.when ? html`when <code>${one.when}</code>${one.over_seconds && one.of !== "listener" ? ` over ${duration(one.over_seconds)}` : ""}${one.of && one.of !== "edge" ? `, per ${one.of}` : ""}${one.only && one.only !== "*" ? ` ${one.only}` : ""}` : html`on <code>${one.on.join(", ")}</code>`}</td><td class="dim nowrap">${one.for_seconds ? duration(one.for_seconds) : "at once"}</td><td class=${"dim" + (one.to.length > 1 && one.to.length === receivers.length ? " nowrap" : "")}>${to(one.to)}</td>
    <td>${one.firing ? html`<${State} of="firing">${count(one.firing)} firing<//>` : one.pending ? html`<${State} of="warning">${count(one.pending)} soon<//>` : one.without_traffic ? html`<${State} of="off">no traffic to judge<//>` : html`<${State} of="ok">quiet<//>`}</td></tr>`)}</tbody></table><//></section>`;
}

function Receivers({ all, again }) {
  if (!all.length) return html`<div class="card"><${Empty} title="Nobody is told">alerts.receivers in revproxy.yaml names Alertmanagers, webhooks and chats.<//></div>`;
  const test = async (one) => { const told = await ask(`/alerts/receivers/${encodeURIComponent(one.name)}/test`, { method: "POST" }); toast(told.is_delivered ? `${one.name} has taken the test.` : `${one.name} has not taken the test: ${told.text}`, { bad: !told.is_delivered }); again(); };
  const redeliver = async (one) => { const { messages } = await ask(`/alerts/receivers/${encodeURIComponent(one.name)}/redeliver`, { method: "POST" }); toast(`${plural(messages, "message")} tried again.`); again(); };
  return html`<section class="card"><${Scroll} label="Receivers"><table><thead><tr><th scope="col">Receiver</th><th scope="col">Kind</th><th scope="col">Last delivery</th><th scope="col" class="text">Last error</th><th scope="col" class="num">Waiting</th><th scope="col" class="num">Dead letters</th><th scope="col" class="tight"><span class="sr">Actions</span></th></tr></thead><tbody>${all.map((one) => html`<tr><th scope="row">${one.name}</th><td class="dim">${one.kind}</td>
    <td>${one.last_delivery ? html`<${State} of=${one.is_disabled ? "failed" : one.last_error ? "warning" : "ok"}><${When} at=${one.last_delivery} /><//>` : html`<span class="faint">never</span>`}${one.is_disabled && html` <span class="tag bad">switched off by its 410</span>`}</td><td>${one.last_error && html`<span class="is-bad">■</span> ${one.last_error} <span class="faint small nowrap"><${When} at=${one.last_failure} /></span>`}</td><td class="num">${count(one.queued)}</td><td class=${"num" + (one.dead_letters ? " is-bad" : "")}>${one.dead_letters ? "■ " : ""}${count(one.dead_letters)}</td>
    <td class="tight"><span class="row">${one.dead_letters > 0 && html`<${Action} kind="small" role="operate" run=${() => redeliver(one)} label=${`Send again what ${one.name} did not take`}>Send again<//>`}<${Action} kind="small" role="operate" run=${() => test(one)} label=${`Send test to ${one.name}`}>Send test<//></span></td></tr>`)}</tbody></table><//></section>`;
}

function Stream() {
  const all = useStore(events), how = useStore(way);
  const { query } = useStore(place);
  const [open, setOpen] = useState(null);
  const kinds = [...new Set(all.map((event) => event.kind))].sort();
  const shown = all.filter((event) => (query.kind ? event.kind === query.kind || query.kind === "*" : event.kind !== USUAL) && (!query.find || `${event.plugin} ${event.text}`.toLowerCase().includes(query.find.toLowerCase()))).reverse();
  return html`<section class="card"><header><select aria-label="Kind" value=${query.kind ?? ""} onChange=${(e) => setQuery({ kind: e.target.value })}><option value="">All but ${USUAL}</option><option value="*">All kinds</option>${kinds.map((kind) => html`<option value=${kind}>${kind}</option>`)}</select>
      <input aria-label="Text" placeholder="Plugin or text" value=${query.find ?? ""} onInput=${(e) => setQuery({ find: e.target.value })} /><span class="dim small">${plural(shown.length, "event")}</span><span class="end small faint">${{ stream: "live", "another tab": "live, by another tab", polling: "asked each few seconds", off: "not live" }[how]}</span></header>
    ${shown.length ? html`<ol class="timeline">${shown.slice(0, 300).map((event) => html`<li key=${event.number}><span class="small faint"><${When} at=${event.at} isShort /></span><div><${State} of=${BAD.test(event.kind) ? "warning" : "off"}>${event.kind}<//> ${event.plugin && html`<a href=${link("plugin", event.plugin)}>${event.plugin} ${event.version.split(" ")[0]}</a>`}
      <div class=${open === event.number ? "" : "said"}>${event.text}</div>${!event.traceback && event.text.length > 400 && html`<button type="button" class="link small" aria-expanded=${String(open === event.number)} onClick=${() => setOpen(open === event.number ? null : event.number)}>${open === event.number ? "less" : "all of it"}</button>`}${event.traceback && html`<button type="button" class="link small" aria-expanded=${String(open === event.number)} onClick=${() => setOpen(open === event.number ? null : event.number)}>traceback</button>${open === event.number && html`<pre class="note">${event.traceback}</pre>`}`}</div></li>`)}</ol>`
      : html`<${Empty} title="No events">${all.length ? "None is like that." : "Nothing has happened."}<//>`}</section>`;
}
