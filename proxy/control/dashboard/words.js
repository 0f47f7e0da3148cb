// The API's terms in plain English.

const BREAKER = {
  closed: ["Closed", "ok"],
  half_open: ["Half-open", "warn"],
  open: ["Open", "bad"],
  unavailable: ["Unavailable", "bad"],
};

const OUTCOME = {
  ok: ["Delivered", "ok"],
  error: ["Failed", "bad"],
  damaged: ["Damaged", "bad"],
  broken: ["Broke off", "bad"],
  client_gone: ["Client left", "idle"],
  cancelled: ["Cancelled", "warn"],
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
  payment_required: "account without credit",
  out_of_quota: "quota used up",
  forbidden: "forbidden",
  too_large: "request too large",
  refused_in_answer: "refused",
  options: "option refused",
  busy: "no free connection",
  slow: "client left, provider silent",
  client_gone: "client left",
  outrun: "another was faster",
  ours: "ended by the gateway",
  other: "refused",
};

export const OUTCOMES = Object.entries(OUTCOME).map(([value, [words]]) => [value, words]);
export const STATES = Object.entries(BREAKER).map(([value, [words]]) => [value, words]);

export const plain = (term) => KIND[term] ?? String(term ?? "").replaceAll("_", " ");
export const outcome = (value) => OUTCOME[value] ?? [plain(value) || "Running", "idle"];

/** When a deployment may be asked again although its breaker is closed; null: now. */
export const restsUntil = ({ quotaRestsUntil, keysRestUntil }) => quotaRestsUntil ?? keysRestUntil ?? null;

/** How a deployment stands, in words and a tone: what is closed may rest, or be switched off in the configuration. */
export function standing(deployment, now) {
  const { breaker } = deployment;
  if (deployment.available === false) return ["Switched off", "idle"];
  if (breaker.state === "closed" && restsUntil(deployment) > now) return ["Resting", "warn"];
  if (breaker.state === "closed" && breaker.unavailableAt?.length) return ["Partly out", "warn"];
  return BREAKER[breaker.state] ?? [plain(breaker.state), "idle"];
}

/** Why it is out, in a sentence without its end; "" where there is nothing to say. */
export function why(deployment) {
  const { breaker } = deployment;
  if (deployment.available === false) return "by the configuration";
  if (breaker.held) return "held open by hand";
  if (breaker.state === "closed") {
    if (breaker.unavailableAt?.length) return `not at ${breaker.unavailableAt.join(", ")}`;
    if (deployment.quotaRestsUntil) return "the provider's limit is used up";
    if (deployment.keysRestUntil) return "every key of the provider rests";
    const keys = deployment.keysResting ? `${deployment.keysResting} of ${deployment.keys} keys refused or rate-limited` : "";
    const failures = breaker.failures ? `${breaker.failures} ${breaker.failures === 1 ? "failure" : "failures"} in a row (${plain(breaker.why)})` : "";
    return [failures, keys].filter(Boolean).join(", ");
  }
  if (breaker.state === "half_open") return "probing whether it is back";
  return plain(breaker.why);
}
