/** Dialogs: one at a time, asked for from anywhere, answered by a promise. */
import { html, useEffect, useRef, useState } from "./html.js";
import { store, useStore } from "./store.js";

const open = store(null);

/**
 * Show a dialog.
 * @param {(close: (answer?: any) => void) => any} draw its content
 * @param {string} [kind] a class
 */
export function show(draw, kind = "") {
  open.get()?.close();
  return new Promise((resolve) => {
    const close = (answer) => { if (open.get()?.close === close) open.set(null); resolve(answer); };
    open.set({ draw, kind, close });
  });
}

/** Where dialogs appear. */
export function Dialogs() {
  const shown = useStore(open);
  const element = useRef();
  useEffect(() => {
    if (!shown) return;
    const before = document.activeElement;
    element.current.showModal();
    return () => before?.isConnected && before.focus();
  }, [shown]);
  return shown && html`<dialog ref=${element} class=${shown.kind} aria-labelledby="dialog-title" onClose=${() => shown.close()}
    onClick=${(event) => event.target === element.current && shown.close()}>${shown.draw(shown.close)}</dialog>`;
}

/**
 * Ask before something is done.
 * @param {{title: string, what: any, verb: string, danger?: boolean, isWide?: boolean, hasReason?: boolean, fields?: {name: string, label: string, value?: string, help?: string, type?: string, options?: string[][]}[]}} about
 * @returns {Promise<{reason?: string} | undefined>} what was typed; undefined: it is not to be done
 */
export const confirm = (about) => show((close) => html`<${Confirmation} about=${about} close=${close} />`, about.isWide ? "wide" : "");

function Confirmation({ about, close }) {
  const fields = [...(about.fields ?? []), ...(about.hasReason === false ? [] : [{ name: "reason", label: "Reason", help: "Kept in the history. Optional." }])];
  const [values, setValues] = useState(Object.fromEntries(fields.map((field) => [field.name, field.value ?? ""])));
  const send = (event) => { event.preventDefault(); close(values); };
  return html`<form method="dialog" onSubmit=${send}>
    <h2 id="dialog-title">${about.title}</h2>
    <div class="dim">${about.what}</div>
    ${fields.map((field) => html`<label class="field" key=${field.name}><span>${field.label}</span>
      ${field.options
        ? html`<select value=${values[field.name]} onChange=${(e) => setValues({ ...values, [field.name]: e.target.value })}>
            ${field.options.map(([value, text]) => html`<option value=${value}>${text}</option>`)}</select>`
        : html`<input type=${field.type ?? "text"} value=${values[field.name]} onInput=${(e) => setValues({ ...values, [field.name]: e.target.value })} />`}
      ${field.help && html`<span class="help">${field.help}</span>`}</label>`)}
    <div class="foot"><button type="button" class="button" onClick=${() => close()}>Cancel</button>
      <button type="submit" class=${"button " + (about.danger ? "danger" : "main")}>${about.verb}</button></div>
  </form>`;
}
