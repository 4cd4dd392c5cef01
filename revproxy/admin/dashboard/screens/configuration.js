/** Configuration: revproxy.yaml itself, tried before it is saved, and never over somebody else's change. */
import { ask, Refused, useAsk } from "../parts/api.js";
import { Action } from "../parts/action.js";
import { confirm } from "../parts/dialog.js";
import { Diff } from "../parts/diff.js";
import { html, useEffect, useRef, useState } from "../parts/html.js";
import { Editor } from "../parts/editor.js";
import { Told } from "../parts/pluginconfig.js";
import { Head, Missing, Tabs } from "../parts/states.js";
import { toast } from "../parts/toast.js";

const DRAFT = "revproxy-draft";
const draft = { get: () => { try { return JSON.parse(sessionStorage.getItem(DRAFT)); } catch { return null; } }, set: (value) => { try { value ? sessionStorage.setItem(DRAFT, JSON.stringify(value)) : sessionStorage.removeItem(DRAFT); } catch { /* not kept, then */ } } };

export default function Configuration() {
  const asked = useAsk("/config");
  const [view, setView] = useState("file");
  const isRefused = asked.error?.status === 403;
  return html`<${Head} title="Configuration">${asked.data && html`<code class="dim">${asked.data.path ?? "the edge was started with options"}</code>`}<//>
    <${Tabs} label="Which" tabs=${[["file", "File"], ["effective", "Effective values"]]} at=${isRefused ? "effective" : view} pick=${setView} />
    ${isRefused && html`<div class="note">The file's text may hold secrets: ${asked.error.message}</div><br />`}
    ${view === "effective" || isRefused ? html`<${Effective} />` : asked.data ? html`<${File} server=${asked.data} again=${asked.again} />` : html`<${Missing} asked=${asked} what="the configuration" />`}`;
}

function Effective() {
  const asked = useAsk("/config/effective"), value = asked.data;
  if (!value) return html`<${Missing} asked=${asked} what="the effective values" />`;
  const { etag, ...shown } = value;
  return html`<section class="card"><header><h2>What is in force, defaults included</h2><span class="faint small">secrets are ***</span></header><div class="pad"><pre class="mono" tabindex="0" role="group" aria-label="Effective values">${JSON.stringify(shown, null, 2)}</pre></div></section>`;
}

function File({ server, again }) {
  const kept = useRef(draft.get()).current;
  const [base, setBase] = useState(kept ? { text: kept.base, etag: kept.etag } : server);
  const [text, setText] = useState(kept?.text ?? server.text);
  const [answer, setAnswer] = useState(null);
  const isChanged = text !== base.text, isConflict = server.etag !== base.etag;
  useEffect(() => { if (!isChanged && isConflict) { setBase(server); setText(server.text); } }, [server.etag]);
  useEffect(() => { draft.set(isChanged ? { text, base: base.text, etag: base.etag } : null); }, [text, base]);
  useEffect(() => {
    const stay = (event) => isChanged && event.preventDefault();
    const seen = () => { if (!document.hidden) again(); };
    addEventListener("beforeunload", stay);
    document.addEventListener("visibilitychange", seen);
    return () => { removeEventListener("beforeunload", stay); document.removeEventListener("visibilitychange", seen); };
  }, [isChanged]);
  const put = async (isDry, what = text, etag = base.etag, why = "") => {
    try {
      const told = await ask(`/config${isDry ? "?dry_run=true" : ""}`, { method: "PUT", headers: { "If-Match": `"${etag}"` }, body: { text: what, ...(why ? { reason: why } : {}) } });
      setAnswer(told);
      return told;
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      if (error.status === 412) { await again(); setAnswer(null); toast("Somebody has changed the file meanwhile. Yours is kept; compare below.", { bad: true }); } else setAnswer({ error });
      return null;
    }
  };
  const save = async () => {
    const tried = await put(true);
    if (!tried) return;
    const sure = await confirm({ title: "Save and put in force", verb: "Save", isWide: true, what: html`<p>revproxy.yaml is written, comments kept, and goes the way of any save: as a whole or not at all.</p><div class="card"><${Diff} text=${tried.diff} /></div>` });
    if (!sure) return;
    const before = base.text, told = await put(false, text, base.etag, sure.reason);
    if (!told) return;
    setBase({ text, etag: told.etag });
    await again();
    toast("Saved, and in force.", { undo: async () => {
      const back = await put(false, before, told.etag, "undo");
      if (!back) return;
      setBase({ text: before, etag: back.etag });
      setText(before);
      await again();
      toast("As it was before, and in force.");
    } });
  };
  const take = () => { setBase(server); setText(server.text); setAnswer(null); };
  const list = answer?.error?.problem.problems ?? [];
  const not = !server.is_writable ? `The edge cannot write it: ${server.unwritable}` : !isChanged ? "Nothing has been changed." : "";
  return html`<div class="stack">
    ${isConflict && isChanged && html`<div class="note warn" role="alert"><strong>The file has changed since you began.</strong> Yours is kept. <button type="button" class="link" onClick=${() => setBase(server)}>Put mine over it when I save</button> or <button type="button" class="link" onClick=${take}>take the new one</button>.</div>`}
    ${kept && isChanged && html`<p class="small faint">A draft of yours from before was kept.</p>`}
    <section class="card"><header><h2>revproxy.yaml</h2>${isChanged && html`<span class="tag accent">changed, not saved</span>`}${!server.is_writable && html`<span class="tag" title=${server.unwritable}>read-only</span>`}<span class="end"><button type="button" class="button quiet" onClick=${take} aria-disabled=${isChanged ? undefined : "true"}>Discard</button>
        <${Action} role="configure" not=${isChanged ? "" : "Nothing has been changed."} run=${() => put(true)}>Try<//><${Action} role="configure" kind="main" not=${not} run=${save}>Save …<//></span></header>
      <${Editor} text=${text} set=${(next) => { setText(next); setAnswer(null); }} problems=${list} save=${save} isReadOnly=${false} /></section>
    <div aria-live="polite"><${Told} answer=${answer} /></div></div>`;
}
