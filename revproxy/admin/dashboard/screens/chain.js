/** Chain: for each group of routes the plugins in their order, which rule put each there, and what each does. */
import { useAsk } from "../parts/api.js";
import { count, share, us } from "../parts/format.js";
import { html } from "../parts/html.js";
import { link } from "../parts/place.js";
import { Bar, Empty, Head, Missing, Scroll } from "../parts/states.js";

export default function Chain() {
  const asked = useAsk("/chain", 5), groups = asked.data?.items;
  return html`<${Head} title="Chain" text="Plugins see a request from top to bottom, and its answer from bottom to top. Routes that say the same of plugins share a chain. Figures are those of the last hour, on all routes." />
    ${!groups ? html`<${Missing} asked=${asked} what="the order of plugins" />` : !groups.length ? html`<div class="card"><${Empty} title="No routes" /></div>`
      : html`<div class="stack">${groups.map((group, i) => html`<${Group} key=${i} group=${group} />`)}</div>`}`;
}

function Group({ group }) {
  return html`<section class="card" aria-label=${`Chain of ${group.routes.join(", ")}`}><header><h2>${group.route_count > 1 ? `${count(group.route_count)} routes` : "Route"}</h2>
      <span class="row">${group.routes.slice(0, 12).map((name) => html`<a class="tag" href=${link("requests", "", { route: name })}>${name}</a>`)}${group.route_count > 12 && html`<span class="faint small">and ${count(group.route_count - 12)} more</span>`}</span></header>
    ${!group.plugins.length ? html`<p class="pad dim">No plugins: requests go straight to the leaf.</p>` : html`<${Scroll} label=${`Chain of ${group.routes.join(", ")}`}><table class="chain">
      <thead><tr><th scope="col" class="num">#</th><th scope="col">Plugin</th><th scope="col" class="text">Stands here because</th><th scope="col" class="num">Calls</th><th scope="col" class="num">Errors</th><th scope="col" class="num">Interrupts</th><th scope="col" class="num">Self p50</th><th scope="col" class="num">p99</th><th scope="col">Share of the time</th></tr></thead>
      <tbody>${group.plugins.map((one, i) => html`<tr><td class="num faint">${i + 1}</td><th scope="row" class="name"><a href=${link("plugin", one.name)}>${one.name}</a> <span class="faint">${one.version}</span></th><td class="dim">${one.rule}</td>
        <td class="num">${count(one.calls)}</td><td class=${"num" + (one.errors ? " is-bad" : "")}>${one.errors ? "■ " : ""}${count(one.errors)}</td><td class="num">${one.interrupts ? html`<a href=${link("requests", "", { plugin: one.name })}>${count(one.interrupts)}</a>` : "0"}</td>
        <td class="num">${us(one.self_p50_us)}</td><td class="num">${us(one.self_p99_us)}</td><td class="nowrap"><${Bar} of=${one.share} /> <span class="small dim">${share(one.share)}</span></td></tr>`)}</tbody></table><//>`}</section>`;
}
