/** Changes: who changed what, from where and why; what it changed; and back again. */
import { ask, query as params, useAsk } from "../parts/api.js";
import { Action } from "../parts/action.js";
import { confirm } from "../parts/dialog.js";
import { Diff } from "../parts/diff.js";
import { html, useEffect, useState } from "../parts/html.js";
import { place, setQuery } from "../parts/place.js";
import { Empty, Head, Missing, State, When } from "../parts/states.js";
import { useStore } from "../parts/store.js";
import { events } from "../parts/stream.js";
import { toast } from "../parts/toast.js";

const VIA = { socket: "by the socket", http: "by the dashboard or the API", files: "by saving files", edge: "the edge itself" };
const ACTIONS = { files: "files saved", quarantine: "taken out", config: "configuration" };
const action = (one) => one.action === "revert" ? `revert to #${one.plugin}` : `${ACTIONS[one.action] ?? one.action}${one.plugin ? `: ${one.plugin}` : ""}`;
/** The first line of what a revert tells, with whom it is about. */
const whole = (text) => text.map((line) => line.replace(/^(is|would be) as after/, "The edge $1 as after"));
const actor = ({ actor: { name, via, address } }) => via === "edge" || via === "files" ? VIA[via] : `${name || "somebody"}, ${VIA[via]}${address ? `, from ${address}` : ""}`;

export default function Changes() {
  const { query } = useStore(place);
  const asked = useAsk("/history?limit=100");
  const latest = useStore(events), newest = latest[latest.length - 1]?.number;
  useEffect(() => { if (newest) asked.again(); }, [newest]);
  const [more, setMore] = useState({ items: [], next: undefined });
  const items = [...(asked.data?.items ?? []), ...more.items], next = more.next === undefined ? asked.data?.next : more.next;
  const running = items.find((one) => one.result === "done")?.number;
  const shown = query.at ? Number(query.at) : items[0]?.number, from = query.from ? Number(query.from) : undefined;
  const load = async () => { const answer = await ask(`/history${params({ limit: 100, cursor: next })}`); setMore({ items: [...more.items, ...answer.items], next: answer.next ?? null }); };
  if (!asked.data) return html`<${Head} title="Changes" /><${Missing} asked=${asked} what="the history" />`;
  return html`<${Head} title="Changes" text="Configuration, versions of plugins, pins and switches, in one line of time." />
    ${!items.length ? html`<div class="card"><${Empty} title="Nothing has changed yet">Each change is here: by the dashboard, by commands, by files that were saved, and by the edge itself.<//></div>` : html`<div class="split">
      <section class="card" aria-label="History"><ol class="timeline">${items.map((one) => html`<${Line} key=${one.number} one=${one} isShown=${one.number === shown} isRunning=${one.number === running} />`)}</ol>${next && html`<div class="pad"><${Action} run=${load}>Earlier ones<//></div>`}</section>
      ${shown != null && html`<${Detail} key=${`${from}-${shown}`} number=${shown} from=${from} running=${running} again=${asked.again} items=${items} />`}</div>`}`;
}

function Line({ one, isShown, isRunning }) {
  const bad = one.result !== "done", lines = bad ? one.refused.map((each) => `${each.plugin ? each.plugin + ": " : ""}${each.stage}: ${each.message}`) : one.text;
  return html`<li class=${isShown ? "shown" : ""}><span class="small faint"><${When} at=${one.at} isShort /></span><div><div class="row"><button type="button" class="link" aria-current=${isShown ? "true" : undefined} onClick=${() => setQuery({ at: one.number, from: "" })}><strong>#${one.number}</strong> ${action(one)}</button>
    ${isRunning && html`<${State} of="running">in force<//>`}${bad && html`<${State} of="failed">${one.result}<//>`}</div>
    <div class="dim said">${lines.join("; ")}</div><div class="small faint">${actor(one)}${one.reason ? html`: “${one.reason}”` : ""}</div></div></li>`;
}

function Detail({ number, from, running, again, items }) {
  const single = useAsk(`/history/${number}`), one = single.data;
  const before = from ?? items.find((item) => item.number < number && item.result === "done")?.number;
  const compared = useAsk(before == null ? null : `/diff${params({ from: before, to: number })}`);
  const revert = async () => {
    const tried = await ask("/revert", { method: "POST", body: { to: number, dry_run: true } });
    const answer = await confirm({ title: `Go back to #${number}`, verb: "Revert", danger: true, isWide: true, what: html`<p>The file, pins and switches become what they were after #${number}; versions come back as pins. All of it, or nothing. This would change:</p><ul>${whole(tried.text).map((line) => html`<li>${line}</li>`)}</ul>${tried.diff && html`<div class="card"><${Diff} text=${tried.diff} /></div>`}` });
    if (!answer) return;
    const done = await ask("/revert", { method: "POST", body: { to: number, dry_run: false, ...(answer.reason ? { reason: answer.reason } : {}) } });
    toast(whole(done.text).join("\n"), { undo: async () => { await ask("/revert", { method: "POST", body: { to: running, dry_run: false, reason: "undo" } }); again(); } });
    again();
  };
  return html`<section class="card" aria-label=${`Change ${number}`}><header><h2>${before == null ? `#${number}` : `#${before} → #${number}`}</h2><label class="row small dim">compare with <select value=${String(before ?? "")} onChange=${(e) => setQuery({ at: number, from: e.target.value })}>${items.filter((item) => item.number !== number).map((item) => html`<option value=${String(item.number)}>#${item.number}</option>`)}</select></label>
      <span class="end"><${Action} role="configure" kind="small" not=${number === running ? "It is in force." : one?.result === "refused" ? "It was refused, and changed nothing." : one && !one.stood ? "How things stood then cannot be had any more." : ""} run=${revert}>Revert to #${number}<//></span></header>
    ${one?.reason && html`<p class="pad dim">“${one.reason}”</p>`}${before == null ? html`<p class="pad dim">The first that is remembered.</p>` : !compared.data ? html`<div class="pad"><${Missing} asked=${compared} what="the differences" /></div>`
      : html`${compared.data.lines.length > 0 && html`<ul class="pad">${compared.data.lines.map((line) => html`<li>${line}</li>`)}</ul>`}${compared.data.config ? html`<${Diff} text=${compared.data.config} label="Differences of the configuration" />` : !compared.data.lines.length && html`<p class="pad dim">Nothing is different.</p>`}`}</section>`;
}
