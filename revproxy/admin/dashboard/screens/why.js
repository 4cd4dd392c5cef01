/** Why: how one request went, step by step; or how one would go that nobody has sent. */
import { ask, useAsk } from "../parts/api.js";
import { Action } from "../parts/action.js";
import { bytes, us } from "../parts/format.js";
import { html, useState } from "../parts/html.js";
import { link, place, setQuery } from "../parts/place.js";
import { Head, Missing, Scroll, State, Status } from "../parts/states.js";
import { useStore } from "../parts/store.js";
import { toast } from "../parts/toast.js";

export default function Why() {
  const { rest: id } = useStore(place);
  return id ? html`<${One} key=${id} id=${id} />` : html`<${DryRun} />`;
}

function One({ id }) {
  const path = `/requests/${encodeURIComponent(id)}`;
  const record = useAsk(path), asked = useAsk(`${path}/explain`);
  const crumb = html`<a href=${link("requests")}>Requests</a>`;
  if (!record.data && !asked.data) return html`<${Head} title=${id} crumb=${crumb} /><${Missing} asked=${record.error ? record : asked} what="this request" />`;
  const one = record.data ?? asked.data.request ?? {}, why = asked.data ?? {};
  return html`<${Head} title=${html`${one.method} <span class="dim">${one.host}</span>${one.target}`} crumb=${crumb}><a class="button" href=${link("why", "", { method: one.method, url: `${one.scheme}://${one.host}${one.target}`, client: one.peer })}>Try it as a dry run</a><//>
    <p class="verdict below"><${Verdict} one=${one} why=${why} /></p>
    <div class="aside"><${Steps} why=${why} one=${one} missing=${asked.error} /><${Facts} one=${one} /></div>`;
}

function Verdict({ one, why }) {
  const took = one.duration_us ? ` after ${us(one.duration_us)}` : "";
  const by = why.answered_by?.name ?? why.answered_by ?? "";
  if (one.interrupted_by) return html`<${Status} of=${one.status} /> by the plugin <a href=${link("plugin", one.interrupted_by)}>${one.interrupted_by}</a>${took}, instead of the route.`;
  if (one.error) return html`<${Status} of=${one.status} />${took}: ${one.error}.`;
  if (one.upstream) return html`<${Status} of=${one.status} /> from ${one.upstream}${took}${one.upstream_us ? `, ${us(one.upstream_us)} of which there` : ""}.`;
  return html`<${Status} of=${one.status ?? why.status} />${by ? ` by ${by}` : ""}${took}.`;
}

function Facts({ one }) {
  const rows = [["Request id", html`<code>${one.id}</code>`], ["Time", one.time], ["Client", one.peer], ["Protocol", `${one.scheme} ${one.version ? "HTTP/" + one.version : ""}`], ["Route", one.route || "none"], ["Upstream", [one.upstream_name, one.upstream].filter(Boolean).join(" → ")],
    ["Attempts", one.attempts > 1 ? one.attempts : ""], ["Plan", one.plan], ["Trace", one.trace_id && html`<code>${one.trace_id}</code>`], ["In", bytes(one.bytes_in)], ["Out", bytes(one.bytes_out)],
    ...Object.entries(one.fields ?? {}).map(([name, value]) => [name, String(value)])];
  return html`<section class="card"><header><h2>Facts</h2></header><div class="pad"><dl class="facts">${rows.filter(([, value]) => value != null && value !== "").map(([name, value]) => html`<dt>${name}</dt><dd>${value}</dd>`)}</dl></div></section>`;
}

const list = (value) => [].concat(value ?? []);

/** The way of a request. Shared by what was and what would be. */
function Steps({ why, one, missing }) {
  const route = why.route ?? {}, runners = list(why.others ?? why.runners_up ?? route.others), plugins = list(why.plugins), attempts = list(why.attempts ?? why.targets ?? why.upstream?.attempts);
  const name = typeof route === "string" ? route : route.name ?? one.route;
  if (missing) return html`<div class="card pad"><p class="dim">${missing.message}</p></div>`;
  let step = 0;
  const number = () => String(++step);
  return html`<ol class="steps">
    <li data-step=${number()} class=${name ? "" : "stop"}><h2>${name ? html`Route <a href=${link("requests", "", { route: name })}>${name}</a>` : "No route"}</h2><p class="dim">${route.reason ?? route.why ?? (name ? "" : "None matched the host and the path.")}</p>
      ${runners.length > 0 && html`<div class="card"><${Scroll} label="Routes that lost"><table><thead><tr><th scope="col">Others</th><th scope="col" class="text">Lost because</th></tr></thead><tbody>${runners.map((other) => html`<tr><th scope="row" class="nowrap">${other.route ?? other.name}</th><td class="dim">${other.reason ?? other.why}</td></tr>`)}</tbody></table><//></div>`}</li>
    <li data-step=${number()}><h2>${plugins.length ? "Plugins" : "No plugins"}</h2>
      ${plugins.length > 0 && html`<${Waterfall} plugins=${plugins} total=${one.duration_us} />`}</li>
    ${attempts.length > 0 && html`<li data-step=${number()} class=${attempts[attempts.length - 1].error ? "stop" : ""}><h2>Upstream ${why.upstream?.name ?? ""}</h2><ul class="card problems">${attempts.map((tried, i) => html`<li><span class="faint">${i + 1}.</span><span><span class="mono">${tried.target ?? tried.url}</span>
        ${tried.error ? html` <${State} of="failed">${tried.error}<//>` : tried.status ? html` <${Status} of=${tried.status} />` : ""} ${tried.us != null && html`<span class="dim">${us(tried.us ?? tried.duration_us)}</span>`} <span class="dim">${tried.reason ?? tried.why ?? ""}</span></span></li>`)}</ul></li>`}
    <li data-step=${number()} class=${one.status >= 500 ? "stop" : ""}><h2>Answered by ${who(why, one)}</h2>${one.status && html`<p class="dim">Status <${Status} of=${one.status} />${one.bytes_out ? `, ${bytes(one.bytes_out)}` : ""}${one.error ? `, ${one.error}` : ""}</p>`}
      <${Changed} headers=${why.headers ?? why.changed_headers} /></li></ol>
    ${why.note && html`<p class="small faint">${why.note}</p>`}`;
}

const who = (why, one) => why.answered_by?.name ?? why.answered_by ?? one.interrupted_by ?? one.upstream ?? "the edge";

function Waterfall({ plugins, total }) {
  const own = plugins.reduce((sum, one) => sum + (one.us ?? one.self_us ?? 0), 0), whole = Math.max(own, 1);
  let before = 0;
  return html`<div class="card"><${Scroll} label="Plugins of this request"><table><thead><tr><th scope="col">Plugin</th><th scope="col">Decision</th><th scope="col" class="num">Self time</th><th scope="col"><span class="sr">Share</span></th></tr></thead>
    <tbody>${plugins.map((one) => {
      const time = one.us ?? one.self_us ?? 0, at = before;
      before += time;
      const isSkipped = one.skipped || one.ran === false, decision = one.decision ?? (isSkipped ? "skipped" : "went on"), isStop = /refus|interrupt|answer|stop|fail|error/.test(decision);
      return html`<tr><th scope="row" class="name"><a href=${link("plugin", one.name ?? one.plugin)}>${one.name ?? one.plugin}</a> <span class="faint">${one.version}</span></th>
        <td class="text"><${State} of=${isSkipped ? "off" : isStop ? "failed" : "ok"}>${decision}<//> <span class="dim">${one.why ?? one.reason ?? (typeof one.skipped === "string" ? one.skipped : "")}</span></td><td class="num">${isSkipped ? "" : us(time)}</td>
        <td>${!isSkipped && html`<div class="fall" aria-hidden="true"><i class=${isStop ? "bad" : ""} style=${{ left: `${(at / whole) * 100}%`, width: `${(time / whole) * 100}%` }}></i></div>`}</td></tr>`;
    })}</tbody><tfoot><tr><th scope="row" class="dim">All</th><td class="dim">${total ? `${((own / total) * 100).toFixed(1)} % of the request` : ""}</td><td class="num dim">${us(own)}</td><td></td></tr></tfoot></table><//></div>`;
}

function Changed({ headers }) {
  if (!headers) return null;
  const rows = Array.isArray(headers) ? [["changed", headers]] : Object.entries(headers);
  const shown = rows.filter(([, names]) => (Array.isArray(names) ? names.length : Object.keys(names ?? {}).length));
  if (!shown.length) return html`<p class="small faint">No header was changed.</p>`;
  return html`<dl class="facts small">${shown.map(([what, names]) => html`<dt>Headers ${what.replace(/_/g, " ")}</dt><dd>${Array.isArray(names) ? names.map((name) => html`<code class="tag">${typeof name === "string" ? name : `${name.name} by ${name.by ?? name.plugin}`}</code> `)
    : Object.entries(names).map(([how, which]) => html`${how.replace(/_/g, " ")}: ${list(which).map((name) => html`<code class="tag">${name}</code> `)} `)}</dd>`)}</dl><p class="small faint">Names only: values are never kept.</p>`;
}

function DryRun() {
  const { query } = useStore(place);
  const [typed, setTyped] = useState({ method: query.method ?? "GET", url: query.url ?? "", headers: "", client: query.client ?? "", plugins: false });
  const [answer, setAnswer] = useState(null);
  const set = (name) => (event) => setTyped({ ...typed, [name]: event.target.type === "checkbox" ? event.target.checked : event.target.value });
  const run = async () => {
    const headers = [];
    for (const line of typed.headers.split("\n").filter((line) => line.trim())) {
      const colon = line.indexOf(":");
      if (colon < 1) { toast(`Not a header: ${line}. Write Name: value, one a line.`, { bad: true }); return; }
      headers.push([line.slice(0, colon).trim(), line.slice(colon + 1).trim()]);
    }
    setQuery({ method: typed.method, url: typed.url, client: typed.client });
    setAnswer(null);
    setAnswer(await ask("/explain", { method: "POST", body: { method: typed.method, url: typed.url, headers, ...(typed.client ? { client: typed.client } : {}), plugins: typed.plugins } }));
  };
  return html`<${Head} title="Why" text="What would happen to a request that nobody has sent. Nothing goes to an origin. To see what happened to one, open it from the list of requests." />
    <div class="stack"><section class="card"><form class="pad form" onSubmit=${(e) => e.preventDefault()}>
      <div class="row"><label class="field"><span>Method</span><input value=${typed.method} list="methods" size="8" onInput=${set("method")} /></label><label class="field grow"><span>URL</span><input value=${typed.url} placeholder="https://shop.example.com/api/cart" spellcheck="false" onInput=${set("url")} /></label>
        <label class="field"><span>Client</span><input value=${typed.client} placeholder="203.0.113.9" size="16" onInput=${set("client")} /></label></div>
      <datalist id="methods">${["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS"].map((one) => html`<option value=${one}></option>`)}</datalist>
      <label class="field"><span>Headers, one a line</span><textarea class="mono" rows="3" value=${typed.headers} placeholder="Authorization: Bearer …" spellcheck="false" onInput=${set("headers")}></textarea></label>
      <div class="row"><label class="check"><input type="checkbox" checked=${typed.plugins} onChange=${set("plugins")} /><span>Run the plugins too <span class="faint">on a double of the request; takes the role operate</span></span></label><span class="grow"></span>
        <${Action} kind="main" type="submit" role=${typed.plugins ? "operate" : "observe"} not=${typed.url ? "" : "Type a URL."} run=${run}>Explain<//></div></form></section>
      ${answer && html`<div aria-live="polite"><p class="verdict below">${answer.text ?? answer.summary ?? ""}</p><${Steps} why=${answer} one=${answer.request ?? { route: answer.route?.name, status: answer.status }} /></div>`}</div>`;
}
