/** Alerts as several screens show them: the worst first, with what each is about. */
import { html } from "./html.js";
import { link } from "./place.js";

const WORST = ["critical", "warning", "info"];
const rank = (one) => (WORST.indexOf(one.labels.severity) + WORST.length + 1) % (WORST.length + 1);
const began = (one) => one.fired_at ?? one.since ?? 0;

/** @param {object[]} alerts @returns {object[]} the worst first, of those the latest */
export const worstFirst = (alerts) => [...alerts].sort((a, b) => rank(a) - rank(b) || began(b) - began(a));

const PLACES = {
  plugin: (name) => link("plugin", name), route: (name) => link("requests", "", { route: name }), upstream: () => link("upstreams"), target: () => link("upstreams"), listener: () => link("certificates"),
};

/** What an alert is about, as links to where it can be seen. The event is left out where the rule is called like it. */
export const Labels = ({ of, isShort }) => Object.entries(of.labels)
  .filter(([name, value]) => name !== "alertname" && name !== "severity" && !(name === "event" && value === of.rule) && (!isShort || (name in PLACES && !(name === "upstream" && of.labels.target))))
  .map(([name, value]) => html`${name in PLACES ? html`<a class="tag" href=${PLACES[name](value)}>${isShort ? value : `${name}=${value}`}</a>` : html`<span class="tag">${name}=${value}</span>`} `);
