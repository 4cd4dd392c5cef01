/** Requests: the last ones, found by what one knows of them, and as they come. */
import { ask, lost, mayNot, query as params, Refused, session, useAsk } from "../parts/api.js";
import { count, time, us } from "../parts/format.js";
import { html, useEffect, useRef, useState } from "../parts/html.js";
import { link, place, setQuery } from "../parts/place.js";
import { Bar, Choice, Empty, Head, Status } from "../parts/states.js";
import { useStore } from "../parts/store.js";
import { readStream } from "../parts/stream.js";
import { Lines } from "../parts/lines.js";

const PAGE = 200;
const KEPT = 5000;
const FIELDS = [
  ["route", "Route", "any"], ["host", "Host", "shop.example.com"], ["method", "Method", "GET"], ["path", "Path", "/api/ or /a/*/b"], ["status", "Status", "5xx, 404, 400-499"],
  ["plugin", "Plugin", "any"], ["arm", "On trial", "candidate"], ["client", "Client", "10.0.0.0/8"], ["slower", "Slower than", "500ms"], ["since", "Since", "15m"],
];
const SHORT = new Set(["path", "status"]);
const NAMES = FIELDS.map(([name]) => name);

export default function Requests() {
  const { query } = useStore(place);
  const filters = Object.fromEntries(NAMES.map((name) => [name, query[name] ?? ""]));
  const isLive = query.live === "1";
  const key = params(filters);
  const found = useRequests(key, isLive);
  const status = query.status ?? "";
  return html`<${Head} title="Requests">
      <${Choice} label="Status" at=${["", "4xx", "5xx"].includes(status) ? status : null} pick=${(status) => setQuery({ status })} options=${[["", "All"], ["4xx", "4xx"], ["5xx", "5xx"]]} />
      <button type="button" class=${"button" + (isLive ? " main" : "")} aria-pressed=${String(isLive)} onClick=${() => setQuery({ live: isLive ? "" : "1" })}>${isLive ? "■ Stop following" : "▶ Follow"}</button><//>
    <section class="card"><${Filters} filters=${filters} />
      <${Found} found=${found} isLive=${isLive} isFiltered=${Boolean(key)} /></section>`;
}

/** The filters; what is typed goes into the address shortly after. */
function Filters({ filters }) {
  const routes = (useAsk("/status").data?.routes ?? []).map((one) => one.route);
  const timer = useRef();
  const [isOpen, setOpen] = useState(false);
  const [typed, setTyped] = useState(filters);
  useEffect(() => setTyped(filters), [params(filters)]);
  const type = (name, value) => {
    const next = { ...typed, [name]: value };
    setTyped(next);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => setQuery(next), 350);
  };
  const isAny = Object.values(typed).some(Boolean);
  return html`<form class=${"filters" + (isOpen ? " open" : "")} role="search" aria-label="Filter requests" onSubmit=${(e) => { e.preventDefault(); clearTimeout(timer.current); setQuery(typed); }}>
    ${FIELDS.map(([name, label, hint]) => html`<label class=${"field" + (SHORT.has(name) ? "" : " more")} key=${name}><span>${label}</span>
      <input value=${typed[name]} placeholder=${hint} list=${name === "route" ? "routes" : undefined} spellcheck="false" autocomplete="off" onInput=${(e) => type(name, e.target.value)} /></label>`)}
    <datalist id="routes">${routes.map((name) => html`<option value=${name}></option>`)}</datalist>
    ${isAny && html`<div class="field"><span> </span><button type="button" class="button quiet" onClick=${() => { clearTimeout(timer.current); setQuery(Object.fromEntries(NAMES.map((name) => [name, ""]))); }}>Clear</button></div>`}
    <button type="button" class="button quiet fewer" aria-expanded=${String(isOpen)} onClick=${() => setOpen(!isOpen)}>${isOpen ? "Fewer filters" : "More filters"}</button>
    <button type="submit" class="sr" tabindex="-1">Search</button></form>`;
}

/** Newest first. @returns {{items: object[], error?: Error, isDone: boolean, more: () => void, fresh: number}} */
function useRequests(key, isLive) {
  const [state, setState] = useState({ items: [], next: null, isDone: false });
  const current = useRef();
  const state_ = useRef(state);
  state_.current = state;
  const add = (items) => setState((before) => {
    const known = new Set(before.items.slice(0, PAGE * 2).map((one) => one.number));
    const fresh = items.filter((one) => !known.has(one.number));
    return fresh.length ? { ...before, items: [...fresh, ...before.items].slice(0, KEPT) } : before;
  });
  useEffect(() => {
    const ends = new AbortController();
    current.current = ends;
    const first = async () => {
      if (lost.get()) return;
      try {
        const answer = await ask(`/requests${key ? key + "&" : "?"}limit=${PAGE}`, { signal: ends.signal });
        setState({ items: answer.items, next: answer.next, remembered: answer.remembered, isDone: true });
      } catch (error) {
        if (!ends.signal.aborted) setState((before) => ({ ...before, isDone: true, error: error instanceof Refused ? error : before.error }));
      }
    };
    first();
    const unheard = lost.hear((gone) => { if (!gone) first(); }), unheardWho = session.hear((who) => { if (who) first(); });
    const stop = isLive && !mayNot("observe") ? follow(key, ends.signal, add) : null;
    return () => { ends.abort(); unheard(); unheardWho(); stop?.(); };
  }, [key, isLive]);
  const more = async () => {
    const { next } = state_.current, ends = current.current;
    if (!next || state_.current.isAsking) return;
    setState((before) => ({ ...before, isAsking: true }));
    const answer = await ask(`/requests${key ? key + "&" : "?"}limit=${PAGE}&cursor=${encodeURIComponent(next)}`, { signal: ends.signal }).catch(() => null);
    if (!ends.signal.aborted) setState((before) => ({ ...before, isAsking: false, next: answer?.next ?? null, items: [...before.items, ...(answer?.items ?? [])] }));
  };
  return { ...state, more };
}

/**
 * What comes, while the page is seen. Two tabs may stream at a time, others ask each two seconds: a browser has six
 * connections.
 */
function follow(key, signal, add) {
  let waiting = [], turn;
  const flush = () => { turn = undefined; add(waiting.reverse()); waiting = []; };
  const hear = (record, id, kind) => { if (kind === "missed") return; waiting.push(record); if (waiting.length > PAGE) waiting.shift(); turn ??= setTimeout(flush, 200); };
  const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
  const poll = async () => add((await ask(`/requests${key ? key + "&" : "?"}limit=${PAGE}`, { signal })).items);
  let seen = null;
  const run = async (ends) => {
    while (!ends.aborted) {
      const stream = (slot) => navigator.locks.request(`revproxy-requests-${slot}`, { ifAvailable: true }, async (lock) => {
        if (lock) await readStream(`/requests/live${key}`, ends, hear);
        return Boolean(lock);
      });
      try {
        if (!navigator.locks || !((await stream(1)) || (await stream(2)))) await poll();
      } catch {
        if (!ends.aborted && !lost.get()) await poll().catch(() => {});
      }
      await pause(2000);
    }
  };
  const begin = () => { seen?.abort(); seen = null; if (!document.hidden) { seen = new AbortController(); run(seen.signal); } };
  document.addEventListener("visibilitychange", begin);
  begin();
  return () => { seen?.abort(); document.removeEventListener("visibilitychange", begin); clearTimeout(turn); };
}

function Found({ found, isLive, isFiltered }) {
  const { items, error, isDone, next, more, remembered } = found, isLost = useStore(lost);
  if (error) return html`<div class="pad"><div class="note bad" role="alert">${error.message}</div></div>`;
  if (!isDone) return html`<p class="wait" role="status">${isLost ? "Once the edge answers, requests will be here." : "Searching …"}</p>`;
  if (!items.length) return html`<${Empty} title=${isFiltered ? "No request is like that" : "No requests yet"}>${isFiltered ? `Among the last ${count(remembered)}, which are remembered. Take a filter away, or follow what comes.` : "They appear here as soon as one is answered."}<//>`;
  const slowest = Math.max(...items.slice(0, PAGE).map((one) => one.duration_us), 1);
  return html`<div class="list-head" aria-hidden="true"><span>Time</span><span>Status</span><span>Method</span><span>Host and path</span><span>Route</span><span class="at-wide">Answered by</span><span class="took"><i></i>Took</span><span class="l-peer">Client</span></div>
    <${Lines} items=${items} more=${more} label=${`Requests, ${count(items.length)}${next ? " and more" : ""}, the latest first`} draw=${(one) => html`<${Line} one=${one} slowest=${slowest} />`} />
    <p class="sr" aria-live="polite">${isLive ? "" : `${count(items.length)} requests`}</p>`;
}

function Line({ one, slowest }) {
  const who = one.interrupted_by ? html`<span class="tag warn">${one.interrupted_by}</span>` : one.plugin_errors?.length ? html`<span class="tag bad" title=${one.plugin_errors.join("\n")}>${one.plugin_errors[0]}</span>`
    : one.error ? html`<span class="tag bad" title=${one.error}>${one.error}</span>` : one.upstream ? html`<span title=${one.upstream}>${one.upstream.replace(/^https?:\/\//, "")}</span>` : one.status === 499 ? "nobody" : one.route ? "the route" : "the edge";
  return html`<a class="line" href=${link("why", one.id)}><span class="l-time">${time(one.at)}</span><${Status} of=${one.status} /><span>${one.method}</span>
    <span class="l-path" title=${one.host + one.target}><span class="faint">${one.host}</span>${one.target}</span><span class="l-route dim" title=${one.route}>${one.route || "–"}</span>
    <span class="l-up dim at-wide">${who}</span><span class="took"><${Bar} of=${Math.sqrt(one.duration_us / slowest)} />${us(one.duration_us)}</span><span class="l-peer dim">${one.peer}</span></a>`;
}
