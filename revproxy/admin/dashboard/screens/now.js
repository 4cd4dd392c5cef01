/** Now: what passes, how much of it fails, how long it takes; what fires and what has changed. */
import { Labels, worstFirst } from "../parts/alert.js";
import { ask, query, useAsk } from "../parts/api.js";
import { Spark } from "../parts/chart.js";
import { count, duration, ms, plural, rate, share } from "../parts/format.js";
import { html, useEffect, useRef, useState } from "../parts/html.js";
import { link, place, setQuery } from "../parts/place.js";
import { Choice, Empty, Head, Missing, Scroll, State, When } from "../parts/states.js";
import { useStore } from "../parts/store.js";
import { events } from "../parts/stream.js";
import { SPANS, TrafficCharts, useTraffic } from "../parts/trafficcharts.js";

const SPARKED = 16;
const MOST = 60;
const FIRING = 6;
const CHANGES = new Set(["loaded", "replaced", "removed", "configured", "unpinned", "restored", "quarantined", "refused", "reverted"]);

export default function Now() {
  const asked = useAsk("/status", 2), status = asked.data;
  const { query: { span = "900", of = "", name = "" } } = useStore(place);
  const total = useTraffic(span), part = useTraffic(span, of || undefined, name), traffic = of ? part : total;
  if (!status) return html`<${Head} title="Now" /><${Missing} asked=${asked} what="what is happening" />`;
  return html`<${Head} title="Now"><${Parts} status=${status} of=${of} name=${name} /><${Choice} label="Time span" options=${SPANS} at=${span} pick=${(span) => setQuery({ span })} /><//>
    <div class="stack">
      ${!status.is_ready && html`<div class="note warn"><strong>Not ready.</strong> ${(status.not_ready ?? []).join("; ")}</div>`}
      ${status.config?.failure && html`<div class="note bad"><strong>The configuration as it is now is not in force.</strong> ${status.config.failure.message ?? status.config.failure} <a href=${link("configuration")}>Show it</a></div>`}
      ${status.alerts_firing > 0 && html`<div class="note bad instead"><strong>■ ${plural(status.alerts_firing, "alert fires", "alerts fire")}.</strong> <a href=${link("events")}>Show</a></div>`}
      <${Tiles} status=${status} points=${total.points} />
      <div class="aside"><div class="stack"><${TrafficCharts} key=${of + name} traffic=${traffic} /><${Routes} status=${status} /></div>
        <div class="stack"><${Firing} status=${status} /><${Changed} /></div></div>
    </div>`;
}

/** What the charts are of: everything, a route, an upstream. */
function Parts({ status, of, name }) {
  const routes = status.routes.map((one) => one.route), upstreams = [...new Set(status.routes.map((one) => one.upstream).filter(Boolean))];
  const pick = (event) => { const [of, ...rest] = event.target.value.split(":"); setQuery({ of, name: rest.join(":") }); };
  return html`<select aria-label="Charts of" value=${of ? `${of}:${name}` : ""} onChange=${pick}><option value="">All requests</option>
    <optgroup label="Routes">${routes.map((one) => html`<option value=${`route:${one}`}>${one || "(no route)"}</option>`)}</optgroup>
    <optgroup label="Upstreams">${upstreams.map((one) => html`<option value=${`upstream:${one}`}>${one}</option>`)}</optgroup></select>`;
}

function Tiles({ status, points }) {
  const now = status.total.last_10s, hour = status.total.last_hour;
  const last = points.slice(-60), of = (read) => last.map(read);
  const tiles = [
    ["Requests", rate(now.rate), "/s", `${rate(hour.rate)} /s in the last hour`, of((p) => p.requests)],
    ["Failing, 5xx", share(now.share_5xx), "", `${share(hour.share_5xx)} in the last hour`, of((p) => p.errors_5xx), true],
    ["Refused, 4xx", share(now.share_4xx), "", `${share(hour.share_4xx)} in the last hour`, of((p) => p.errors_4xx)],
    ["p50", ms(now.p50_ms), "", `${ms(hour.p50_ms)} in the last hour`, of((p) => p.p50_ms)],
    ["p95", ms(now.p95_ms), "", `${ms(hour.p95_ms)} in the last hour`, of((p) => p.p95_ms)],
    ["p99", ms(now.p99_ms), "", `${ms(hour.p99_ms)} in the last hour`, of((p) => p.p99_ms)],
    ["In flight", count(status.requests_in_flight), "", status.requests_in_flight ? `oldest ${duration(status.oldest_request_seconds)}` : "nothing waits"],
    ["Connections", count(status.connections), "", html`<a href=${link("connections")}>who they are</a>`],
  ];
  return html`<dl class="tiles" aria-label="The last ten seconds">${tiles.map(([name, value, unit, under, values, isBad]) => html`<div class="tile"><dt>${name}</dt>
    <dd>${value}${unit && html`<small>${unit}</small>`}<div class="under">${under}</div>${values && html`<${Spark} values=${values} isBad=${isBad} />`}</dd></div>`)}</dl>`;
}

/** The last minutes of a route's rate: as the edge remembers them at first, then as this page sees them. */
function useRates(routes) {
  const kept = useRef({});
  const [, drawn] = useState(0);
  useEffect(() => {
    for (const { route } of routes.slice(0, SPARKED)) {
      ask(`/traffic${query({ of: "route", name: route, seconds: 600, step: 10 })}`).then(({ points, step_seconds: step }) => {
        kept.current[route] = [...points.slice(0, -1).map((p) => p.requests / step), ...(kept.current[route] ?? [])].slice(-90);
        drawn((n) => n + 1);
      }, () => {});
    }
  }, []);
  useEffect(() => {
    for (const one of routes) (kept.current[one.route] ??= []).push(one.last_10s.rate ?? 0);
    for (const values of Object.values(kept.current)) if (values.length > 90) values.shift();
  }, [routes]);
  return kept.current;
}

function Routes({ status }) {
  const routes = [...(status.routes ?? [])].sort((a, b) => (b.last_10s.rate ?? 0) - (a.last_10s.rate ?? 0) || (b.last_hour.requests ?? 0) - (a.last_hour.requests ?? 0));
  const rates = useRates(status.routes ?? []);
  const [find, setFind] = useState("");
  const found = routes.filter((one) => !find || `${one.route} ${one.upstream}`.toLowerCase().includes(find.toLowerCase())), shown = found.slice(0, MOST);
  if (!routes.length) return html`<section class="card"><${Empty} title="No routes">revproxy.yaml names none.<//></section>`;
  return html`<section class="card" aria-labelledby="routes"><header><h2 id="routes">Routes</h2><span class="faint small">the last 10 s</span>${routes.length > 12 && html`<span class="end"><input aria-label="Find a route" placeholder="Find a route" value=${find} onInput=${(e) => setFind(e.target.value)} /></span>`}</header>
    <${Scroll} label="Routes"><table><thead><tr><th scope="col">Route</th><th scope="col" class="num">Rate /s</th><th scope="col"><span class="sr">Rate over time</span></th><th scope="col" class="num">4xx</th><th scope="col" class="num">5xx</th>
      <th scope="col" class="num">p50</th><th scope="col" class="num">p95</th><th scope="col" class="num">p99</th><th scope="col" class="num">p99, 1 h</th><th scope="col" class="num">In flight</th><th scope="col" class="num">Oldest</th></tr></thead>
      <tbody>${shown.map((one, i) => html`<${Route} key=${one.route} one=${one} rates=${i < SPARKED ? rates[one.route] : null} />`)}</tbody></table><//>${shown.length < found.length && html`<p class="pad dim small">The busiest ${MOST} of ${count(found.length)}.</p>`}</section>`;
}

/** What is not there is quieter than what is. */
const zero = (value) => value ? "" : " faint";

function Route({ one, rates }) {
  const now = one.last_10s, bad = now.share_5xx >= 0.01;
  return html`<tr><th scope="row" class="name wide"><a href=${link("requests", "", { route: one.route })}>${one.route || "(no route)"}</a>
      ${one.upstream && one.upstream !== one.route && html`<div class="small faint">→ ${one.upstream}</div>`}</th>
    <td class="num">${rate(now.rate)}</td><td class="tight">${rates && html`<${Spark} values=${rates} />`}</td>
    <td class=${"num" + zero(now.share_4xx)}>${share(now.share_4xx)}</td><td class=${"num" + (bad ? " is-bad" : zero(now.share_5xx))}>${bad ? "■ " : ""}${share(now.share_5xx)}</td>
    <td class="num">${ms(now.p50_ms)}</td><td class="num">${ms(now.p95_ms)}</td><td class="num">${ms(now.p99_ms)}</td><td class="num dim">${ms(one.last_hour.p99_ms)}</td>
    <td class=${"num" + zero(one.in_flight)}>${count(one.in_flight)}</td><td class="num dim">${one.in_flight ? duration(one.oldest_seconds) : ""}</td></tr>`;
}

function Firing({ status }) {
  const asked = useAsk("/alerts", 10), firing = worstFirst(asked.data?.firing ?? []);
  return html`<section class="card" aria-labelledby="firing"><header><h2 id="firing">Firing</h2><span class="end small"><a href=${link("events")}>All alerts</a></span></header>
    ${firing.length ? html`<ul class="timeline">${firing.slice(0, FIRING).map((one) => html`<li key=${one.fingerprint}><span class="small faint"><${When} at=${one.fired_at ?? one.since} isShort /></span><div><div class="row"><${State} of=${one.labels.severity === "critical" ? "firing" : "warning"}>${one.rule}<//><${Labels} of=${one} isShort /></div><div class="dim said" title=${one.text || one.summary}>${one.text || one.summary}</div></div></li>`)}</ul>${firing.length > FIRING && html`<p class="pad rest small"><a href=${link("events")}>${count(firing.length - FIRING)} more</a></p>`}`
      : html`<p class="pad dim">${status.alerts_firing ? plural(status.alerts_firing, "alert") : html`<${State} of="ok">Nothing fires<//>`}</p>`}</section>`;
}

function Changed() {
  const all = useStore(events), last = all.filter((event) => CHANGES.has(event.kind)).slice(-8).reverse();
  return html`<section class="card" aria-labelledby="changed"><header><h2 id="changed">Last changes</h2><span class="end small"><a href=${link("changes")}>History</a></span></header>
    ${last.length ? html`<ul class="timeline">${last.map((event) => html`<li key=${event.number}><span class="small faint"><${When} at=${event.at} isShort /></span>
      <div><strong>${event.kind}</strong> ${event.plugin && html`<a href=${link("plugin", event.plugin)}>${event.plugin} ${event.version.split(" ")[0]}</a>`}<div class="dim said" title=${event.text}>${event.text}</div></div></li>`)}</ul>`
      : html`<p class="pad dim">Nothing has changed since the edge began to remember.</p>`}</section>`;
}
