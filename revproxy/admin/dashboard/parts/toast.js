/** What has just been done, with its undo. */
import { html } from "./html.js";
import { store, useStore } from "./store.js";

const toasts = store([]);
let number = 0;

/** @param {string} text @param {{bad?: boolean, undo?: () => Promise<any>, seconds?: number}} [options] */
export function toast(text, { bad = false, undo, seconds = undo ? 30 : bad ? 15 : 6 } = {}) {
  const made = { number: ++number, text, bad, undo };
  // Only what was done last can be taken back: an undo of something before it would undo both.
  toasts.set([...toasts.get().filter((one) => !(undo && one.undo)).slice(-3), made]);
  setTimeout(() => drop(made), seconds * 1000);
}

const drop = (gone) => toasts.set(toasts.get().filter((one) => one !== gone));

async function takeBack(one) {
  drop(one);
  try {
    await one.undo();
  } catch (error) {
    toast(error.message, { bad: true });
  }
}

export function Toasts() {
  return html`<div class="toasts" role="status" aria-live="polite">${useStore(toasts).map((one) => html`
    <div key=${one.number} class=${"toast" + (one.bad ? " bad" : "")}>
      <p>${one.text}</p>
      ${one.undo && html`<button type="button" onClick=${() => takeBack(one)}>Undo</button>`}
      <button type="button" onClick=${() => drop(one)} aria-label="Close this message">✕</button>
    </div>`)}</div>`;
}
