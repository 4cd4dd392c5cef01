/** What screens are written with: Preact, its hooks, and htm for templates. */
import { Fragment, h, render } from "../vendor/preact.js";
import htm from "../vendor/htm.js";

export const html = htm.bind(h);
export { Fragment, h, render };
export * from "../vendor/hooks.js";
