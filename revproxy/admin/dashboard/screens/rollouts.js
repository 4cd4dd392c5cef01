/** Rollouts: how new versions earn their place. All of them; or one: what was seen, and what may be done about it. */
import { ask, useAsk } from "../parts/api.js";
import { Action, told } from "../parts/action.js";
import { Chart } from "../parts/chart.js";
import { confirm } from "../parts/dialog.js";
import { endsBy, ENDS, Evidence, familyName, highest, MOST_ODDS, Odds, odds, PAIRED, part, RolloutState, stateName, stepName, Track } from "../parts/evidence.js";
import { startRollout } from "../parts/forecast.js";
import { count, digest, duration, plural, share, us } from "../parts/format.js";
import { html, useMemo } from "../parts/html.js";
import { link, place } from "../parts/place.js";
import { Bar, Empty, Head, Missing, Scroll, When } from "../parts/states.js";
import { useStore } from "../parts/store.js";

const name = (version) => version ? version.version || digest(version.digest) : "nothing";

export default function Rollouts() {
  const { rest } = useStore(place);
  return rest ? html`<${One} key=${rest} plugin=${rest} />` : html`<${All} />`;
}

function All() {
  const asked = useAsk("/rollouts", 3), all = asked.data?.items;
  if (!all) return html`<${Head} title="Rollouts" /><${Missing} asked=${asked} what="the rollouts" />`;
  const going = all.filter((one) => !ENDS.has(one.state)), over = all.filter((one) => ENDS.has(one.state)).sort((a, b) => b.ended - a.ended);
  return html`<${Head} title="Rollouts" text="New versions earn their place: they are tried, serve some, and then everybody, or go back by themselves." />
    ${!all.length ? html`<div class="card"><${Empty} title="Nothing has been rolled out">With <code>plugins.rollout</code> in the configuration, what is saved is rolled out by steps. A version that is kept: the plugin's screen, Versions, Roll out.<//></div>` : html`<div class="stack">
      ${going.map((one) => html`<section class="card" key=${one.id}><header><h2><a href=${link("rollouts", one.plugin)}>${one.plugins.join(", ")}</a></h2><span class="dim">${name(one.running)} → ${name(one.candidate)}</span><span class="end"><${RolloutState} of=${one} /></span></header>
        <div class="pad stack"><${Track} rollout=${one} /><p class="dim">${one.because}${one.step?.left_seconds && !one.held ? `; about ${duration(one.step.left_seconds)} left` : ""}</p></div></section>`)}
      ${over.length > 0 && html`<section class="card"><header><h2>Over</h2></header><${Scroll} label="Rollouts that are over"><table><thead><tr><th scope="col">Plugin</th><th scope="col">Version</th><th scope="col">End</th><th scope="col">When</th><th scope="col">Because</th></tr></thead>
        <tbody>${over.map((one) => html`<tr key=${one.id}><th scope="row" class="name"><a href=${link("rollouts", one.plugin)}>${one.plugins.join(", ")}</a></th><td class="nowrap">${name(one.running)} → ${name(one.candidate)}</td><td><${RolloutState} of=${one} /></td><td class="nowrap"><${When} at=${one.ended} /></td><td class="text dim">${one.because}</td></tr>`)}</tbody></table><//></section>`}</div>`}`;
}

function One({ plugin }) {
  const path = `/rollouts/${encodeURIComponent(plugin)}`, asked = useAsk(path, 2), rollout = asked.data;
  const crumb = html`<a href=${link("rollouts")}>Rollouts</a>`;
  if (!rollout) return html`<${Head} title=${plugin} crumb=${crumb} /><${Missing} asked=${asked} what=${`the rollout of ${plugin}`} />`;
  const isOver = ENDS.has(rollout.state), most = highest(rollout.families);
  return html`<${Head} title=${html`${rollout.plugins.join(", ")} <span class="crumb">${name(rollout.running)} → ${name(rollout.candidate)}</span>`} crumb=${crumb}><${Buttons} rollout=${rollout} path=${path} isOver=${isOver} again=${asked.again} /><//>
    <div class="row dim below"><${RolloutState} of=${rollout} /><span class="small">began <${When} at=${rollout.since} /></span>${isOver && html`<span class="small">ended <${When} at=${rollout.ended} /></span>`}
      <a class="small" href=${link("plugin", plugin, { tab: "versions" })}>${plugin}</a><span class="mono small faint">${digest(rollout.candidate.digest)}</span></div>
    <div class="stack"><${Track} rollout=${rollout} />
      <p class=${`verdict ${rollout.verdict.kind === "regression" ? "is-bad" : ""}`}>${rollout.verdict.kind === "regression" ? "■ " : ""}${rollout.because}</p>
      ${rollout.held && !isOver && html`<div class="note warn"><strong>It waits for somebody.</strong> It stays in this step until you resume it, go on, promote or abort it; a candidate that is worse goes back all the same.</div>`}
      ${rollout.warnings.map((text) => html`<div class="note warn">${text}</div>`)}
      <div class="split"><section class="card" aria-label="Evidence"><header><h2>Evidence against it</h2></header><div class="pad"><${Evidence} family=${most} verdict=${rollout.verdict} isOver=${rollout.state === "rolled-back"} /></div></section>
        ${rollout.step ? html`<${Now} step=${rollout.step} canSee=${rollout.can_see} held=${rollout.held} />` : rollout.can_see ? html`<section class="card"><header><h2>What it could show</h2></header><p class="pad dim">${rollout.can_see}</p></section>` : null}</div>
      ${rollout.curve.length > 1 && html`<${Curve} curve=${rollout.curve} />`}
      <${Arms} rollout=${rollout} />
      <${Families} families=${rollout.families} />
      <${Shadow} pairs=${rollout.pairs} />
      <${Differences} differences=${rollout.differences} />
      <${Story} rollout=${rollout} /></div>`;
}

/** More: what else the edge is told; it is that of the moment in which somebody was asked. */
async function steer(path, command, about, again, more = {}) {
  const answer = await confirm(about);
  if (!answer) return;
  told(await ask(`${path}/${command}`, { method: "POST", body: answer.reason ? { reason: answer.reason, ...more } : more }));
  again();
}

function Buttons({ rollout, path, isOver, again }) {
  const version = name(rollout.candidate), before = name(rollout.running), isHeld = rollout.held, next = rollout.steps[rollout.step?.index];
  const button = (command, label, about, kind = "", not = "") => html`<${Action} role="operate" kind=${kind} not=${not} run=${() => steer(path, command, about, again, command === "step" ? { from: rollout.step?.index ?? null } : {})}>${label}<//>`;
  if (isOver) return rollout.state === "promoted" ? null : html`<${Action} role="operate" run=${() => startRollout(rollout.plugin, rollout.candidate, again)}>Start again …<//>`;
  return html`${isHeld ? button("resume", "Resume", { title: `Resume ${version}`, verb: "Resume", what: "It goes on by what is seen: a step ends when its evidence is there." })
      : button("hold", "Hold", { title: `Hold ${version}`, verb: "Hold", what: "It stays in this step, whatever is seen, until somebody says otherwise. A candidate that is worse goes back all the same." })}
    ${button("step", "Next step", { title: "Go on to the next step", verb: "Go on", what: next ? html`The next is <strong>${stepName(next)}</strong>. What this one has not shown is not shown.` : `It was the last: ${version} serves everybody, whatever was seen.` }, "", rollout.state === "waiting" ? "It has not begun." : "")}
    ${button("promote", "Promote", { title: `Promote ${version}`, verb: "Promote", danger: true, what: `It serves everybody, within a second, whatever was seen. ${before} stays stored: a rollback brings it back.` }, rollout.verdict.kind === "no-regression" ? "main" : "")}
    ${button("abort", "Abort", { title: `Abort ${version}`, verb: "Abort", danger: true, what: `${before} serves everybody, within a second. ${version} is not tried again by itself.` }, "risky")}`;
}

const amount = (value) => value < 10 ? Number(value.toPrecision(2)).toString() : count(value);

/** The step that it is in: what ends it, and when. */
function Now({ step, canSee, held }) {
  const done = step.need ? Math.min(1, (step.have ?? 0) / step.need) : null;
  const left = held ? "It is held." : step.left_seconds ? html`About <strong>${duration(step.left_seconds)}</strong> left, as things go.` : step.left_seconds === 0 ? "What ends it well is there." : "Nobody can say how long it takes.";
  return html`<section class="card" aria-label="Step"><header><h2>Step ${step.index} of ${step.of}: ${stepName(step)}</h2><span class="end small faint">for ${duration(Math.max(0, Date.now() / 1000 - step.since))}</span></header>
    <div class="pad stack-small">${done != null && html`<p>${amount(step.have ?? 0)} of ${amount(step.need)} ${step.kind === "canary" ? html`faults by now, had ${part(step.until.fault)} of its calls failed` : "pairs"} <${Bar} of=${done} /> <span class="dim">${share(done)}</span></p>`}<p>${left}</p>
      <p class="dim small">Ends well by: ${endsBy(step) || "its tests, and what was recorded"}.</p>${canSee && html`<p class="dim small">${canSee}</p>`}</div></section>`;
}

/** Whatever a family's own threshold is, the curve is told as if it was this. */
const DECIDES = 125;

/** The highest of the odds over time, by orders of magnitude, as far as anybody reads them. */
function Curve({ curve }) {
  const at = useMemo(() => curve.map((one) => one.at), [curve]), top = Math.log10(DECIDES);
  const lines = useMemo(() => [
    { label: "the highest", colour: "p95", values: curve.map((one) => Math.log10(Math.min(MOST_ODDS, Math.max(one.odds, 1)))), isArea: true },
    { label: "decides", colour: "bad", values: curve.map(() => top), dash: [2, 2] },
  ], [curve, top]);
  const last = curve[curve.length - 1];
  return html`<${Chart} title="Odds over time" at=${at} lines=${lines} format=${(value) => odds(10 ** value)} peg=${top} say=${`odds ${odds(last.odds)}`} />`;
}

function Arms({ rollout }) {
  const arms = [["running", rollout.running], ["candidate", rollout.candidate]];
  const all = (arm) => arm.requests + arm.warming, within = (of, arm) => all(arm) ? html`${count(of)} <span class="faint small">${share(of / all(arm))}</span>` : count(of);
  return html`<section class="card"><header><h2>Both versions</h2></header><${Scroll} label="Both versions"><table><thead><tr><th scope="col">Version</th><th scope="col" class="num" title="Requests that are judged">Judged</th><th scope="col" class="num" title="Also while it warmed up">Failed</th><th scope="col" class="num">Stopped by it</th><th scope="col" class="num" title="Self time of a call">p50</th><th scope="col" class="num" title="Self time of a call">p99</th><th scope="col" class="num" title="Not judged: its instance had just begun">Warming up</th><th scope="col" class="num" title="Not judged: they chose the version">Testers</th></tr></thead>
    <tbody>${arms.map(([which, version]) => { const arm = rollout.arms[which]; return html`<tr><th scope="row">${name(version)} <span class=${"tag" + (which === "candidate" ? " accent" : "")}>${which}</span></th><td class="num">${count(arm.requests)}</td><td class=${"num" + (which === "candidate" && arm.faults ? " is-bad" : "")}>${within(arm.faults, arm)}</td><td class="num">${within(arm.interrupts, arm)}</td>
      <td class="num">${arm.p50 == null ? "" : us(arm.p50 * 1e6)}</td><td class="num">${arm.p99 == null ? "" : us(arm.p99 * 1e6)}</td><td class="num">${count(arm.warming)}</td><td class="num">${count(arm.testers)}</td></tr>`; })}</tbody></table><//></section>`;
}

function Families({ families: all }) {
  // What cannot be said yet of anybody says nothing.
  const families = all.filter((one) => (one.of_candidate && one.of_running) || one.candidate);
  if (!families.length) return null;
  return html`<section class="card"><header><h2>What was looked at</h2><span class="dim small">groups of clients to whom it happened once or more, or pairs; all clients are in 4,096 groups</span></header><${Scroll} label="What was looked at"><table><thead><tr><th scope="col">The candidate is worse if it</th><th scope="col">Evidence</th><th scope="col" class="num">Odds</th><th scope="col" class="num">Candidate</th><th scope="col" class="num">Running</th></tr></thead>
    <tbody>${families.map((one) => html`<tr key=${one.family}><th scope="row">${familyName(one.family)}</th><td><${Odds} value=${one.odds} threshold=${one.threshold} /></td><td class=${"num" + (one.odds >= one.threshold ? " is-bad" : "")}>${one.odds >= one.threshold ? "■ " : ""}${one.candidate || one.running ? odds(one.odds) : ""}</td>
      ${[["candidate", "of_candidate"], ["running", "of_running"]].map(([n, of]) => n === "running" && one.family === "pair-time" ? html`<td class="num">–</td>` : html`<td class="num">${count(one[n])} of ${count(one[of])} <span class="faint small">${PAIRED.has(one.family) ? "pairs" : "groups"}</span></td>`)}</tr>`)}</tbody></table><//></section>`;
}

function Shadow({ pairs }) {
  if (!pairs || !(pairs.compared || Object.keys(pairs.incomparable).length || pairs.dropped)) return null;
  const { time } = pairs, rows = [["Compared", plural(pairs.compared, "pair")], ["In time", time.slower + time.faster ? `the candidate took longer, by more than 20 µs or 2 %, in ${count(time.slower)} of ${plural(time.slower + time.faster, "pair")} that differ: ${odds(time.odds)}` : ""], ["Failed", `the candidate alone in ${count(pairs.faults)}, the running version alone in ${count(pairs.control_faults)}`],
    ...Object.entries(pairs.incomparable).map(([why, n]) => ["Not comparable", `${count(n)}: ${why}`]), ["Not named", pairs.unnamed ? `${plural(pairs.unnamed, "kind")} of differences: there are too many` : ""], ["Not tried", pairs.dropped ? `${count(pairs.dropped)}, for the edge had too much to do` : ""]];
  return html`<section class="card"><header><h2>The same requests, tried with both</h2></header><div class="pad"><dl class="facts">${rows.filter(([, text]) => text).map(([label, text]) => html`<dt>${label}</dt><dd>${text}</dd>`)}</dl></div></section>`;
}

function Differences({ differences }) {
  if (!differences.length) return null;
  const order = [...differences].sort((a, b) => a.expected - b.expected || b.odds - a.odds), shown = order.filter((one) => !one.is_noise), noise = order.filter((one) => one.is_noise);
  return html`<section class="card" aria-label="Differences"><header><h2>Differences</h2><span class="dim small">beside each: how often the running version differs from itself</span></header>
    ${shown.length ? html`<${DifferenceTable} rows=${shown} label="Differences" />` : html`<p class="pad dim">None but what differs anyway.</p>`}
    ${noise.length > 0 && html`<details class="pad rest"><summary>${plural(noise.length, "more differs", "more differ")} in the running version as often: noise</summary><${DifferenceTable} rows=${noise} label="Noise" /></details>`}</section>`;
}

function DifferenceTable({ rows, label }) {
  return html`<${Scroll} label=${label}><table><thead><tr><th scope="col">What</th><th scope="col">How</th><th scope="col" class="num">Candidate alone</th><th scope="col" class="num">Running alone</th><th scope="col" class="num">Odds</th><th scope="col" class="text">For example</th></tr></thead>
    <tbody>${rows.map((one) => html`<tr key=${`${one.field} ${one.kind}`}><th scope="row" class="name"><code>${one.field}</code>${one.expected && html` <span class="tag good" title="expect names it">meant</span>`}${one.accepted && html` <span class="tag" title="somebody has seen it and gone on: it decides nothing">seen</span>`}</th><td>${one.kind}</td><td class="num">${count(one.candidate)}</td><td class="num">${count(one.control)}</td><td class="num">${odds(one.odds)}</td>
      <td class="text examples">${one.examples.map((each) => html`<div class="small"><span class="dim">${each.request}:</span> <code>${each.real || "(nothing)"}</code> → <code>${each.differs || "(nothing)"}</code></div>`)}</td></tr>`)}</tbody></table><//>`;
}

function Story({ rollout }) {
  const lines = [...rollout.transitions.map((one) => ({ ...one, title: `${stateName(one.from || "new")} → ${stateName(one.to)}`, text: one.reason })), ...rollout.notes.map((one) => ({ at: one.at, title: "meanwhile", text: one.text }))].sort((a, b) => b.at - a.at);
  return html`<section class="card"><header><h2>What happened</h2></header>${lines.length ? html`<ul class="timeline">${lines.map((one) => html`<li><span class="small faint"><${When} at=${one.at} isShort /></span><div><strong>${one.title}</strong>${one.by && one.by !== "edge" && html` <span class="faint">by ${one.by}</span>`}<div class="dim">${one.text}</div></div></li>`)}</ul>` : html`<p class="pad dim">Nothing yet.</p>`}</section>`;
}
