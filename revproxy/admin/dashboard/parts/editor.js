/** A text with the numbers of its lines, in a plain textarea; problems stand at their lines. */
import { html, useEffect, useRef } from "./html.js";
import { toast } from "./toast.js";

const LINE = 20;
const TOP = 8;

/** @param {{text: string, set: (text: string) => void, problems: {line?: number, column?: number}[], save?: () => Promise<void>, isReadOnly?: boolean}} props */
export function Editor({ text, set, problems, save, isReadOnly }) {
  const area = useRef(), whole = useRef();
  const count = text.split("\n").length;
  const wrong = new Map(problems.filter((one) => one.line).map((one) => [one.line, one]));
  useEffect(() => {
    const [first] = [...wrong.values()];
    if (!first) return;
    whole.current.scrollTop = Math.max(0, (first.line - 6) * LINE);
    const before = text.split("\n").slice(0, first.line - 1).join("\n").length + (first.line > 1 ? 1 : 0);
    area.current.focus({ preventScroll: true });
    area.current.setSelectionRange(before + Math.max(0, (first.column ?? 1) - 1), before + Math.max(0, (first.column ?? 1) - 1));
  }, [problems]);
  const keys = (event) => {
    if (event.key.toLowerCase() === "s" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); save?.()?.catch((error) => toast(error.message, { bad: true })); }
  };
  return html`<div class="editor" ref=${whole}><div class="gutter" aria-hidden="true">${Array.from({ length: count }, (_, i) => html`<div class=${wrong.has(i + 1) ? "wrong" : ""}>${wrong.has(i + 1) ? "■ " : ""}${i + 1}</div>`)}</div>
    <div class="sheet">${[...wrong.keys()].map((line) => html`<div class="mark" style=${{ top: `${TOP + (line - 1) * LINE}px` }}></div>`)}
      <textarea ref=${area} value=${text} rows=${count} wrap="off" readonly=${isReadOnly} spellcheck="false" autocapitalize="off" autocomplete="off" aria-label="revproxy.yaml" aria-invalid=${wrong.size ? "true" : undefined} onInput=${(e) => set(e.target.value)} onKeyDown=${keys}></textarea></div></div>`;
}
