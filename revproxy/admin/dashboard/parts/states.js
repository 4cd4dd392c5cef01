/** Small things that many screens show in the same way. */
import { lost, session, mayNot, Refused } from "./api.js";
import { ago, time } from "./format.js";
import { html, useEffect, useRef } from "./html.js";
import { useStore } from "./store.js";

const TONES = {
  running: "good", serving: "good", up: "good", ok: "good", resolved: "good", done: "good",
  quarantined: "warn", drained: "warn", draining: "warn", warning: "warn", silenced: "off", starting: "warn",
  failed: "bad", down: "bad", failing: "bad", firing: "bad", refused: "bad",
};

/** A state as glyph, colour and word. @param {{of: string, children?: any}} props */
export const State = ({ of, children }) => html`<span class=${"state " + (TONES[of] ?? "off")}>${children ?? of}</span>`;

/** A point in time, with how long ago it is. @param {{at: number}} props */
export const When = ({ at, isShort }) => at
  ? html`<time datetime=${new Date(at * 1000).toISOString()} title=${new Date(at * 1000).toLocaleString("en-GB")}>${isShort ? time(at) : ago(at)}</time>`
  : html`<span class="faint">–</span>`;

/** A status code; errors have a glyph. @param {{of: number}} props */
export const Status = ({ of }) => html`<span class=${`code c${Math.floor(of / 100)}`}>${of}</span>`;

/** A share of a whole as a bar. @param {{of: number, label?: string}} props */
export const Bar = ({ of }) => html`<span class="bar" aria-hidden="true"><i style=${{ width: `${Math.min(100, Math.max(0, of * 100))}%` }}></i></span>`;

/**
 * What is shown while there is no data, or instead of it.
 * @param {{asked: {data: any, error?: Error}, role?: string, what: string}} props
 */
export function Missing({ asked, what }) {
  useStore(session);
  const isLost = useStore(lost), { data, error } = asked;
  if (error instanceof Refused && error.status === 403) return html`<div class="card empty"><strong>Not yours to see</strong>${error.message}</div>`;
  if (error instanceof Refused && error.status === 404) return html`<div class="card empty"><strong>Not found</strong>${error.message}</div>`;
  if (data !== undefined) return null;
  if (error instanceof Refused && error.status !== 401) return html`<div class="note bad" role="alert"><strong>The edge cannot tell ${what}.</strong> ${error.message}</div>`;
  return html`<p class="wait" role="status">${isLost ? `Once the edge answers, ${what} will be here.` : `Asking for ${what} …`}</p>`;
}

/** Nothing is there, and that is fine. */
export const Empty = ({ title, children }) => html`<div class="empty"><strong>${title}</strong>${children}</div>`;

/** A heading with what belongs beside it. */
export const Head = ({ title, crumb, children, text }) => html`<div class="head">
  <h1>${crumb && html`<span class="crumb">${crumb} / </span>`}${title}</h1>${children && html`<div class="end">${children}</div>`}${text && html`<p>${text}</p>`}</div>`;

/** Tabs. @param {{tabs: [string, string][], at: string, pick: (tab: string) => void, label: string}} props */
export function Tabs({ tabs, at, pick, label }) {
  const move = (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const next = (tabs.findIndex(([name]) => name === at) + step + tabs.length) % tabs.length;
    pick(tabs[next][0]);
    event.currentTarget.children[next].focus();
  };
  const list = useRef();
  useEffect(() => { const { current } = list, tab = current.querySelector("[aria-selected=true]"); if (tab) current.scrollLeft = tab.offsetLeft - (current.clientWidth - tab.clientWidth) / 2; }, [at]);
  return html`<div class="tabs" ref=${list} role="tablist" aria-label=${label} onKeyDown=${move}>${tabs.map(([name, text]) => html`
    <button type="button" role="tab" aria-selected=${String(name === at)} tabindex=${name === at ? 0 : -1} onClick=${() => pick(name)}>${text}</button>`)}</div>`;
}

/** One of a few. @param {{options: [string, string][], at: string, pick: (value: string) => void, label: string}} props */
export const Choice = ({ options, at, pick, label }) => html`<div class="choice" role="group" aria-label=${label}>${options.map(([value, text]) => html`
  <button type="button" aria-pressed=${String(value === at)} onClick=${() => pick(value)}>${text}</button>`)}</div>`;

/** A wide table: scrolls by itself, by keys as well. */
export const Scroll = ({ label, children }) => html`<div class="scroll" tabindex="0" role="group" aria-label=${label}>${children}</div>`;

/** Whether the token may do it. */
export function useMay(role) {
  useStore(session);
  return !mayNot(role);
}
