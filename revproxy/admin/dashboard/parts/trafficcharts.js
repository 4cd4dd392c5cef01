/** What went through the edge, a route, an upstream or a plugin: how much and how long, as two charts. */
import { query, useAsk } from "./api.js";
import { Chart } from "./chart.js";
import { ms, rate, share } from "./format.js";
import { html, useMemo } from "./html.js";

export const SPANS = [["300", "5 min"], ["900", "15 min"], ["3600", "1 h"]];
const STEPS = { 300: 10, 900: 10, 3600: 30 };
const NONE = [];

/**
 * The points of a span whose time is over: what is being counted yet would look like a fall.
 * @param {string} span seconds @param {string} [of] route, upstream or plugin @param {string} [name] @param {boolean} [isAny] whether there is something to ask for
 */
export function useTraffic(span, of, name, isAny = true) {
  const seconds = span in STEPS ? span : "900";
  const asked = useAsk(isAny ? `/traffic${query({ seconds, step: STEPS[seconds], of, name })}` : null, 10);
  return useMemo(() => {
    const points = asked.data?.points ?? NONE, step = asked.data?.step_seconds ?? 10;
    const isOver = !points.length || points[points.length - 1].at + step <= Date.now() / 1000;
    return { points: isOver ? points : points.slice(0, -1), step, span: seconds, of };
  }, [asked.data]);
}

/** @param {{traffic: ReturnType<typeof useTraffic>, words?: string[]}} props `words`: how requests, 4xx, 5xx and times are called */
export function TrafficCharts({ traffic: { points, step, span, of }, words = ["requests", "4xx", "5xx"], titles = ["Requests a second", "Time to answer"] }) {
  const at = useMemo(() => points.map((p) => p.at), [points]);
  const volume = useMemo(() => [
    { label: words[0], colour: "p95", values: points.map((p) => p.requests / step), isArea: true },
    { label: words[1], colour: "warn", values: points.map((p) => p.errors_4xx / step), dash: [6, 3] },
    { label: words[2], colour: "bad", values: points.map((p) => p.errors_5xx / step), dash: [2, 2] },
  ], [points]);
  const times = useMemo(() => [
    { label: "p50", colour: "p50", values: points.map((p) => p.p50_ms) },
    { label: "p95", colour: "p95", values: points.map((p) => p.p95_ms), dash: [6, 3] },
    { label: "p99", colour: "p99", values: points.map((p) => p.p99_ms), dash: [2, 2] },
  ], [points]);
  const last = points[points.length - 1];
  return html`<div class="split">
    <${Chart} key=${`v${span}${of}`} title=${titles[0]} at=${at} lines=${volume} format=${rate} peg=${1} say=${last ? `${rate(last.requests / step)} ${words[0]} a second, ${share(last.errors_5xx / Math.max(1, last.requests))} ${words[2]}` : ""} />
    <${Chart} key=${`t${span}${of}`} title=${titles[1]} at=${at} lines=${times} format=${ms} peg=${0.01} say=${last ? `p99 ${ms(last.p99_ms)}` : ""} /></div>`;
}
