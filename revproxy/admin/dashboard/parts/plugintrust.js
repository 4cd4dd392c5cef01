/** Trust of one plugin: who vouches for it, where it runs, what it may touch, and what waits. */
import { date } from "./format.js";
import { html } from "./html.js";
import { Grant, Permissions, Waiting } from "./permissions.js";
import { link } from "./place.js";
import { State, When } from "./states.js";

export const STATES = { unchecked: "nobody has to vouch", trusted: "trusted", untrusted: "not trusted", revoked: "revoked" };
const TONES = { unchecked: "off", trusted: "ok", untrusted: "failed", revoked: "failed" };

/** @param {{of: string}} props */
export const TrustState = ({ of }) => html`<${State} of=${TONES[of]}>${STATES[of] ?? of}<//>`;

/** Where it runs, and whether it would rather run elsewhere. */
export const Tier = ({ trust }) => trust.state === "revoked" ? html`<span class="faint">nowhere</span>` : html`${trust.tier === "process" ? html`locked process${trust.level && html` <span class="tag" title="How well it is locked">level ${trust.level}</span>`}` : "the edge's own process"}${trust.tier !== trust.wanted_tier && html` <span class="tag warn" title="It would run inline, and its signer may have nothing run there">▲ lowered</span>`}`;

/** @param {{plugin: object, again: () => void}} props */
export function PluginTrust({ plugin, again }) {
  const { trust } = plugin, { missing } = trust.permissions;
  return html`<div class="stack">
    ${trust.waiting && html`<${Waiting} plugin=${plugin} waiting=${trust.waiting} again=${again} />`}
    ${trust.message && !trust.waiting?.message.includes(trust.message) && html`<div class="note bad"><strong>${STATES[trust.state]}:</strong> <code>${trust.file}</code> ${trust.message}</div>`}
    <div class="split"><section class="card"><header><h2>Who vouches for it</h2><span class="end small"><a href=${link("trust")}>Trust</a></span></header><div class="pad"><${Voucher} trust=${trust} /></div></section>
      <section class="card"><header><h2>Where it runs</h2></header><div class="pad"><p><${Tier} trust=${trust} /></p>
        <p class="dim">${trust.state === "revoked" ? "It was ended, and neither a rollback nor a restart brings it back." : trust.tier === "process" ? "It has no files, no network, and of requests what is granted." : "It is a part of the edge: limits and permissions are a guard against mistakes there, and no wall."}</p></div></section></div>
    <section class="card" aria-label="What it may touch"><header><h2>What it may touch</h2>${missing.length > 0 && !trust.waiting && html`<span class="end"><${Grant} plugin=${plugin} digest=${plugin.digest} not=${trust.permissions.beyond.length ? "Its signer may not have all of it granted." : ""} again=${again} /></span>`}</header>
      <${Permissions} permissions=${trust.permissions} /></section></div>`;
}

function Voucher({ trust }) {
  return html`<dl class="facts"><dt>State</dt><dd><${TrustState} of=${trust.state} /></dd>
    ${trust.signer && html`<dt>Signed by</dt><dd>${trust.signer} <span class="mono small faint">${trust.key}</span></dd><dt>Revision</dt><dd>${trust.revision ?? "–"} <span class="tag">${trust.envelope}</span></dd>`}
    ${trust.verified_at && html`<dt>Verified</dt><dd><${When} at=${trust.verified_at} /> <span class="faint small">${date(trust.verified_at)}</span></dd>`}</dl>`;
}
