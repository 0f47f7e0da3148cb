// Terms of the API as text for people.

import { span } from "./format.js";

/** By the state of the breaker, whose own terms are in the details. */
const STATE = {
  closed: ["Serving", "ok"],
  half_open: ["Probing", "warn"],
  open: ["Out of service", "bad"],
  unavailable: ["Out of service", "bad"],
};

const OUTCOME = {
  ok: ["Delivered", "ok"],
  error: ["Failed", "bad"],
  damaged: ["Damaged", "bad"],
  broken: ["Broken off", "bad"],
  client_gone: ["Disconnected", "idle"],
  cancelled: ["Canceled", "warn"],
};

const KIND = {
  rate_limited: "rate limited",
  reset: "connection reset",
  unreachable: "unreachable",
  timeout: "timed out",
  deadline: "deadline passed",
  server_error: "server error",
  broken_answer: "broken answer",
  model_missing: "model does not exist",
  not_found: "not found",
  item_missing: "item does not exist",
  context_length: "context too long",
  content_filter: "content filter",
  auth: "credential refused",
  payment_required: "no credit left",
  out_of_quota: "quota used up",
  forbidden: "forbidden",
  too_large: "request too large",
  refused_in_answer: "refused",
  options: "option refused",
  busy: "no free connection",
  slow: "client disconnected, provider silent",
  client_gone: "client disconnected",
  outrun: "another attempt was faster",
  ours: "canceled by the gateway",
  other: "refused",
};

export const OUTCOMES = Object.entries(OUTCOME).map(([value, [words]]) => [value, words]);

export const plain = (term) => KIND[term] ?? String(term ?? "").replaceAll("_", " ");
export const outcome = (value) => OUTCOME[value] ?? [plain(value) || "Running", "idle"];

/** End of a cooldown while the breaker is closed; null without one. */
export const cooldownUntil = ({ quotaRestsUntil, keysRestUntil }) => quotaRestsUntil ?? keysRestUntil ?? null;

/** State of a deployment as text and tone. With a closed breaker it may be in cooldown, or disabled in the configuration. */
export function stateOf(deployment, now) {
  const { breaker } = deployment;
  if (deployment.available === false) return ["Disabled", "idle"];
  if (breaker.state === "closed" && cooldownUntil(deployment) > now) return ["Cooldown", "warn"];
  if (breaker.state === "closed" && breaker.unavailableAt?.length) return ["Partly unavailable", "warn"];
  return STATE[breaker.state] ?? [plain(breaker.state), "idle"];
}

/** The breaker in its own terms: closed, half-open, open or unavailable, and since when. */
export function breakerWords({ breaker }, now) {
  const since = breaker.since && breaker.state !== "closed" ? ` for ${span(now - breaker.since)}` : "";
  return `breaker ${breaker.state.replace("_", "-")}${since}`;
}

/** Why it is not in service, as part of a sentence; "" without a reason. */
export function why(deployment) {
  const { breaker } = deployment;
  if (deployment.available === false) return "by the configuration";
  if (breaker.held) return "taken out by an operator";
  if (breaker.state === "closed") {
    if (breaker.unavailableAt?.length) return `not at ${breaker.unavailableAt.join(", ")}`;
    if (deployment.quotaRestsUntil) return "the provider's limit is used up";
    if (deployment.keysRestUntil) return "every key of the provider is in cooldown";
    const keys = deployment.keysResting ? `${deployment.keysResting} of ${deployment.keys} keys refused or rate-limited` : "";
    const failures = breaker.failures ? `${breaker.failures} ${breaker.failures === 1 ? "failure" : "failures"} in a row (${plain(breaker.why)})` : "";
    return [failures, keys].filter(Boolean).join(", ");
  }
  if (breaker.state === "half_open") return "waiting for a probe request";
  return plain(breaker.why);
}
