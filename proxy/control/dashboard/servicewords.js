// Terms of services as text for people.

import { plain } from "./words.js";

const HEALTH = { up: ["Up", "ok"], degraded: ["Degraded", "warn"], down: ["Down", "bad"], empty: ["No addresses", "idle"] };

/** Where a service or a route is defined. */
export const definers = { file: "in the configuration", api: "by the API", consul: "in Consul" };

/** Where addresses are found. */
export const TECHNOLOGIES = { consul: "Consul", dns: "DNS", file: "File" };

export const healthOf = ({ health }) => HEALTH[health];

/** State of an address as text and tone. */
export function stateOf({ drained, weight, healthy, breaker, usable }) {
  if (drained) return ["Drained", "idle"];
  if (healthy === false) return ["Unhealthy", "bad"];
  if (breaker.state === "open" || breaker.state === "unavailable") return ["Ejected", "bad"];
  if (breaker.state === "half_open") return ["Probing", "warn"];
  if (weight === 0) return ["Weight 0", "idle"];
  return usable ? ["Serving", "ok"] : ["Not used", "warn"];
}

/** "47 serving, 2 drained, 1 unhealthy" */
export function countStates(addresses) {
  const many = new Map();
  for (const [words] of addresses.map(stateOf)) many.set(words, (many.get(words) ?? 0) + 1);
  return [...many].map(([words, number]) => `${number} ${words === "Weight 0" ? "with weight 0" : words.toLowerCase()}`).join(", ");
}

/** Why it gets no requests, or why it failed; "" where there is nothing to say. */
export function why({ breaker, healthy }, checked) {
  if (healthy === false) return `The health check fails${checked?.why ? `: ${checked.why}` : ""}.`;
  if (breaker.state !== "closed") return `Requests to it failed${breaker.why ? `: ${plain(breaker.why)}` : ""}.`;
  return breaker.failures ? `${breaker.failures} ${breaker.failures === 1 ? "failure" : "failures"} in a row${breaker.why ? `: ${plain(breaker.why)}` : ""}.` : "";
}

export const sum = (items, name) => items.reduce((all, each) => all + each[name], 0);
