// What needs attention, the worst first: each trouble with its reason, and where to go from there.

import { h, match, text } from "./dom.js";
import { span } from "./format.js";
import { pill } from "./parts.js";
import { store } from "./store.js";
import { plain } from "./words.js";

const FIRST = 6; // shown before "Show all"

const TONE = { critical: "bad", error: "bad", warning: "warn", notice: "idle" };
const KIND = {
  component: "Down", out: "Out of service", credential: "No credential", keys: "Keys", cooldown: "Cooldown", probing: "Probing", errors: "Errors", probe: "Probe failed",
  config: "Mistake", certificate: "Certificate", key: "API key", missing: "Model missing", waiting: "Needs a restart", left_out: "Left out",
  budget: "Budget", balance: "Balance", unpriced: "No price",
  receiver: "Events", dead_events: "Dead events", service: "Service",
};

function state({ kind, severity }) {
  const words = kind === "component" && severity === "warning" ? "Impaired" : (KIND[kind] ?? plain(kind));
  return [words, kind === "out" ? "bad" : TONE[severity]];
}

/** The page that shows more of it; "" for none. */
function address({ severity, kind, deployment, provider, key }) {
  if (kind === "left_out") return "";
  if (deployment || provider) return `#/models/${encodeURIComponent(deployment || `${provider}/`)}`;
  if (key) return `#/keys/${encodeURIComponent(key)}`;
  if (kind === "budget" || kind === "balance") return "#/budgets";
  if (kind === "service") return "#/services";
  if (kind === "receiver" || kind === "dead_events") return "#/events";
  if (severity === "critical" || kind === "unpriced") return "#/models";
  return kind === "config" || kind === "waiting" ? "#/config" : "";
}

const UNTIL = { certificate: "in", key: "in", out: "next probe in", budget: "renewed in" };

function reason({ kind, why, failure, since, until }, now) {
  const lasts = since && since < now && `for ${span(now - since)}`;
  const ends = until > now && `${UNTIL[kind] ?? "ends in"} ${span(until - now)}`;
  return [failure ? `${plain(failure)}: ${why}` : why, lasts, ends].filter(Boolean).join(", ");
}

function line(trouble) {
  const where = address(trouble);
  const why = h("span.quiet");
  const cause = trouble.requestId && h("a.cause", { href: `#/requests/${encodeURIComponent(trouble.requestId)}` }, "Request");
  const element = h("li", { "data-severity": trouble.severity }, pill(state(trouble)), h("strong", {}, where ? h("a", { href: where }, trouble.what) : trouble.what), why, cause);
  return { element, update: (now) => text(why, reason(now, store.now)) };
}

const identity = ({ severity, kind, what, requestId }) => [severity, kind, what, requestId].join("\n");

export function attention() {
  let all = false;
  const list = h("ul.list.troubles");
  const kept = new Map();
  const none = h("p.quiet");
  const count = h("span.quiet");
  const more = h("button.button.small", { onclick: () => ((all = !all), draw()) });
  const element = h("section.card.whole-row", { "aria-labelledby": "card-attention" }, h("header", {}, h("h2", { id: "card-attention" }, "Needs attention"), count), none, list, more);

  function draw() {
    const found = store.troubles;
    if (!found) return;
    none.hidden = found.total > 0;
    text(none, store.deployments?.size ? "Everything is in service." : "No model is configured.");
    text(count, found.total > found.troubles.length ? `The worst ${found.troubles.length} of ${found.total}` : "");
    more.hidden = found.troubles.length <= FIRST;
    text(more, all ? "Show less" : `Show all ${found.troubles.length}`);
    match(list, kept, all ? found.troubles : found.troubles.slice(0, FIRST), identity, line);
  }
  return { element, draw };
}
