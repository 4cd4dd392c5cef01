/** What stands around every screen: name, search, places, who we are, and the banner when the edge is lost. */
import { lost, session, signOut, useAsk } from "./parts/api.js";
import { coarse, count, duration, time } from "./parts/format.js";
import { html, useEffect, useRef, useState } from "./parts/html.js";
import { Icon } from "./parts/icon.js";
import { link, place } from "./parts/place.js";
import { State } from "./parts/states.js";
import { useStore } from "./parts/store.js";

/** Groups of places: screen, label, key after `g`. */
export const PLACES = [
  ["Traffic", [["now", "Now", "n"], ["requests", "Requests", "r"], ["why", "Why", "w"], ["connections", "Connections", "o"]]],
  ["Code", [["plugins", "Plugins", "p"], ["rollouts", "Rollouts", "l"], ["trust", "Trust", "s"], ["chain", "Chain", "c"], ["changes", "Changes", "h"], ["configuration", "Configuration", "f"]]],
  ["Edge", [["upstreams", "Upstreams", "u"], ["certificates", "Certificates", "t"], ["events", "Events & alerts", "e"], ["doctor", "Doctor", "d"]]],
];

function Brand() {
  return html`<a class="brand" href=${link("now")} aria-label="revproxy, now"><svg viewBox="0 0 20 20" fill="none" stroke="currentColor" stroke-width="2"
    stroke-linecap="round" stroke-linejoin="round" aria-hidden="true"><path d="M2 10h4l3-6 3 12 2-6h4" /></svg><span>revproxy</span></a>`;
}

function Theme() {
  const read = () => document.documentElement.dataset.theme ?? "";
  const [theme, setTheme] = useState(read());
  const isDark = theme ? theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  const flip = () => {
    document.documentElement.dataset.theme = isDark ? "light" : "dark";
    try { localStorage.setItem("revproxy-theme", read()); } catch { /* for this page only, then */ }
    setTheme(read());
  };
  return html`<button type="button" class="button quiet" onClick=${flip} aria-label=${isDark ? "Light theme" : "Dark theme"} title=${isDark ? "Light theme" : "Dark theme"}><${Icon} name=${isDark ? "sun" : "moon"} /></button>`;
}

function Who() {
  const who = useStore(session);
  const [isOpen, setOpen] = useState(false);
  const element = useRef();
  useEffect(() => {
    if (!isOpen) return;
    const away = (event) => { if (event.key === "Escape" || (event.type === "pointerdown" && !element.current.contains(event.target))) setOpen(false); };
    addEventListener("pointerdown", away);
    addEventListener("keydown", away);
    return () => { removeEventListener("pointerdown", away); removeEventListener("keydown", away); };
  }, [isOpen]);
  return html`<div class="pop" ref=${element}><button type="button" class="button quiet" aria-expanded=${String(isOpen)} onClick=${() => setOpen(!isOpen)} aria-label=${`Signed in as ${who?.name}, ${who?.role}`}>
    <${Icon} name="user" /><span class="at-desk">${who?.name}</span></button>
    ${isOpen && html`<ul><li class="plain dim">${who?.name} <span class="tag">${who?.role}</span></li>
      ${who?.expires_at && html`<li class="plain small faint">until ${time(who?.expires_at)}</li>`}
      <li><button type="button" onClick=${signOut}>Sign out</button></li></ul>`}</div>`;
}

function Banner() {
  const gone = useStore(lost);
  const [, tick] = useState(0);
  useEffect(() => {
    if (!gone) return;
    const timer = setInterval(() => tick((n) => n + 1), 1000);
    return () => clearInterval(timer);
  }, [gone]);
  const since = gone && Math.max(1, (Date.now() - gone.since) / 1000);
  return html`<div class="notice" role="status" aria-live="polite">${gone && html`<div class="banner"><span class="state warn"><strong>The edge does not answer</strong></span>
    <span>since ${time(gone.since / 1000)} (${coarse(since)}). What you see is from before; what you typed is kept. It is tried again by itself.</span></div>`}</div>`;
}

function Rail({ isOpen, close, firing, status }) {
  const { screen } = useStore(place);
  const at = screen === "plugin" ? "plugins" : screen;
  return html`<nav class=${"rail" + (isOpen ? " open" : "")} id="rail" aria-label="Screens" onClick=${close}>
    ${PLACES.map(([group, places]) => html`<h2>${group}</h2>${places.map(([name, label]) => html`
      <a href=${link(name)} aria-current=${name === at ? "page" : undefined}><${Icon} name=${name} /><span>${label}</span>
        ${name === "events" && firing > 0 && html`<span class="count"><span aria-hidden="true">■ </span>${count(firing)}<span class="sr"> firing</span></span>`}</a>`)}`)}
    ${status && html`<footer>${status.name ?? "revproxy"} ${status.version}<br />Python ${status.python}<br />up ${duration(status.now - status.started_at)}</footer>`}
  </nav>`;
}

/** @param {{find: () => void, children: any}} props */
export function Shell({ find, children }) {
  const [isOpen, setOpen] = useState(false);
  const asked = useAsk("/status", 5), status = asked.data;
  return html`<div class="shell">
    <a class="skip" href="#main" onClick=${(e) => { e.preventDefault(); document.getElementById("main").focus(); }}>Skip to the content</a>
    <header class="topbar">
      <button type="button" class="button quiet menu" aria-expanded=${String(isOpen)} aria-controls="rail" onClick=${() => setOpen(!isOpen)} aria-label="Menu"><${Icon} name="menu" /></button>
      <${Brand} />
      <button type="button" class="finder" onClick=${find}><${Icon} name="search" /><span>Search …</span><kbd>Ctrl K</kbd></button>
      <div class="end">${status && html`<a href=${link("doctor")}><${State} of=${status.is_ready || status.state !== "serving" ? status.state : "warning"}>${status.is_ready || status.state !== "serving" ? status.state : "not ready"}<//></a>`}
        <${Theme} /><${Who} /></div>
    </header>
    <${Banner} />
    <${Rail} isOpen=${isOpen} close=${() => setOpen(false)} firing=${status?.alerts_firing} status=${status} />
    <main id="main" tabindex="-1">${children}</main>
  </div>`;
}
