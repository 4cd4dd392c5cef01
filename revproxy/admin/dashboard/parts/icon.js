/** Line icons on a grid of 16. */
import { html } from "./html.js";

const PATHS = {
  now: "M1.5 8h3l2-5 3 10 2-5h3", requests: "M2 4h12M2 8h12M2 12h7", why: "M6 6a2 2 0 1 1 2.6 1.9c-.4.2-.6.5-.6 1v.6M8 12v.01M8 14.5a6.5 6.5 0 1 0 0-13 6.5 6.5 0 0 0 0 13",
  chain: "M6.5 9.5l3-3M7 4.8l1.3-1.3a3 3 0 0 1 4.2 4.2L11.2 9M9 11.2l-1.3 1.3a3 3 0 0 1-4.2-4.2L4.8 7", plugins: "M3 6.5h10v7H3zM5.5 6.5v-3M10.5 6.5v-3M3 10h10",
  changes: "M8 4.5V8l2.5 1.5M2.2 6.2A6 6 0 1 1 2 8M2 3v3.2h3.2", configuration: "M3 4.5h6M12 4.5h1M3 11.5h1M7 11.5h6M10.5 3v3M5.5 10v3", upstreams: "M2.5 3h11v4h-11zM2.5 9h11v4h-11zM5 5v.01M5 11v.01",
  certificates: "M4 7.5V5a4 4 0 0 1 8 0v2.5M3 7.5h10v6H3zM8 10v1.5", events: "M8 2a4 4 0 0 0-4 4v3l-1.5 2.5h11L12 9V6a4 4 0 0 0-4-4M6.5 13.5a1.6 1.6 0 0 0 3 0",
  rollouts: "M2 12.5c5 0 4-9 12-9M14 3.5l-3-1.8M14 3.5l-2.2 2.7M2 8h2.5M2 3.5h4",
  trust: "M8 1.5l5.5 2v4.2c0 3.2-2.3 5.6-5.5 6.8-3.2-1.2-5.5-3.6-5.5-6.8V3.5zM5.5 8l1.8 1.8L10.8 6",
  doctor: "M8 13.5S2 10 2 6a3 3 0 0 1 6-.8A3 3 0 0 1 14 6c0 4-6 7.5-6 7.5zM4.5 8h2l1-2 1.5 3.5 1-1.5h1.5", search: "M7 12A5 5 0 1 0 7 2a5 5 0 0 0 0 10M14 14l-3.5-3.5", menu: "M2 4h12M2 8h12M2 12h12",
  sun: "M8 11a3 3 0 1 0 0-6 3 3 0 0 0 0 6M8 1v1.5M8 13.5V15M1 8h1.5M13.5 8H15M3 3l1 1M12 12l1 1M3 13l1-1M12 4l1-1", moon: "M13.5 9.5A6 6 0 0 1 6.5 2.5a6 6 0 1 0 7 7z", user: "M8 8a2.8 2.8 0 1 0 0-5.5A2.8 2.8 0 0 0 8 8M2.5 14a5.5 5.5 0 0 1 11 0", connections: "M2 8h12M4.5 5.5 2 8l2.5 2.5M11.5 5.5 14 8l-2.5 2.5",
};

/** @param {{name: keyof PATHS}} props */
export const Icon = ({ name }) => html`<svg class="icon" viewBox="0 0 16 16" aria-hidden="true"><path d=${PATHS[name]} /></svg>`;
