/** The configuration of one plugin: a form made of its schema, and the same as JSON. Written to `plugins.config.NAME`. */
import { ask, Refused, useAsk } from "./api.js";
import { Action } from "./action.js";
import { Diff } from "./diff.js";
import { html, useEffect, useState } from "./html.js";
import { problems, Raw, SchemaForm } from "./schemaform.js";
import { Missing, Tabs } from "./states.js";
import { toast } from "./toast.js";

/** @param {{plugin: object}} props */
export function PluginConfig({ plugin }) {
  const path = `/plugins/${encodeURIComponent(plugin.name)}/config`;
  const asked = useAsk(path);
  if (!asked.data) return html`<${Missing} asked=${asked} what="its configuration" />`;
  return html`<${Form} key=${asked.data.etag} plugin=${plugin} path=${path} first=${asked.data} again=${asked.again} />`;
}

function Form({ plugin, path, first, again }) {
  const isOnly = first.config === true || first.config === false || first.config == null; // a switch, or nothing is said of it
  const before = isOnly ? {} : first.config;
  const [value, setValue] = useState(before);
  const [view, setView] = useState("form");
  const [broken, setBroken] = useState("");
  const [reason, setReason] = useState("");
  const [answer, setAnswer] = useState(null);
  const schema = first.schema ?? {};
  const hasSchema = Object.keys(schema).length > 0;
  const wrong = { ...problems(schema, value), ...fromEdge(answer) };
  const isChanged = JSON.stringify(value) !== JSON.stringify(before);
  useEffect(() => { if (isChanged) { const ask = (e) => e.preventDefault(); addEventListener("beforeunload", ask); return () => removeEventListener("beforeunload", ask); } }, [isChanged]);
  const edit = (next) => { setValue(next ?? {}); setAnswer(null); };
  let { etag } = first;
  const send = async (isDry, config = value, why = reason) => {
    try {
      const told = await ask(`${path}${isDry ? "?dry_run=true" : ""}`, { method: "PUT", headers: { "If-Match": `"${etag}"` }, body: { config, ...(why ? { reason: why } : {}) } });
      if (!isDry) etag = told.etag;
      setAnswer(told);
      return told;
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      setAnswer({ error });
      return null;
    }
  };
  const save = async () => {
    const told = await send(false);
    if (!told) return;
    toast(`${plugin.name} has its new configuration.`, { undo: async () => { if (await send(false, first.config ?? true, "undo")) toast(`${plugin.name} has the configuration it had before.`); again(); } });
    again();
  };
  const not = broken ? "The JSON is not whole." : !isChanged ? "Nothing has been changed." : first.is_writable ? "" : "The edge cannot write its configuration file.";
  return html`<section class="card"><header><h2>plugins.config.${plugin.name}</h2>${!hasSchema && html`<span class="faint small">This plugin has no schema: anything goes that it takes.</span>`}</header>
    <div class="pad narrow form"><${Tabs} label="How to edit" tabs=${[["form", "Form"], ["json", "JSON"]]} at=${view} pick=${setView} />
      ${view === "json" ? html`<${Raw} value=${value} set=${edit} label="Configuration" path="" wrong=${wrong} rows=${12} isBroken=${setBroken} />` : html`<${SchemaForm} schema=${schema} value=${value} set=${edit} wrong=${wrong} defaults=${first.defaults} />`}
      ${first.config === false && html`<p class="note">The configuration file says that it is off. Saving says that it is on, with this.</p>`}
      <${Groups} groups=${first.groups} defaults=${first.defaults} />
      <${Told} answer=${answer} />
      <div class="row"><label class="field grow"><span>Reason</span><input value=${reason} placeholder="Kept in the history. Optional." onInput=${(e) => setReason(e.target.value)} /></label></div>
      <div class="row"><span class="grow"></span><${Action} role="configure" not=${not} run=${() => send(true)}>Try<//><${Action} role="configure" kind="main" not=${not || (Object.keys(wrong).length ? "The form has problems." : "")} run=${save}>Save<//></div></div></section>`;
}

/** What comes of it where: routes may say something of their own. */
function Groups({ groups, defaults }) {
  const hasDefaults = Object.keys(defaults ?? {}).length > 0;
  return html`<details><summary class="small dim">What comes of it, by routes</summary><dl class="facts small">${hasDefaults && html`<dt>its plugin.json</dt><dd><code>${JSON.stringify(defaults)}</code></dd>`}
    ${(groups ?? []).map((one) => html`<dt>${one.routes.slice(0, 6).join(", ")}${one.routes.length > 6 ? " …" : ""}</dt><dd>${one.config ? html`<code>${JSON.stringify(one.config)}</code>` : "off"}</dd>`)}</dl></details>`;
}

/** What the edge found wrong, by path below the plugin's configuration. */
function fromEdge(answer) {
  const found = {};
  for (const one of answer?.error?.problem?.problems ?? answer?.problems ?? []) if (one.path) found[one.path.replace(/^\$\.plugins\.config(\.[\w-]+|\[[^\]]*\])\.?/, "")] = one.message;
  return found;
}

/** What came of a try or of saving. */
export function Told({ answer }) {
  if (!answer) return null;
  if (answer.error) {
    const list = answer.error.problem.problems ?? [];
    return html`<div class="note bad" role="alert"><strong>Not taken; what runs keeps running.</strong> ${!list.length && answer.error.message}
      ${list.length > 0 && html`<ul>${list.map((one) => html`<li><code>${[one.source, ...(one.line ? [one.line, one.column] : [])].join(":")}</code> ${one.path} ${one.message}</li>`)}</ul>`}</div>`;
  }
  return html`<div class="note good" role="status"><strong>${!answer.dry_run ? "In force." : "It would be taken."}</strong> ${answer.text.join(" ")}${answer.refused.length > 0 && html`<ul>${answer.refused.map((one) => html`<li class="is-bad">■ ${one.plugin ? `${one.plugin}: ` : ""}${one.stage}: ${one.message}</li>`)}</ul>`}</div>${answer.diff != null && html`<div class="card"><${Diff} text=${answer.diff} /></div>`}`;
}
