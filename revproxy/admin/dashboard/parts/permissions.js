/** What a plugin may touch: what it asks for, what it has, and what another version wants besides. */
import { ask } from "./api.js";
import { Action, told } from "./action.js";
import { confirm } from "./dialog.js";
import { Diff } from "./diff.js";
import { plural } from "./format.js";
import { html } from "./html.js";

const KEYS = [["read_headers", "Sees headers"], ["write_headers", "Changes headers"], ["body", "Bodies"], ["respond", "Answers by itself"], ["upstreams", "Asks upstreams"],
  ["store", "Keeps values"], ["figures", "Counts"], ["environment", "Reads the environment"], ["files", "Reads files"]];

/** As words: `read_headers: Cookie`, `respond`. */
function wordsOf(permissions) {
  return KEYS.flatMap(([key]) => {
    const value = permissions?.[key];
    if (Array.isArray(value)) return value.map((name) => [key, name]);
    if (key === "body") return value && value !== "none" ? [[key, value]] : [];
    return value ? [[key, ""]] : [];
  });
}

const has = (list, key, name) => list.some((text) => text.toLowerCase() === (name ? `${key}: ${name}` : key).toLowerCase());

/** In a few words. @param {object | null} permissions null: everything */
export function short(permissions) {
  if (!permissions) return "everything";
  const headers = new Set([...permissions.read_headers, ...permissions.write_headers]).size, said = [];
  if (headers) said.push(permissions.read_headers.includes("*") ? "headers" : plural(headers, "header"));
  if (permissions.body !== "none") said.push(permissions.body === "read" ? "reads bodies" : "changes bodies");
  if (permissions.respond) said.push("answers");
  if (permissions.upstreams.length) said.push(plural(permissions.upstreams.length, "upstream"));
  for (const [key, word] of [["store", "store"], ["figures", "figures"]]) if (permissions[key]) said.push(word);
  const secrets = permissions.environment.length + permissions.files.length;
  if (secrets) said.push(plural(secrets, "secret"));
  return said.join(", ") || "method and path";
}

/**
 * Everything that is asked for or granted, with a sign for what it does not have.
 * @param {{permissions: {asked: object | null, granted: object | null, missing: string[], beyond: string[]}}} props
 */
export function Permissions({ permissions }) {
  const { asked, granted, missing, beyond } = permissions;
  if (!asked && !granted) return html`<p class="pad dim">It runs in the edge's own process, says nothing of what it touches, and may touch everything.</p>`;
  const all = new Map([...wordsOf(asked), ...wordsOf(granted)].map(([key, name]) => [`${key} ${name.toLowerCase()}`, [key, name]]));
  const rows = KEYS.map(([key, label]) => [key, label, [...all.values()].filter(([each]) => each === key)]).filter(([, , names]) => names.length);
  if (!rows.length) return html`<p class="pad dim">It asks for nothing: it sees the method and the path of requests.</p>`;
  return html`<dl class="permissions">${rows.map(([key, label, names]) => html`<div key=${key}><dt>${label}</dt><dd>${names.map(([, name]) => html`<${One} name=${name} isMissing=${has(missing, key, name)} isBeyond=${has(beyond, key, name)} />`)}</dd></div>`)}</dl>`;
}

function One({ name, isMissing, isBeyond }) {
  const why = isBeyond ? "its signer may not have it granted" : isMissing ? "not granted" : "";
  return html`<span class=${"tag " + (isBeyond ? "bad" : isMissing ? "warn" : "good")}>${isBeyond ? "■ " : isMissing ? "▲ " : ""}${name || "yes"}${why && `, ${why}`}</span> `;
}

/** What waits until somebody grants it, or may not run. @param {{plugin: {name: string, version: string}, waiting: object, again: () => void}} props */
export function Waiting({ plugin, waiting, again }) {
  const isHeld = waiting.stage === "grant", more = waiting.added.length ? waiting.added : waiting.missing;
  return html`<section class="card" aria-label="What waits"><header><h2>${waiting.version} ${isHeld ? "waits" : waiting.stage === "revoked" ? "was revoked" : "is not trusted"}</h2>${isHeld && html`<span class="end"><${Grant} plugin=${plugin} digest=${waiting.digest} not=${waiting.beyond.length ? "Its signer may not have all of it granted." : ""} again=${again} /></span>`}</header>
    <div class="pad stack"><p class="said">${waiting.message}</p>
      ${more.length > 0 && html`<p>Besides what ${plugin.version || "the version before"} has, it asks for:</p>`}</div>
    ${more.length > 0 && html`<${Diff} text=${more.map((text) => `+ ${text}${waiting.beyond.includes(text) ? "   (its signer may not have it granted)" : ""}`).join("\n")} label="What it asks for besides" />`}</section>`;
}

/** Writes what a plugin asks for into the configuration file; what would be written is shown before. */
export function Grant({ plugin, digest, not = "", again }) {
  const path = `/plugins/${encodeURIComponent(plugin.name)}/grant`, about = digest ? { digest } : {};
  const run = async () => {
    const trial = await ask(`${path}?dry_run=true`, { method: "POST", body: about });
    const answer = await confirm({ title: `Grant ${plugin.name} what it asks for`, verb: "Grant", isWide: true,
      what: html`<p>This is written into the configuration file, and what has waited for it runs.</p>${trial.diff != null && html`<div class="card"><${Diff} text=${trial.diff} /></div>`}` });
    if (!answer) return;
    told(await ask(path, { method: "POST", body: { ...about, ...(answer.reason ? { reason: answer.reason } : {}) } }));
    again();
  };
  return html`<${Action} role="configure" kind="main" not=${not} run=${run}>Grant …<//>`;
}
