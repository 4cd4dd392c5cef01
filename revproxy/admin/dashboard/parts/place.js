/** Where in the dashboard we are: `#/requests?status=5xx`. All that a screen shows can be sent to a colleague. */
import { store } from "./store.js";

/** @returns {{screen: string, rest: string, query: Record<string, string>}} */
function read() {
  const [path, query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const [screen, ...rest] = path.split("/");
  return { screen: screen || "now", rest: decodeURIComponent(rest.join("/")), query: Object.fromEntries(new URLSearchParams(query)) };
}

export const place = store(read());
addEventListener("hashchange", () => place.set(read()));

/** @param {string} screen @param {string} [rest] @param {object} [query] */
export function link(screen, rest = "", query = {}) {
  const pairs = Object.entries(query).filter(([, value]) => value !== "" && value != null && value !== false);
  return `#/${screen}${rest ? "/" + encodeURIComponent(rest) : ""}${pairs.length ? "?" + new URLSearchParams(pairs) : ""}`;
}

/** Go there. */
export function go(...where) {
  location.hash = link(...where);
}

/** Change the query of where we are, without a step in the browser's history. @param {object} patch */
export function setQuery(patch) {
  const { screen, rest, query } = place.get();
  history.replaceState(null, "", link(screen, rest, { ...query, ...patch }));
  place.set(read());
}
