/** Why: how one request went, step by step; or how one would go that nobody has sent. */
import { ask, useAsk } from "../parts/api.js";
import { Action } from "../parts/action.js";
import { bytes, moment, us } from "../parts/format.js";
import { html, useState } from "../parts/html.js";
import { link, place, setQuery } from "../parts/place.js";
import { Head, Missing, Scroll, State, Status } from "../parts/states.js";
import { useStore } from "../parts/store.js";
import { toast } from "../parts/toast.js";

const LEAVES = { redirect: "its redirect", respond: "its fixed answer", health: "its health check", static: "its files", resource: "its own code" };
const leaf = (name) => LEAVES[name] ?? name ?? "itself";

export default function Why() {
  const { rest: id } = useStore(place);
  return id ? html`<${One} key=${id} id=${id} />` : html`<${DryRun} />`;
}

function One({ id }) {
  const path = `/requests/${encodeURIComponent(id)}`;
  const record = useAsk(path), asked = useAsk(`${path}/explain`);
  const crumb = html`<a href=${link("requests")}>Requests</a>`;
  if (!record.data && !asked.data) return html`<${Head} title=${id} crumb=${crumb} /><${Missing} asked=${record.error ? record : asked} what="this request" />`;
  const one = record.data ?? asked.data?.request ?? {}, why = asked.data ?? {};
  return html`<${Head} title=${html`${one.method} <span class="dim">${one.host}</span>${one.target}`} crumb=${crumb}><a class="button" href=${link("why", "", { method: one.method, url: `${one.scheme}://${one.host}${one.target}`, client: one.peer })}>Try it as a dry run</a><//>
    <p class="verdict below"><${Verdict} one=${one} why=${why} /></p>
    <div class="aside"><${Steps} why=${why} one=${one} missing=${asked.error} /><${Facts} one=${one} /></div>`;
}

function Verdict({ one, why }) {
  const { kind, name } = why.answered_by ?? {}, after = one.duration_us ? ` after ${us(one.duration_us)}` : "";
  const status = one.status ? html`<${Status} of=${one.status} />` : "";
  if (kind === "plugin" || one.interrupted_by) return html`${status} from the plugin <a href=${link("plugin", name ?? one.interrupted_by)}>${name ?? one.interrupted_by}</a>${after}, instead of the route.`;
  if (kind === "nobody") return html`${status}: the client had left${after}.`;
  if (one.error) return html`${status} from the edge${after}: ${one.error.replace(/\.$/, "")}.`;
  if (kind === "upstream" || one.upstream) return html`${status} from <span class="mono">${name ?? one.upstream}</span>${after}${one.upstream_us ? `, ${us(one.upstream_us)} of which it waited there` : ""}.`;
  return html`${status} from ${kind === "route" ? html`the route <a href=${link("requests", "", { route: one.route })}>${one.route}</a>, by ${leaf(name)},` : "the edge"}${after}.`;
}

function Would({ answer }) {
  const { kind, name } = answer.answered_by;
  if (answer.refused) return html`The edge would not take it: ${answer.refused}.`;
  if (kind === "plugin") return html`The plugin <a href=${link("plugin", name)}>${name}</a> would answer <${Status} of=${answer.status} />.`;
  if (answer.is_sent_on && kind === "upstream") return html`It would be sent on to ${name}.`;
  if (kind === "nobody") return "Its plugins did not come to an end in time.";
  return html`${kind === "route" ? `The route would answer by ${leaf(name)}` : "The edge would answer"}${answer.status ? html`, <${Status} of=${answer.status} />` : ""}${answer.error ? `: ${answer.error}` : ""}.`;
}

function Facts({ one }) {
  const rows = [["Request id", html`<code>${one.id}</code>`], ["Time", html`<time datetime=${one.time}>${moment(one.at)}</time>`], ["Client", one.peer], ["Protocol", `${one.scheme} ${one.version ? "HTTP/" + one.version : ""}`], ["Route", one.route || "none"], ["Upstream", [one.upstream_name, one.upstream].filter(Boolean).join(" → ")],
    ["On trial", one.arms?.map((met) => html`<div><a href=${link("rollouts", met.plugin)}>${met.plugin}</a> ${met.version} <span class="tag">${met.arm}</span></div>`)], ["Attempts", one.attempts > 1 ? one.attempts : ""], ["Plan", one.plan], ["Trace", one.trace_id && html`<code>${one.trace_id}</code>`], ["In", bytes(one.bytes_in)], ["Out", bytes(one.bytes_out)],
    ...Object.entries(one.fields ?? {}).map(([name, value]) => [name, String(value)])];
  return html`<section class="card"><header><h2>Facts</h2></header><div class="pad"><dl class="facts">${rows.filter(([, value]) => value != null && value !== "").map(([name, value]) => html`<dt>${name}</dt><dd>${value}</dd>`)}</dl></div></section>`;
}

const FAILED = new Set(["failed", "failed open", "refused"]);
const TONE = { passed: "ok", answered: "warning", rerouted: "warning", awaited: "warning", "failed open": "warning", "passed over": "warning", failed: "failed", refused: "failed", missing: "failed" };

/** The way of a request. Shared by what was and what would be. */
function Steps({ why, one, missing }) {
  if (missing) return html`<div class="card empty">${missing.message}</div>`;
  if (!why.route) return html`<p class="wait" role="status">Asking why …</p>`;
  const { route, plugins = [], upstream, answered_by: by, phases } = why;
  let step = 0;
  const number = () => String(++step);
  return html`<div><ol class="steps">
    <li data-step=${number()} class=${route.name ? "" : "stop"}><h2>${route.name ? html`Route <a href=${link("requests", "", { route: route.name })}>${route.name}</a>` : "No route"}</h2>
      <p class="dim">${route.name ? [route.host ? `host ${route.host}` : "any host", route.path && `path ${route.path}`, route.answers && `answers by ${LEAVES[route.answers] ?? route.answers}`].filter(Boolean).join(", ") : "None matches the host and the path."}</p><${Losers} others=${route.others ?? []} /></li>
    <li data-step=${number()} class=${plugins.some((each) => ["answered", "refused", "missing", "awaited", "failed"].includes(each.decision)) ? "stop" : ""}><h2>${plugins.length ? "Plugins" : "No plugins"}</h2>${plugins.length > 0 && html`<${Waterfall} plugins=${plugins} total=${phases?.duration_us} />`}</li>
    ${upstream && html`<li data-step=${number()} class=${upstream.tries.every((each) => each.outcome !== "answered") ? "stop" : ""}><h2>Upstream ${upstream.name}</h2><${Tries} upstream=${upstream} /></li>`}
    <li data-step=${number()} class=${one.status >= 500 ? "stop" : ""}><h2>Answered by ${by?.kind === "plugin" || by?.kind === "upstream" ? `${by.kind === "plugin" ? "the plugin " : ""}${by.name}` : by?.kind === "route" ? `the route, by ${leaf(by.name)}` : by?.kind === "nobody" ? "nobody: the client had left" : "the edge"}</h2>
      ${why.error && html`<p class="is-bad">■ ${why.error}</p>`}<${Phases} phases=${phases} /><${Changed} label="of the request" headers=${why.request_headers} /><${Changed} label="of the answer" headers=${why.response_headers} /></li></ol>
    ${(why.notes ?? []).map((text) => html`<p class="small faint">${text}</p>`)}</div>`;
}

function Losers({ others }) {
  const [isAll, setAll] = useState(false);
  if (!others.length) return null;
  const shown = isAll ? others : others.slice(0, 4);
  return html`<div class="card"><${Scroll} label="Routes that lost"><table><thead><tr><th scope="col">Other routes</th><th scope="col" class="text">Lost because</th></tr></thead><tbody>${shown.map((each) => html`<tr><th scope="row">${each.name} <span class="faint small">${[each.host, each.path].filter(Boolean).join("")}</span></th><td class="dim">${each.why}</td></tr>`)}</tbody></table><//>
    ${shown.length < others.length && html`<p class="pad"><button type="button" class="link" onClick=${() => setAll(true)}>${others.length - shown.length} more</button></p>`}</div>`;
}

/** Calls of plugins in the order they came: forth with the request, back with the answer. */
function Waterfall({ plugins, total }) {
  const forth = plugins.map((each) => each.request?.us ?? 0), back = plugins.map((each) => each.response?.us ?? 0);
  const own = [...forth, ...back].reduce((sum, time) => sum + time, 0), whole = Math.max(own, 1);
  const left = (times) => times.reduce((sum, time) => sum + time, 0) / whole;
  const isTimed = plugins.some((each) => each.request || each.response);
  return html`<div class="card"><${Scroll} label="Plugins of this request"><table><thead><tr><th scope="col" class="name">Plugin</th><th scope="col" class="text">Decision</th>${isTimed && html`<th scope="col" class="num">Request</th><th scope="col" class="num">Answer</th><th scope="col"><span class="sr">When</span></th>`}</tr></thead>
    <tbody>${plugins.map((each, i) => html`<tr><th scope="row"><a href=${link("plugin", each.name)}>${each.name}</a> <span class="faint">${each.version}</span>${each.arm && html` <a class=${"tag" + (each.arm === "candidate" ? " accent" : "")} href=${link("rollouts", each.name)} title="A version of it was being rolled out">${each.arm}</a>`}</th>
      <td><${State} of=${TONE[each.decision] ?? "off"}>${each.decision}${each.why ? ":" : ""}<//> <span class="dim">${each.why}</span>${FAILED.has(each.decision) && html` <a class="small" href=${link("plugin", each.name, { tab: "failures" })}>its failures</a>`}${each.rule && html` <span class="faint small">${each.rule}</span>`}${each.request?.waited_us > 0 && html` <span class="faint small">waited ${us(each.request.waited_us)}</span>`}<${Changed} headers=${each.request?.headers} label="of the request" isShort /><${Changed} headers=${each.response?.headers} label="of the answer" isShort /></td>
      ${isTimed && html`<td class="num">${each.request?.us != null ? us(each.request.us) : ""}</td><td class="num">${each.response?.us != null ? us(each.response.us) : ""}</td><td><div class="fall" aria-hidden="true">
        ${forth[i] > 0 && html`<i class=${["answered", "failed", "refused"].includes(each.decision) ? "bad" : ""} style=${{ left: `${left(forth.slice(0, i)) * 100}%`, width: `${(forth[i] / whole) * 100}%` }}></i>`}
        ${back[i] > 0 && html`<i class="back" style=${{ left: `${(left(forth) + left(back.slice(i + 1))) * 100}%`, width: `${(back[i] / whole) * 100}%` }}></i>`}</div></td>`}</tr>`)}</tbody>
    ${isTimed && html`<tfoot><tr><th scope="row" class="dim">All</th><td class="dim">${total ? `${((own / total) * 100).toFixed(1)} % of the request` : ""}</td><td class="num dim" colspan="2">${us(own)}</td><td></td></tr></tfoot>`}</table><//></div>`;
}

function Tries({ upstream }) {
  return html`<ul class="card problems">${upstream.tries.map((each, i) => html`<li><span class="faint">${i + 1}.</span><span><span class="mono">${each.target}</span> <${State} of=${each.outcome === "answered" ? "ok" : "failed"}>${each.outcome}<//> <span class="dim">${each.why}</span></span></li>`)}</ul>
    ${(upstream.chosen_upstream || upstream.chosen_target) && html`<p class="small faint">A plugin chose ${upstream.chosen_target || upstream.chosen_upstream}.</p>`}`;
}

/** Where the time went, as one bar. */
function Phases({ phases }) {
  if (phases?.before_us == null || phases.upstream_us == null) return null;
  const parts = [["before it was sent on", phases.before_us, ""], ["until the head of the answer came", phases.upstream_us, ""], ["until its end", phases.after_us, ""]].filter(([, time]) => time != null);
  return html`<p class="small dim">${parts.map(([what, time]) => `${us(time)} ${what}`).join(", ")}.</p><div class="phases" aria-hidden="true">${parts.map(([, time], i) => html`<i class=${i === 1 ? "main" : ""} style=${{ flexGrow: Math.max(time, 1) }}></i>`)}</div>`;
}

function Changed({ headers, label, isShort }) {
  if (!headers) return null;
  const parts = [["+", "added", headers.added], ["~", "changed", headers.changed], ["−", "removed", headers.removed]].filter(([, , names]) => names.length);
  if (!parts.length) return isShort ? null : html`<p class="small faint">No header ${label} was changed.</p>`;
  return html`<p class="small faint">Headers ${label}: ${parts.flatMap(([sign, what, names]) => names.map((name) => html`<code class="tag" title=${what}>${sign} ${name}<span class="sr"> ${what}</span></code> `))}${headers.more > 0 && `and ${headers.more} more`}</p>`;
}

function DryRun() {
  const { query } = useStore(place);
  const [typed, setTyped] = useState({ method: query.method ?? "GET", url: query.url ?? "", headers: "", client: query.client ?? "", plugins: false });
  const [answer, setAnswer] = useState(null);
  const set = (name) => (event) => setTyped({ ...typed, [name]: event.target.type === "checkbox" ? event.target.checked : event.target.value });
  const run = async () => {
    const headers = {};
    for (const line of typed.headers.split("\n").filter((line) => line.trim())) {
      const colon = line.indexOf(":");
      if (colon < 1) { toast(`Not a header: ${line}. Write Name: value, one a line.`, { bad: true }); return; }
      (headers[line.slice(0, colon).trim()] ??= []).push(line.slice(colon + 1).trim());
    }
    setQuery({ method: typed.method, url: typed.url, client: typed.client });
    setAnswer(null);
    setAnswer(await ask("/explain", { method: "POST", body: { method: typed.method, url: typed.url, headers, ...(typed.client ? { client: typed.client } : {}), plugins: typed.plugins } }));
  };
  return html`<${Head} title="Why" text="What would happen to a request that nobody has sent. Nothing goes to an origin. To see what happened to one, open it from the list of requests." />
    <div class="stack"><section class="card"><form class="pad form" onSubmit=${(e) => e.preventDefault()}>
      <div class="row tight-row"><label class="field"><span>Method</span><input value=${typed.method} list="methods" size="8" onInput=${set("method")} /></label><label class="field grow wide-field"><span>URL</span><input value=${typed.url} placeholder="https://shop.example.com/api/cart" spellcheck="false" onInput=${set("url")} /></label>
        <label class="field"><span>Client</span><input value=${typed.client} placeholder="203.0.113.9" size="16" onInput=${set("client")} /></label></div>
      <datalist id="methods">${["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS"].map((one) => html`<option value=${one}></option>`)}</datalist>
      <label class="field"><span>Headers, one a line</span><textarea class="mono" rows="3" value=${typed.headers} placeholder="Authorization: Bearer …" spellcheck="false" onInput=${set("headers")}></textarea></label>
      <div class="row"><label class="check"><input type="checkbox" checked=${typed.plugins} onChange=${set("plugins")} /><span>Run the plugins too <span class="faint">with a stand-in for the origin; what they do besides, such as counting, is real; takes the role operate</span></span></label><span class="grow"></span>
        <${Action} kind="main" type="submit" role=${typed.plugins ? "operate" : "observe"} not=${typed.url ? "" : "Type a URL."} run=${run}>Explain<//></div></form></section>
      ${answer && html`<div aria-live="polite"><p class="verdict below"><${Would} answer=${answer} /></p><${Steps} why=${answer} one=${answer} /></div>`}</div>`;
}
