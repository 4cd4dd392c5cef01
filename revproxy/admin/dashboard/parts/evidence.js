/** Evidence of rollouts: odds, bars of them on a scale of orders of magnitude, and what things are called. */
import { duration, plural } from "./format.js";
import { html } from "./html.js";
import { State } from "./states.js";

/** States in which a rollout is over. */
export const ENDS = new Set(["promoted", "rolled-back", "aborted", "superseded", "refused"]);

const WORDS = { preflight: "pre-flight", "rolled-back": "rolled back" };
const TONES = { promoted: "ok", "rolled-back": "failed", refused: "failed", aborted: "warning", preflight: "running", shadow: "running", canary: "running" };

const FAMILIES = {
  faults: "fails", interrupts: "stops more requests", "interrupts-fewer": "stops fewer requests",
  slow90: "is among the slowest 10 %", slow99: "is among the slowest 1 %", slow999: "is among the slowest 0.1 %", median: "is slower throughout", fingerprint: "raises something new",
  stall: "holds the event loop", content: "answers differently", "pair-time": "is slower on the same requests", leak: "remains in memory",
};
/** Families of which pairs are counted, and not groups of clients. */
export const PAIRED = new Set(["content", "pair-time"]);

/** @param {string} name of a family of evidence */
export const familyName = (name) => FAMILIES[name] ?? name;

const few = (value) => value < 10 ? Number(value.toPrecision(2)).toString() : Math.round(value).toLocaleString("en");
/** Families that decide without odds. */
const CERTAIN = new Set(["fingerprint", "stall", "leak"]);
/** Odds that are more than this say no more. */
export const MOST_ODDS = 1e4;
/** @param {number} value how much likelier it is if the candidate is worse: `20 : 1`, or `1 : 20`; as far as anybody reads them */
export const odds = (value) => !(value > 0) ? "–" : value > MOST_ODDS ? "over 10,000 : 1" : value < 1 / MOST_ODDS ? "under 1 : 10,000" : value >= 1 ? `${few(value)} : 1` : `1 : ${few(1 / value)}`;

/** How far it is from even odds to the threshold, 0 to 1. */
const height = (value, threshold) => value <= 1 ? 0 : Math.min(1, Math.log(value) / Math.log(threshold));
const tone = (height) => height >= 1 ? "bad" : height >= 0.5 ? "warn" : "";

/** @param {{value: number, threshold: number}} props in a line of a table */
export const Odds = ({ value, threshold }) => html`<span class="bar odds" aria-hidden="true"><i class=${tone(height(value, threshold))} style=${{ width: `${height(value, threshold) * 100}%` }}></i></span>`;

/** The bar with its scale: from even odds to where the candidate goes back. @param {{family: object | undefined, verdict: object, isOver?: boolean}} props */
export function Evidence({ family, verdict, isOver }) {
  if (verdict.kind === "regression" && CERTAIN.has(verdict.family)) return html`<div class="evidence"><p><strong>Certain</strong><span class="dim">, whatever the odds: it ${familyName(verdict.family)}</span></p><div class="meter" aria-hidden="true"><i class="bad" style=${{ width: "100%" }}></i></div></div>`;
  const { odds: value, threshold } = family ?? { odds: 0, threshold: 125 }, at = height(value, threshold);
  const marks = [1, Math.cbrt(threshold), Math.cbrt(threshold) ** 2, threshold];
  const said = family && value > 1 ? `${odds(value)} that it ${familyName(family.family)}` : "None";
  // Nobody is hurt by what a shadow shows: then somebody is to look at it.
  const isPaired = PAIRED.has(family?.family), what = isOver && !isPaired ? "it went back at" : isPaired ? "it is held at" : "it goes back at";
  return html`<div class="evidence" role="meter" aria-label="Evidence against the candidate" aria-valuemin="0" aria-valuemax="100" aria-valuenow=${Math.round(at * 100)} aria-valuetext=${`${said}; ${what} ${odds(threshold)}`}>
    <p><strong>${said}</strong><span class="dim">; ${what} ${odds(threshold)}</span></p>
    <div class="meter" aria-hidden="true"><i class=${tone(at)} style=${{ width: `${at * 100}%` }}></i>${marks.slice(1, -1).map((mark) => html`<b style=${{ left: `${height(mark, threshold) * 100}%` }}></b>`)}</div>
    <div class="scale faint small" aria-hidden="true">${marks.map((mark) => html`<span>${odds(Math.round(mark))}</span>`)}</div></div>`;
}

/** The family that is nearest to what decides. @param {object[]} families */
export const highest = (families) => [...(families ?? [])].sort((a, b) => b.odds / b.threshold - a.odds / a.threshold)[0];

/** @param {string} state in words */
export const stateName = (state) => WORDS[state] ?? state;

/** @param {{of: {state: string, held: boolean}}} props */
export const RolloutState = ({ of }) => html`<${State} of=${of.held && !ENDS.has(of.state) ? "warning" : TONES[of.state] ?? "off"}>${stateName(of.state)}${of.held && !ENDS.has(of.state) ? ", held" : ""}<//>`;

/** As somebody has written it: `5 %`. @param {number} share 0 to 1 */
export const part = (share) => `${Number((share * 100).toPrecision(3))} %`;

/** @param {{kind: string, share: number}} step in a few words */
export const stepName = (step) => step.kind === "preflight" ? "pre-flight" : `${step.kind} ${part(step.share)}`;

/** What ends a step. @param {object} step @param {string} [text] that says already what has to be shown */
export function endsBy(step, text = "") {
  const { pairs, fault, power } = text ? {} : step.until, said = [];
  if (pairs != null) said.push(plural(pairs, "pair"));
  if (fault != null) said.push(`faults in ${part(fault)} of calls would be found with a probability of ${part(power)}`);
  if (step.at_least) said.push(`at least ${duration(step.at_least)}`);
  if (step.at_most != null) said.push(`at most ${duration(step.at_most)}`);
  return said.join(", ");
}

/** All steps in a row, and everybody at their end. @param {{rollout: object}} props */
export function Track({ rollout }) {
  const { steps, step, state, transitions = [] } = rollout, isOver = ENDS.has(state);
  const reached = step?.index ?? (state === "promoted" ? steps.length + 1 : reachedBefore(steps, transitions));
  const all = [...steps.map((one) => [stepName(one), endsBy(one)]), ["everybody", ""]];
  return html`<ol class="track" aria-label="Steps">${all.map(([name, title], i) => {
    const isDone = i + 1 < reached || state === "promoted", isNow = i + 1 === reached && !isDone;
    const glyph = isDone ? "✓" : isNow && isOver ? "■" : isNow && rollout.held ? "▲" : isNow ? "●" : "";
    return html`<li class=${isDone ? "done" : isNow ? (isOver ? "bad" : "now") : ""} aria-current=${isNow && !isOver ? "step" : undefined} title=${title}><span class="dot" aria-hidden="true">${glyph}</span><span>${name}<span class="sr">${isDone ? ", done" : isNow && isOver ? ", ended here" : ""}</span></span></li>`;
  })}</ol>`;
}

/** Of one that is over: in which step it ended, as far as its states tell. */
function reachedBefore(steps, transitions) {
  const kinds = transitions.filter((one) => one.from !== "held").map((one) => one.to).filter((to) => steps.some((step) => step.kind === to));
  const last = kinds[kinds.length - 1];
  if (!last) return 0;
  const first = steps.findIndex((step) => step.kind === last), times = kinds.filter((kind) => kind === last).length;
  return first + Math.min(times, steps.filter((step) => step.kind === last).length);
}
