/** Trust: whose code runs, where, what it may touch, and how well this machine locks it in. */
import { useAsk } from "../parts/api.js";
import { coarse, count, date, digest, plural } from "../parts/format.js";
import { html } from "../parts/html.js";
import { short } from "../parts/permissions.js";
import { link } from "../parts/place.js";
import { Tier, TrustState } from "../parts/plugintrust.js";
import { Empty, Head, Missing, Scroll, State } from "../parts/states.js";

const MODES = { off: "Any plugin in the folder runs.", lock: "Only versions that are in the lock file run.", signed: "Only what a signer has signed runs.", "signed+lock": "Only what a signer has signed, and the lock file has, runs." };
const SOON = 30 * 86400;

export default function Trust() {
  const asked = useAsk("/trust", 5), trust = asked.data;
  if (!trust) return html`<${Head} title="Trust" /><${Missing} asked=${asked} what="whose code runs" />`;
  const waiting = trust.plugins.filter((one) => one.waiting), locked = trust.plugins.filter((one) => one.tier === "process");
  const isBelow = locked.length > 0 && (!trust.level || trust.level > trust.minimum_level);
  const tiles = [["Mode", trust.mode], ["Plugins", count(trust.plugins.length)], ["In locked processes", count(locked.filter((one) => one.state !== "revoked").length)], ["Level of this machine", html`${trust.level ?? "–"} <small>at least ${trust.minimum_level}</small>`], ["Waiting", waiting.length ? html`<span class="is-warn">▲ ${count(waiting.length)}</span>` : "0"]];
  return html`<${Head} title="Trust" text=${MODES[trust.mode]} /><div class="stack">
    ${trust.problems.length > 0 && html`<div class="note bad" role="alert"><strong>What trust is about cannot be read; what was read before is in force.</strong><ul>${trust.problems.map((text) => html`<li>${text}</li>`)}</ul></div>`}
    ${isBelow && html`<div class="note bad"><strong>This machine does not lock as well as it has to.</strong> Plugins that need a locked process are refused; they never run in the edge's own instead.</div>`}
    ${waiting.map((one) => html`<div class=${`note ${one.waiting.stage === "grant" ? "warn" : "bad"}`} key=${one.name}><strong><a href=${link("plugin", one.name, { tab: "trust" })}>${one.name}</a> ${one.waiting.version}</strong> ${one.waiting.stage === "grant" ? "waits, for it asks for more than it has:" : "does not run:"} ${one.waiting.stage === "grant" && (one.waiting.added.length || one.waiting.missing.length) ? (one.waiting.added.length ? one.waiting.added : one.waiting.missing).join(", ") : one.waiting.message}</div>`)}
    <dl class="tiles">${tiles.map(([label, value]) => html`<div class="tile"><dt>${label}</dt><dd>${value}</dd></div>`)}</dl>
    <${Plugins} plugins=${trust.plugins} />
    <${Signers} signers=${trust.signers} mode=${trust.mode} />
    <div class="split"><${Layers} trust=${trust} /><div class="stack"><${Lock} lock=${trust.lock} /><${Revoked} revoked=${trust.revoked} /></div></div></div>`;
}

function Plugins({ plugins }) {
  if (!plugins.length) return html`<div class="card"><${Empty} title="No plugins">There is no code but the edge's own.<//></div>`;
  return html`<section class="card"><header><h2>Plugins</h2></header><${Scroll} label="Plugins"><table><thead><tr><th scope="col">Plugin</th><th scope="col">State</th><th scope="col">Signed by</th><th scope="col" class="num">Revision</th><th scope="col">Runs in</th><th scope="col">May touch</th></tr></thead>
    <tbody>${plugins.map((one) => html`<tr key=${one.name}><th scope="row" class="name"><a href=${link("plugin", one.name, { tab: "trust" })}>${one.name}</a></th><td><${TrustState} of=${one.state} /></td><td>${one.signer ?? html`<span class="faint">–</span>`}</td><td class="num">${one.revision ?? "–"}</td>
      <td class="nowrap"><${Tier} trust=${one} /></td><td class="text">${short(one.permissions.granted)}${one.permissions.missing.length > 0 && html` <span class="tag warn">▲ lacks ${one.permissions.missing.length}</span>`}</td></tr>`)}</tbody></table><//></section>`;
}

function Signers({ signers, mode }) {
  if (!signers.length) return html`<section class="card"><header><h2>Signers</h2></header><p class="pad dim">Nobody is named under trust.signers${mode.startsWith("signed") ? "." : ", and nobody has to be."}</p></section>`;
  return html`<section class="card"><header><h2>Signers</h2></header><${Scroll} label="Signers"><table><thead><tr><th scope="col">Signer</th><th scope="col">State</th><th scope="col">Last day</th><th scope="col">May sign</th><th scope="col">Highest tier</th><th scope="col">At most</th><th scope="col">Has signed</th></tr></thead>
    <tbody>${signers.map((one) => html`<tr key=${one.name}><th scope="row" class="name">${one.name}<div class="small faint mono nowrap" title=${one.key}>${one.key.slice(0, 24)}${one.key.length > 24 ? "…" : ""}</div></th><td><${SignerState} one=${one} /></td><td class="nowrap"><${LastDay} at=${one.not_after} /></td>
      <td class="text">${one.plugins.map((glob) => html`<code>${glob}</code> `)}</td><td>${one.tier}</td><td class="text">${one.permissions ? short(one.permissions) : html`<span class="faint">what is granted</span>`}</td><td class="text">${one.signed.length ? one.signed.map((name, i) => html`${i ? ", " : ""}<a href=${link("plugin", name, { tab: "trust" })}>${name}</a>`) : html`<span class="faint">–</span>`}</td></tr>`)}</tbody></table><//></section>`;
}

function SignerState({ one }) {
  const left = one.not_after ? one.not_after - Date.now() / 1000 : Infinity;
  if (one.is_revoked) return html`<${State} of="failed">revoked<//>`;
  if (one.is_over) return html`<${State} of="failed">over<//>`;
  return left < SOON ? html`<${State} of="warning">ends soon<//>` : html`<${State} of="ok">good<//>`;
}

/** Of a moment that is the end of a day. */
function LastDay({ at }) {
  if (!at) return html`<span class="faint">none</span>`;
  const left = at - Date.now() / 1000;
  return html`${date(at - 1)}<div class="small faint">${left < 0 ? `${coarse(-left)} ago` : `in ${coarse(left)}`}</div>`;
}

function Layers({ trust }) {
  return html`<section class="card" aria-label="Layers"><header><h2>How processes are locked here</h2>${trust.level && html`<span class="end"><span class="tag accent">level ${trust.level}</span></span>`}</header>
    ${trust.layers.length ? html`<ul>${trust.layers.map((one) => html`<li class="check-line" key=${one.name}><${State} of=${one.enforced ? "ok" : "off"}>${one.name}<//><span class="dim">${one.enforced ? "holds" : one.reason}</span></li>`)}</ul>`
      : html`<p class="pad dim">No plugin runs in a locked process, so nobody has looked. <a href=${link("doctor")}>The doctor</a> tries it.</p>`}</section>`;
}

function Lock({ lock }) {
  return html`<section class="card" aria-label="Lock file"><header><h2>Lock file</h2>${lock && html`<code class="dim">${lock.path}</code>`}</header>
    ${!lock ? html`<p class="pad dim">None. <code>trust.lock</code> in the configuration names it, and <code>revproxy lock</code> writes it.</p>` : !lock.plugins.length ? html`<p class="pad dim">There is nothing in it.</p>`
      : html`<${Scroll} label="Lock file"><table><thead><tr><th scope="col">Plugin</th><th scope="col">Version</th><th scope="col">Digest</th><th scope="col">Signer</th></tr></thead><tbody>${lock.plugins.map((one) => html`<tr key=${one.name}><th scope="row">${one.name}</th><td>${one.version}${one.earlier > 0 && html` <span class="faint small">and ${plural(one.earlier, "earlier one")}</span>`}</td><td class="mono dim">${digest(one.digest)}</td><td>${one.signer ?? "–"}</td></tr>`)}</tbody></table><//>`}</section>`;
}

function Revoked({ revoked }) {
  return html`<section class="card" aria-label="Revoked"><header><h2>Revoked</h2>${revoked && html`<code class="dim">${revoked.path}</code>`}</header>
    ${!revoked ? html`<p class="pad dim">There is no file that says what is revoked: <code>trust.revoked</code>.</p>` : !revoked.entries.length ? html`<p class="pad dim">Nothing.</p>` : html`<ul class="problems">${revoked.entries.map((text) => html`<li key=${text}><span class="is-bad">■</span><code class="text">${text}</code></li>`)}</ul>`}</section>`;
}
