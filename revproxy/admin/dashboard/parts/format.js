/** Numbers, times and sizes as people read them: no more digits than they have meaning, and as many as their neighbours. */
const grouped = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const oneDigit = new Intl.NumberFormat("en", { minimumFractionDigits: 1, maximumFractionDigits: 1 });
const twoDigits = new Intl.NumberFormat("en", { maximumSignificantDigits: 2 });
const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const day = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });
const dayYear = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric" });
const NONE = "–";

/** @param {number | null | undefined} value a count */
export const count = (value) => value == null ? NONE : value >= 1e6 ? `${oneDigit.format(value / 1e6)} M` : grouped.format(value);
/** @param {number | null | undefined} value per second */
export const rate = (value) => value == null ? NONE : value === 0 ? "0" : value < 1 ? twoDigits.format(value) : value < 100 ? oneDigit.format(value) : count(value);
/** @param {number | null | undefined} share 0 to 1 */
export const share = (share) => share == null ? NONE : share === 0 ? "0 %" : share < 0.001 ? "< 0.1 %" : `${share < 0.1 ? oneDigit.format(share * 100) : grouped.format(share * 100)} %`;

/** @param {number | null | undefined} seconds */
export function duration(seconds) {
  if (seconds == null || Number.isNaN(seconds)) return NONE;
  if (seconds === 0) return "0";
  if (seconds < 1e-3) return `${grouped.format(Math.max(1, seconds * 1e6))} µs`;
  if (seconds < 0.1) return `${oneDigit.format(seconds * 1e3)} ms`;
  if (seconds < 1) return `${grouped.format(seconds * 1e3)} ms`;
  if (seconds < 60) return `${seconds < 10 ? oneDigit.format(seconds) : grouped.format(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min${seconds % 60 >= 1 ? ` ${Math.floor(seconds % 60)} s` : ""}`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h${seconds % 3600 >= 60 ? ` ${Math.floor((seconds % 3600) / 60)} min` : ""}`;
  return `${Math.floor(seconds / 86400)} d${seconds < 10 * 86400 && seconds % 86400 >= 3600 ? ` ${Math.floor((seconds % 86400) / 3600)} h` : ""}`;
}
/** @param {number | null | undefined} value milliseconds */
export const ms = (value) => duration(value == null ? null : value / 1000);
/** @param {number | null | undefined} value microseconds */
export const us = (value) => duration(value == null ? null : value / 1e6);

/** @param {number} at seconds since the epoch: the time, and the day unless it is today */
export function time(at) {
  if (!at) return NONE;
  const when = new Date(at * 1000), now = new Date();
  if (when.toDateString() === now.toDateString()) return clock.format(when);
  const date = when.getFullYear() === now.getFullYear() ? day : dayYear;
  return `${date.format(when)} ${clock.format(when).slice(0, 5)}`;
}
/** @param {number} at to the millisecond, as this machine's clock has it */
export const moment = (at) => at ? `${date(at)} ${clock.format(new Date(at * 1000))}.${String(Math.floor((at % 1) * 1000)).padStart(3, "0")}` : NONE;
/** @param {number} at */
export const date = (at) => at ? dayYear.format(new Date(at * 1000)) : NONE;
/** @param {number} at seconds since the epoch */
export function ago(at) {
  if (!at) return NONE;
  const seconds = Date.now() / 1000 - at;
  return seconds < 0 ? `in ${coarse(-seconds)}` : seconds < 5 ? "just now" : `${coarse(seconds)} ago`;
}
/** @param {number} seconds in one unit */
export function coarse(seconds) {
  const [size, unit] = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]].find(([size]) => seconds >= size * (size > 1 ? 1 : 0)) ?? [1, "s"];
  return `${Math.floor(seconds / size)} ${unit}`;
}
/** @param {number | null | undefined} size bytes */
export function bytes(size) {
  if (size == null) return NONE;
  const step = size < 1000 ? 0 : size < 1e6 ? 1 : size < 1e9 ? 2 : 3;
  return `${step ? oneDigit.format(size / 1000 ** step) : size} ${["B", "kB", "MB", "GB"][step]}`;
}
/** @param {string} digest */
export const digest = (digest) => (digest ?? "").slice(0, 12);
/** @param {number} n @param {string} word */
export const plural = (n, word, many = word + "s") => `${count(n)} ${n === 1 ? word : many}`;
