/**
 * One stream of events for all tabs of a browser, for it has six connections to an origin and each tab needs one now and
 * then. Whichever tab that is seen holds a lock reads the stream and tells the others; a tab that is hidden lets go.
 * Where a browser has no locks, or the stream does not come, each tab asks every few seconds instead.
 */
import { ask, lost, session } from "./api.js";
import { store } from "./store.js";

const KEPT = 400;
const POLL = 5000;
const channel = "BroadcastChannel" in self ? new BroadcastChannel("revproxy-events") : null;

/** The latest events, oldest first. */
export const events = store([]);
/** How they come: "stream", "another tab", "polling" or "off". */
export const way = store("off");

let last = 0, stop = null;

function take(items) {
  const fresh = items.filter((event) => event.number > last).sort((a, b) => a.number - b.number);
  if (!fresh.length) return;
  last = fresh[fresh.length - 1].number;
  events.set([...events.get(), ...fresh].slice(-KEPT));
}

/** What has happened while nobody listened. */
async function catchUp() {
  const answer = await ask(last ? `/events?after=${last}&limit=${KEPT}` : `/events?limit=${KEPT}`);
  const items = answer.items ?? answer;
  const newest = items.reduce((most, event) => Math.max(most, event.number), 0);
  if (last && newest && newest < last) last = 0; // the edge has begun to count anew
  take(items);
}

/**
 * Read a stream of server-sent events.
 * @param {string} path @param {AbortSignal} signal @param {(data: any, id: string, kind: string) => void} hear
 * @param {() => void} [opened]
 */
export async function readStream(path, signal, hear, opened, after) {
  const response = await ask(path, { signal, isStream: true, headers: after ? { "Last-Event-ID": String(after) } : {} });
  opened?.();
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const blocks = (rest + value).replace(/\r\n/g, "\n").split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) {
      const fields = { data: "", id: "", event: "message" };
      for (const line of block.split("\n")) {
        const [, name, text] = /^(\w+): ?(.*)$/.exec(line) ?? [];
        if (name === "data") fields.data += fields.data ? "\n" + text : text;
        else if (name) fields[name] = text;
      }
      if (fields.data) hear(JSON.parse(fields.data), fields.id, fields.event);
    }
  }
}

const pause = (milliseconds, signal) => new Promise((resolve) => {
  const timer = setTimeout(resolve, milliseconds);
  signal.addEventListener("abort", () => { clearTimeout(timer); resolve(); }, { once: true });
});

async function lead(signal) {
  let wait = 1000;
  while (!signal.aborted) {
    try {
      await readStream("/events/stream", signal, (event) => {
        if (typeof event?.number !== "number") return;
        take([event]);
        channel?.postMessage(event);
      }, () => { way.set("stream"); wait = 1000; }, last);
    } catch { /* told by the banner */ }
    if (signal.aborted) return;
    way.set("polling");
    await catchUp().catch(() => {});
    await pause(wait, signal);
    wait = Math.min(wait * 2, 15_000);
  }
}

async function poll(signal) {
  way.set("polling");
  while (!signal.aborted) {
    if (!lost.get()) await catchUp().catch(() => {});
    await pause(POLL, signal);
  }
}

function begin() {
  if (stop || document.hidden || !session.get()) return;
  const ends = new AbortController();
  stop = () => { ends.abort(); stop = null; way.set("off"); };
  catchUp().catch(() => {});
  if (!navigator.locks || !channel) { poll(ends.signal); return; }
  way.set("another tab");
  navigator.locks.request("revproxy-events", { signal: ends.signal }, () => lead(ends.signal)).catch(() => {});
}

/** To be called once. */
export function startStream() {
  channel?.addEventListener("message", ({ data }) => take([data]));
  document.addEventListener("visibilitychange", () => { if (document.hidden) stop?.(); else begin(); });
  session.hear((who) => { if (who) begin(); else stop?.(); });
  lost.hear((gone) => { if (!gone && stop) catchUp().catch(() => {}); });
  begin();
}
