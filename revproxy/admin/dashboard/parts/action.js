/** Buttons that change something: they know who may, say why not, wait, and tell what came of it. */
import { mayNot, session } from "./api.js";
import { html, useState } from "./html.js";
import { useStore } from "./store.js";
import { toast } from "./toast.js";

/**
 * @param {{role?: string, not?: string, run: () => Promise<any>, kind?: string, children: any, type?: string, label?: string}} props
 *   `not`: another reason why it cannot be done now
 */
export function Action({ role = "read", not = "", run, kind = "", children, label, type = "button" }) {
  useStore(session);
  const [isBusy, setBusy] = useState(false);
  const why = mayNot(role) || not;
  const click = async (event) => {
    event.preventDefault();
    if (isBusy) return;
    if (why) return toast(why);
    setBusy(true);
    try {
      await run();
    } catch (error) {
      toast(error.message, { bad: true });
    } finally {
      setBusy(false);
    }
  };
  return html`<button type=${type} class=${`button ${kind}`} onClick=${click} aria-disabled=${why ? "true" : undefined} aria-busy=${isBusy ? "true" : undefined}
    title=${why || undefined} aria-label=${label}>${children}${why && html`<span class="sr">. ${why}</span>`}</button>`;
}

/**
 * What the edge says of a change: its texts, or why not.
 * @param {{text?: string[], refused?: {plugin: string, stage: string, message: string}[]}} answer
 * @param {() => Promise<any>} [undo]
 */
export function told(answer, undo) {
  const refused = (answer?.refused ?? []).filter((one) => one.stage !== "late");
  const isLate = refused.length < (answer?.refused ?? []).length;
  if (refused.length) toast(refused.map((one) => `${one.plugin ? one.plugin + ": " : ""}${one.stage}: ${one.message}`).join("\n"), { bad: true });
  else toast(isLate ? "It takes longer, and goes on; the events tell how it ends." : [].concat(answer?.text?.length ? answer.text : "Done.").join("\n"), { undo });
  return !refused.length;
}
