/** Asks the edge, knows who we are, and notices when the edge is gone and when it is back. */
import { useCallback, useEffect, useRef, useState } from "./html.js";
import { store } from "./store.js";

const BASE = "/api/v1";
const PATIENCE = 15_000;
const ROLES = ["read", "observe", "operate", "configure", "admin"];

/** Who is signed in: null: nobody; undefined: not asked yet. */
export const session = store(undefined);
/** Since when the edge is lost, in milliseconds, and the next try; null: it answers. */
export const lost = store(null);

/** The edge has answered, but not with what was asked. */
export class Refused extends Error {
  /** @param {number} status @param {object} problem RFC 9457 */
  constructor(status, problem) {
    super(problem.detail || problem.title || `HTTP ${status}`);
    this.status = status;
    this.problem = problem;
  }
}

/** The edge did not answer. */
export class Lost extends Error {}

/**
 * Ask the edge.
 * @param {string} path below /api/v1, parameters included
 * @param {{method?: string, body?: any, headers?: object, signal?: AbortSignal, isStream?: boolean}} [options]
 * @returns {Promise<any>} the answer's JSON; or the Response of a stream
 */
export async function ask(path, { method = "GET", body, headers = {}, signal, isStream } = {}) {
  const sent = { Accept: isStream ? "text/event-stream" : "application/json", ...headers };
  if (method !== "GET") sent["X-Revproxy"] = "1";
  if (body !== undefined) sent["Content-Type"] = "application/json";
  const ends = isStream ? signal : AbortSignal.any([AbortSignal.timeout(PATIENCE), ...(signal ? [signal] : [])]);
  let response, text;
  try {
    response = await fetch(BASE + path, {
      method, headers: sent, body: body === undefined ? undefined : JSON.stringify(body),
      signal: ends, credentials: "same-origin", cache: "no-store",
    });
    if (isStream && response.ok) return response;
    text = await response.text();
  } catch (error) {
    if (signal?.aborted) throw error;
    isLost();
    throw new Lost("The edge does not answer.");
  }
  isBack();
  const answer = parsed(text);
  if (response.ok) {
    if (answer && typeof answer === "object" && response.headers.has("ETag")) answer.etag ??= response.headers.get("ETag");
    return answer;
  }
  if (response.status === 401 && path !== "/session") session.set(null);
  throw new Refused(response.status, answer ?? { detail: `The edge answers ${response.status}.` });
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

let retry;

function isLost() {
  if (retry) return;
  lost.set({ since: lost.get()?.since ?? Date.now() });
  let wait = 500;
  const look = async () => {
    try {
      await fetch("/healthz", { cache: "no-store", signal: AbortSignal.timeout(4000) });
      isBack();
    } catch {
      wait = Math.min(wait * 1.5, 5000);
      retry = setTimeout(look, wait);
    }
  };
  retry = setTimeout(look, wait);
}

function isBack() {
  clearTimeout(retry);
  retry = undefined;
  lost.set(null);
}

/** Ask who we are. */
export async function whoAmI() {
  try {
    session.set(await ask("/session"));
  } catch (error) {
    if (error instanceof Refused) session.set(null);
    else setTimeout(whoAmI, 1000);
  }
}

/** @param {{token?: string, code?: string}} how */
export async function signIn(how) {
  await ask("/session", { method: "POST", body: how });
  await whoAmI();
}

export async function signOut() {
  await ask("/session", { method: "DELETE" }).catch(() => {});
  try { sessionStorage.clear(); } catch { /* nothing was kept, then */ }
  session.set(null);
}

/** @param {string} role @returns {string} empty, or why one may not */
export function mayNot(role) {
  const own = session.get()?.role;
  if (ROLES.indexOf(own) >= ROLES.indexOf(role)) return "";
  return `Takes a token with the role ${role}; yours has ${own ?? "none"}.`;
}

/** @param {object} values empty ones are left out @returns {string} with its question mark */
export function query(values) {
  const pairs = Object.entries(values).filter(([, value]) => value !== "" && value != null && value !== false);
  return pairs.length ? "?" + new URLSearchParams(pairs) : "";
}

/** The last answers by path: what a screen shows at once when one comes back to it, and while the edge is gone. */
const kept = new Map();
const MOST_KEPT = 60;

function keep(path, data) {
  if (/\/config|\/requests/.test(path)) return;
  kept.delete(path);
  kept.set(path, data);
  if (kept.size > MOST_KEPT) kept.delete(kept.keys().next().value);
}
session.hear((who) => { if (!who) kept.clear(); });

/**
 * What the edge answers, kept while it is asked again: each so many seconds while the page is seen, and when the edge is back.
 * @param {string | null} path null: ask nothing
 * @param {number} [every] seconds
 */
export function useAsk(path, every) {
  const [state, setState] = useState({ data: kept.get(path), error: undefined, path });
  const current = useRef(path);
  current.current = path;
  const again = useCallback(async () => {
    if (path === null) return;
    try {
      const data = await ask(path);
      keep(path, data);
      if (current.current === path) setState({ data, error: undefined, path, at: Date.now() });
    } catch (error) {
      if (current.current === path) setState((before) => ({ ...before, data: before.path === path ? before.data : undefined, error, path }));
    }
  }, [path]);
  useEffect(() => {
    let timer, isOver = false;
    const turn = async () => {
      clearTimeout(timer);
      if (!document.hidden && !lost.get()) await again();
      if (every && !isOver && !document.hidden) timer = setTimeout(turn, every * 1000);
    };
    const seen = () => { if (!document.hidden) turn(); };
    turn();
    document.addEventListener("visibilitychange", seen);
    const unheard = lost.hear((gone) => { if (!gone) turn(); }), unheardWho = session.hear((who) => { if (who) turn(); });
    return () => {
      isOver = true;
      unheardWho();
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", seen);
      unheard();
    };
  }, [again, every]);
  const isOld = state.path !== path;
  return { data: isOld ? kept.get(path) : state.data, error: isOld ? undefined : state.error, at: state.at, again };
}
