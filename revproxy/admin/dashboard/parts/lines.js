/** A long list of which only what is seen is in the page. Arrow keys go from line to line. */
import { html, useEffect, useLayoutEffect, useRef, useState } from "./html.js";

const SPARE = 12;

/** @param {{items: any[], draw: (item: any) => any, more?: () => void, label: string}} props */
export function Lines({ items, draw, more, label }) {
  const view = useRef();
  const [seen, setSeen] = useState({ top: 0, height: 600 });
  const row = matchMedia("(max-width: 680px)").matches ? 52 : 30;
  const first = useRef(items[0]);
  useEffect(() => {
    const element = view.current, watcher = new ResizeObserver(look);
    function look() { setSeen({ top: element.scrollTop, height: element.clientHeight }); }
    element.addEventListener("scroll", look, { passive: true });
    watcher.observe(element);
    return () => { element.removeEventListener("scroll", look); watcher.disconnect(); };
  }, []);
  // What is being read stays where it is when something comes above it.
  useLayoutEffect(() => {
    const moved = first.current ? items.findIndex((one) => one.number === first.current.number) : 0;
    if (moved > 0 && view.current.scrollTop > 0) view.current.scrollTop += moved * row;
    first.current = items[0];
  }, [items]);
  const from = Math.max(0, Math.floor(seen.top / row) - SPARE), to = Math.min(items.length, Math.ceil((seen.top + seen.height) / row) + SPARE);
  useEffect(() => { if (to >= items.length - 5) more?.(); }, [to, items.length]);
  const keys = (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key], line = event.target.closest("li");
    if (!step || !line) return;
    event.preventDefault();
    (step > 0 ? line.nextElementSibling : line.previousElementSibling)?.firstElementChild.focus({ preventScroll: true });
    document.activeElement.scrollIntoView({ block: "nearest" });
  };
  return html`<div class="viewport" ref=${view} tabindex="0" role="group" aria-label=${label} onKeyDown=${keys}><ol style=${{ height: `${items.length * row}px` }}>
    ${items.slice(from, to).map((one, i) => html`<li key=${one.number} aria-setsize=${items.length} aria-posinset=${from + i + 1} style=${{ transform: `translateY(${(from + i) * row}px)` }}>${draw(one)}</li>`)}</ol></div>`;
}
