/**
 * Charts over time, by uPlot, which is loaded with the first of them. A canvas says nothing to a screen reader: each is a
 * figure with a summary in words, told at most each ten seconds, and all its values behind "as table".
 */
import { time } from "./format.js";
import { html, useEffect, useRef, useState } from "./html.js";
import { Scroll } from "./states.js";

const SAID_EVERY = 10_000;
const dark = matchMedia("(prefers-color-scheme: dark)");
let loading;
const load = () => (loading ??= Promise.all([import("../vendor/uplot.js"), style()]).then(([module]) => module.default));

/** Its stylesheet, before ours. Nothing that is seen first waits for it. */
function style() {
  const sheet = document.createElement("link");
  const isThere = new Promise((resolve) => { sheet.onload = sheet.onerror = resolve; });
  Object.assign(sheet, { rel: "stylesheet", href: new URL("../vendor/uplot.css", import.meta.url).href });
  document.querySelector("link[rel=stylesheet]").before(sheet);
  return isThere;
}

function colour(element, name) {
  element.style.color = `var(--${name})`;
  const seen = getComputedStyle(element).color;
  element.style.color = "";
  return seen;
}

/** Steps that can be written with one digit. */
const STEPS = Array.from({ length: 16 }, (_, i) => i - 5).flatMap((power) => [1, 2, 5].map((step) => step * 10 ** power));

function axis(element, format) {
  const ink = colour(element, "ink-3"), line = colour(element, "line"), font = "11px " + getComputedStyle(element).fontFamily;
  const both = { stroke: ink, font, ticks: { show: false }, grid: { stroke: line, width: 1 } };
  const hour = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
  const second = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
  return [
    { ...both, grid: { show: false }, size: 24, space: 70, values: (_, ticks) => ticks.map((at) => (ticks[1] - ticks[0] < 60 ? second : hour).format(at * 1000)) },
    { ...both, size: 58, gap: 4, space: 34, incrs: STEPS, values: (_, ticks) => ticks.map((value) => format(value).replace(/\.0(?!\d)/, "")) },
  ];
}

function series(element, lines) {
  return [{}, ...lines.map((line) => {
    const stroke = colour(element, line.colour);
    const fill = line.isArea ? stroke.replace(/^rgb\((.*)\)$/, "rgba($1, 0.14)") : undefined;
    return { label: line.label, stroke, width: 1.5, dash: line.dash, fill, points: { show: false }, spanGaps: false };
  })];
}

function options(element, lines, format, read, peg) {
  return {
    width: element.clientWidth, height: element.clientHeight, legend: { show: false }, padding: [8, 8, 0, 0],
    cursor: { y: false, points: { size: 6 }, drag: { x: false, y: false }, sync: { key: "time" } },
    scales: { y: { range: (_, low, high) => [0, Math.max(high || 0, peg) * 1.08] } },
    axes: axis(element, format), series: series(element, lines), hooks: { setCursor: [(plot) => read(plot.cursor.idx)] },
  };
}

/**
 * @param {{title: string, at: number[], lines: {label: string, colour: string, values: (number | null)[], dash?: number[], isArea?: boolean}[],
 *   format: (value: number) => string, say: string, peg?: number}} props `peg`: the scale never ends below it
 */
export function Chart({ title, at, lines, format, say, peg = 1e-9 }) {
  const element = useRef(), plot = useRef();
  const [isTable, setTable] = useState(false);
  const [index, setIndex] = useState(null);
  const data = [at, ...lines.map((line) => line.values)];
  const latest = useRef(data);
  latest.current = data;
  useEffect(() => {
    if (isTable) return;
    let isOver = false, watcher, theme, redraw;
    const draw = (uPlot) => {
      if (!element.current) return;
      plot.current?.destroy();
      plot.current = new uPlot(options(element.current, lines, format, setIndex, peg), latest.current, element.current);
    };
    load().then((uPlot) => {
      if (isOver || !element.current) return;
      draw(uPlot);
      watcher = new ResizeObserver(([{ contentRect: { width, height } }]) => plot.current?.setSize({ width, height }));
      watcher.observe(element.current);
      theme = new MutationObserver(() => draw(uPlot));
      theme.observe(document.documentElement, { attributeFilter: ["data-theme"] });
      dark.addEventListener("change", redraw = () => draw(uPlot));
    });
    return () => { isOver = true; watcher?.disconnect(); theme?.disconnect(); dark.removeEventListener("change", redraw); plot.current?.destroy(); plot.current = undefined; };
  }, [isTable, lines.length]);
  useEffect(() => plot.current?.setData(latest.current), [at, lines]);
  const shown = index ?? at.length - 1;
  return html`<figure class="card chart">
    <figcaption><h2>${title}</h2><span class="readout" aria-hidden="true">${index != null && at[index] ? time(at[index]) : ""}</span>
      <button type="button" class="link small" aria-pressed=${String(isTable)} onClick=${() => setTable(!isTable)}>${isTable ? "as chart" : "as table"}</button>
      <span class="keys">${lines.map((line) => html`<span class=${`key k-${line.colour}${line.dash ? (line.dash[0] > 2 ? " dash" : " dot") : ""}`}>${line.label}
        <span class="dim"> ${at.length ? format(line.values[shown]) : "–"}</span></span>`)}</span></figcaption>
    <${Spoken} text=${say} />
    ${isTable ? html`<${Values} title=${title} at=${at} lines=${lines} format=${format} />` : html`<div class="plot" ref=${element} aria-hidden="true"></div>`}
  </figure>`;
}

/** A sentence that screen readers say when it has changed, but not more often than each ten seconds. */
export function Spoken({ text }) {
  const [said, setSaid] = useState("");
  const last = useRef(0);
  useEffect(() => {
    const timer = setTimeout(() => { last.current = Date.now(); setSaid(text); }, Math.max(0, last.current + SAID_EVERY - Date.now()));
    return () => clearTimeout(timer);
  }, [text]);
  return html`<p class="sr" aria-live="polite">${said}</p>`;
}

function Values({ title, at, lines, format }) {
  return html`<${Scroll} label=${`${title}, as a table`}><table>
    <thead><tr><th scope="col">Time</th>${lines.map((line) => html`<th scope="col" class="num">${line.label}</th>`)}</tr></thead>
    <tbody>${at.map((when, row) => html`<tr><td>${time(when)}</td>${lines.map((line) => html`<td class="num">${format(line.values[row])}</td>`)}</tr>`).reverse()}</tbody>
  </table><//>`;
}

/** A line without axes, beside the number that it belongs to. @param {{values: number[], isBad?: boolean}} props */
export function Spark({ values, isBad }) {
  const known = values.map((value) => value ?? 0), most = Math.max(...known, 1e-9);
  if (known.length < 2) return html`<svg class="spark" aria-hidden="true"></svg>`;
  const points = known.map((value, i) => `${((i / (known.length - 1)) * 100).toFixed(1)},${(23 - (value / most) * 21).toFixed(1)}`);
  return html`<svg class="spark" viewBox="0 0 100 24" preserveAspectRatio="none" aria-hidden="true">
    <path class="area" d=${`M0,24L${points.join("L")}L100,24Z`} /><path class=${isBad ? "bad" : ""} d=${`M${points.join("L")}`} /></svg>`;
}
