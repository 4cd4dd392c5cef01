/** The beginning: who are we, which screen is it, and the keys that work everywhere. */
import { session, signIn, whoAmI } from "./parts/api.js";
import { Dialogs } from "./parts/dialog.js";
import { html, render, useEffect, useState } from "./parts/html.js";
import { openPalette, startKeys } from "./parts/keys.js";
import { place } from "./parts/place.js";
import { useStore } from "./parts/store.js";
import { startStream } from "./parts/stream.js";
import { toast, Toasts } from "./parts/toast.js";
import { PLACES, Shell } from "./shell.js";
import { SignIn } from "./screens/signin.js";

const SCREENS = new Set(["now", "requests", "why", "connections", "plugins", "plugin", "rollouts", "trust", "chain", "changes", "configuration", "upstreams", "certificates", "events", "doctor"]);
const TITLES = Object.fromEntries(PLACES.flatMap(([, places]) => places.map(([name, label]) => [name, label])));
const loaded = {};

/** @param {number} [tries] a browser remembers that a file could not be had: each try has an address of its own */
const get = async (name, tries = 0) => { loaded[name] ??= (await import(`./screens/${name}.js${tries ? `?${tries}` : ""}`)).default; };

/** Once the first screen stands, all others are fetched: they are there when the edge is not. */
function getAll() {
  const rest = [...SCREENS];
  const next = () => { const name = rest.shift(); if (name) get(name).catch(() => {}).then(() => setTimeout(next, 30)); };
  setTimeout(next, 1500);
}

/** A code in the address is good once: it is taken out before anything else is done. */
async function codeIn() {
  const [, code] = /^#login=(.+)$/.exec(location.hash) ?? [];
  if (!code) return whoAmI();
  history.replaceState(null, "", location.pathname + location.search + "#/now");
  place.set({ screen: "now", rest: "", query: {} });
  try {
    await signIn({ code: decodeURIComponent(code) });
  } catch (error) {
    toast(error.message, { bad: true });
    await whoAmI();
  }
}

function Screen() {
  const { screen, rest } = useStore(place);
  const [, drawn] = useState(0);
  const name = SCREENS.has(screen) ? screen : "now";
  const Shown = loaded[name];
  useEffect(() => {
    document.title = `${rest ? rest + " · " : ""}${TITLES[name] ?? "Plugin"} · revproxy`;
    // Not whether it is there by now: it may have come after this was drawn without it.
    if (Shown) return;
    let timer, isOver = false, tries = 0;
    const load = () => get(name, tries++).then(() => { if (!isOver) drawn((n) => n + 1); }, () => { if (!isOver) timer = setTimeout(load, 1000); });
    load();
    return () => { isOver = true; clearTimeout(timer); };
  }, [name, rest]);
  return Shown ? html`<${Shown} key=${name} />` : html`<p class="wait" role="status">Loading …</p>`;
}

function App() {
  const who = useStore(session);
  const [wasIn, setIn] = useState(false);
  useEffect(() => { if (who) setIn(true); }, [who]);
  // Who was signed in and is no more signs in above what is there: what was typed is kept.
  return html`${who === undefined ? null : who || wasIn ? html`<${Shell} find=${openPalette}><${Screen} /><//>` : html`<${SignIn} />`}
    ${who === null && wasIn && html`<${SignIn} isAgain />`}<${Dialogs} /><${Toasts} />`;
}

startKeys();
addEventListener("hashchange", () => { if (location.hash.startsWith("#login=")) codeIn(); });
/** Instead of what index.html has in its place, which is seen until now. */
function begin() {
  const place = document.getElementById("app");
  place.replaceChildren();
  render(html`<${App} />`, place);
}

codeIn().then(begin).then(startStream).then(getAll);
