/** A unified diff, line by line; what is added and taken away has its sign as well as its colour. */
import { html } from "./html.js";

const kind = (line) => line.startsWith("+") ? "add" : line.startsWith("-") ? "del" : line.startsWith("@@") ? "hunk" : "";

/** @param {{text: string, label?: string}} props */
export function Diff({ text, label = "Differences" }) {
  if (!text?.trim()) return html`<p class="pad dim">No differences.</p>`;
  const lines = text.replace(/\n$/, "").split("\n").filter((line) => !/^(---|\+\+\+) /.test(line));
  return html`<div class="diff" tabindex="0" role="group" aria-label=${label}>${lines.map((line) => html`<div class=${kind(line)}>${line || " "}</div>`)}</div>`;
}
