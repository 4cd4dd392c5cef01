/** Upstreams: targets, how they are, and taking them out of service for a while. */
import { ask, useAsk } from "../parts/api.js";
import { Action, told } from "../parts/action.js";
import { confirm } from "../parts/dialog.js";
import { count, ms, plural, rate, share } from "../parts/format.js";
import { html } from "../parts/html.js";
import { Empty, Head, Missing, Scroll, State, When } from "../parts/states.js";

const FOR = { name: "for", label: "For how long", value: "1h", help: "Then it goes back by itself.",
  options: [["15m", "15 minutes"], ["1h", "1 hour"], ["8h", "8 hours"], ["1d", "1 day"], ["7d", "7 days"], ["", "until somebody says so"]] };

export default function Upstreams() {
  const asked = useAsk("/upstreams", 3), upstreams = asked.data?.items ?? asked.data;
  return html`<${Head} title="Upstreams" />${!upstreams ? html`<${Missing} asked=${asked} what="upstreams" />` : !upstreams.length ? html`<div class="card"><${Empty} title="No upstreams">Routes of this edge answer by themselves.<//></div>`
    : html`<section class="card"><${Scroll} label="Upstreams and their targets"><table><thead><tr><th scope="col">Target</th><th scope="col">State</th><th scope="col" class="num">Weight</th><th scope="col" class="num">Rate /s</th><th scope="col" class="num">5xx</th><th scope="col" class="num less">p50</th><th scope="col" class="num">p99</th>
      <th scope="col" class="num">In flight</th><th scope="col" class="num less">Queued</th><th scope="col" class="num less">Connections</th><th scope="col" class="tight"><span class="sr">Actions</span></th></tr></thead>
      ${upstreams.map((one) => html`<${Upstream} key=${one.name} one=${one} again=${asked.again} />`)}</table><//></section>`}`;
}

function Upstream({ one, again }) {
  const up = one.targets.filter((target) => target.state === "up").length, tone = one.state === "down" ? "down" : up === one.targets.length ? "up" : "warning";
  return html`<tbody class="group"><tr class="title"><th scope="rowgroup" colspan="11"><span class="row"><span>${one.name}</span><${State} of=${tone}>${up} of ${one.targets.length} up<//><span class="tag">${one.policy}</span></span></th></tr>
    ${one.targets.map((target) => html`<${Target} key=${target.url} upstream=${one} target=${target} again=${again} />`)}</tbody>`;
}

function Target({ upstream, target, again }) {
  const figures = target.last_10s ?? {}, bad = figures.share_5xx >= 0.01;
  const send = (command, more = {}) => ask(`/upstreams/${encodeURIComponent(upstream.name)}/${command}`, { method: "POST", body: { target: target.url, ...more } });
  const change = async (command, about, undo, more = () => ({})) => {
    const answer = await confirm(about);
    if (!answer) return;
    const done = await send(command, { ...more(answer), ...(answer.for ? { for: answer.for } : {}), ...(answer.reason ? { reason: answer.reason } : {}) });
    told(done, async () => { told(await undo()); again(); });
    again();
  };
  const others = upstream.targets.filter((other) => other.state === "up" && other !== target).length;
  const weight = { name: "weight", label: "Weight", type: "number", value: String(target.weight), help: `The configuration says ${target.configured_weight}.` };
  return html`<tr><th scope="row" class="mono">${target.url}</th><td class="nowrap"><${State} of=${target.state} /></td>
    <td class="num">${target.weight}${target.configured_weight !== target.weight && html`<span class="small faint"> of ${target.configured_weight}</span>`}</td><td class="num">${rate(figures.rate)}</td><td class=${"num" + (bad ? " is-bad" : "")}>${bad ? "■ " : ""}${share(figures.share_5xx)}</td><td class="num less">${ms(figures.p50_ms)}</td><td class="num">${ms(figures.p99_ms)}</td>
    <td class="num">${count(target.in_flight)}</td><td class=${"num less" + (target.queued ? " is-warn" : "")}>${target.queued ? "▲ " : ""}${count(target.queued)}</td><td class="num less">${count(target.connections)}</td>
    <td class="tight"><span class="row">${target.state === "drained" ? html`<${Action} kind="small" role="operate" label=${`Undrain ${target.url}`} run=${() => change("undrain", { title: "Back into service", verb: "Undrain", what: `${target.url} gets new requests again.` }, () => send("drain", { force: true, reason: "undo" }))}>Undrain<//>`
      : html`<${Action} kind="small" role="operate" label=${`Drain ${target.url}`} run=${() => change("drain", { title: "Take out of service", verb: "Drain", danger: true, fields: [FOR],
        what: others ? html`<span class="mono">${target.url}</span> gets no new requests; those under way end. ${others} other${others > 1 ? "s" : ""} take${others > 1 ? "" : "s"} over.` : html`<strong>No other target of ${upstream.name} is up.</strong> Its routes will answer 503.` }, () => send("undrain", { reason: "undo" }), () => (others ? {} : { force: true }))}>Drain<//>`}
      <${Action} kind="small" role="operate" label=${`Weight of ${target.url}`} run=${() => change("weight", { title: "Weight", verb: "Set", fields: [weight, FOR], what: html`The share of requests that <span class="mono">${target.url}</span> gets, relative to the others.` }, () => send("weight", { weight: target.weighed ? target.weight : null, reason: "undo" }), (answer) => ({ weight: Number(answer.weight) }))}>Weight<//></span></td></tr>
    ${about(target).map((line) => html`<tr class="under"><td colspan="11"><div>${line}</div></td></tr>`)}`;
}

/** Below a target: who has changed it and until when, and why it failed last. */
function about({ state, since, drained, weighed, weight, queued, last_failure: failure }) {
  const until = ({ by, reason, expires_at: at }) => html`by ${by}${reason ? html`: “${reason}”` : ""}, ${at ? html`back <${When} at=${at} />` : "until somebody says so"}`;
  return [
    state === "drained" && drained && html`Drained ${until(drained)}`,
    queued > 0 && html`<span class="is-warn">▲ ${plural(queued, "request waits", "requests wait")}</span> for a connection`,
    weighed && html`Weighs ${weight} ${until(weighed)}`,
    failure && html`${state === "down" ? html`<span class="is-bad">Down${since ? html` since <${When} at=${since} isShort />` : ""}.</span> Last` : "Last"} failure <${When} at=${failure.at} />: ${failure.text}`,
  ].filter(Boolean);
}
