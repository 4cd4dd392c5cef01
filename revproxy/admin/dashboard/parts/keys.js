/** Keys that work on every screen, the list of them, and the palette that finds what has no key. */
import { ask, lost } from "./api.js";
import { show } from "./dialog.js";
import { html, useEffect, useMemo, useRef, useState } from "./html.js";
import { go } from "./place.js";
import { PLACES } from "../shell.js";

const ALL = PLACES.flatMap(([, places]) => places);

const isTyping = (target) => target.closest?.("input, textarea, select, [contenteditable]");

/** To be called once. */
export function startKeys() {
  let waitsForPlace = 0;
  addEventListener("keydown", (event) => {
    if (event.key.toLowerCase() === "k" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); openPalette(); return; }
    if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target) || document.querySelector("dialog[open]")) return;
    if (Date.now() - waitsForPlace < 1500) {
      waitsForPlace = 0;
      const place = ALL.find(([, , key]) => key === event.key);
      if (place) { event.preventDefault(); go(place[0]); }
    } else if (event.key === "g") waitsForPlace = Date.now();
    else if (event.key === "/") { event.preventDefault(); openPalette(); } else if (event.key === "?") openHelp();
  });
}

const KEYS = [["Ctrl K or /", "find a screen, a plugin, a route; look up a request id"], ["?", "this list"], ["↑ ↓", "through the list of requests"], ["Enter", "open what is chosen"],
  ["Ctrl S", "save the configuration"], ["Esc", "close what is open"], ...ALL.map(([, label, key]) => [`g ${key}`, label])];

export const openHelp = () => show((close) => html`<div class="inside"><h2 id="dialog-title">Keys</h2>
  <dl class="facts">${KEYS.map(([keys, what]) => html`<dt>${keys.split(" ").map((key) => key === "or" ? " or " : html`<kbd>${key}</kbd> `)}</dt><dd>${what}</dd>`)}</dl>
  <div class="foot"><button type="button" class="button" onClick=${() => close()}>Close</button></div></div>`);

export const openPalette = () => show((close) => html`<${Palette} close=${close} />`, "palette");

/** What can be found: screens at once, names when the edge has told them. */
function useChoices() {
  const [names, setNames] = useState([]);
  useEffect(() => {
    if (lost.get()) return;
    const plugins = ask("/plugins").then((answer) => (answer.items ?? answer).map((plugin) => ({ label: plugin.name, kind: "plugin", where: ["plugin", plugin.name] })));
    const routes = ask("/status").then((status) => (status.routes ?? []).map((one) => ({ label: one.route, kind: "requests of a route", where: ["requests", "", { route: one.route }] })));
    Promise.allSettled([plugins, routes]).then((all) => setNames(all.flatMap((one) => one.value ?? [])));
  }, []);
  return useMemo(() => [
    ...ALL.map(([name, label, key]) => ({ label, kind: "screen", key: `g ${key}`, where: [name] })),
    { label: "Failed requests", kind: "requests", where: ["requests", "", { status: "5xx" }] },
    { label: "Slow requests", kind: "requests", where: ["requests", "", { slower: "1s" }] },
    { label: "What would happen to a request?", kind: "dry run", where: ["why"] },
    ...names,
  ], [names]);
}

function Palette({ close }) {
  const [text, setText] = useState("");
  const [at, setAt] = useState(0);
  const input = useRef();
  const choices = useChoices();
  useEffect(() => input.current.focus(), []);
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const found = choices.filter((one) => words.every((word) => `${one.label} ${one.kind}`.toLowerCase().includes(word)));
  if (/^[\w-]{12,}$/.test(text.trim())) found.unshift({ label: `Request ${text.trim()}`, kind: "why", where: ["why", text.trim()] });
  const shown = found.slice(0, 40);
  const pick = (one) => { if (one) { close(); go(...one.where); } };
  const key = (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) { event.preventDefault(); setAt((at + step + shown.length) % Math.max(1, shown.length)); } else if (event.key === "Enter") { event.preventDefault(); pick(shown[at]); }
  };
  return html`<div><h2 id="dialog-title" class="sr">Search</h2>
    <input ref=${input} value=${text} role="combobox" aria-expanded="true" aria-controls="found" aria-activedescendant=${shown[at] ? `found-${at}` : undefined} aria-label="Search"
      placeholder="A screen, a plugin, a route, the id of a request …" autocomplete="off" onInput=${(e) => { setText(e.target.value); setAt(0); }} onKeyDown=${key} />
    <ul id="found" role="listbox" aria-label="Found">${shown.map((one, i) => html`<li id=${`found-${i}`} role="option" aria-selected=${String(i === at)} onClick=${() => pick(one)}
      onPointerMove=${() => setAt(i)}><span>${one.label}</span><span>${one.kind}${one.key ? html` <kbd>${one.key}</kbd>` : ""}</span></li>`)}</ul>
    ${!shown.length && html`<p class="empty">Nothing of that name.</p>`}</div>`;
}
