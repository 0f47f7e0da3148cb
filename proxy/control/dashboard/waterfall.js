// The waterfall of a request: a bar for each attempt, from the arrival of the request.

import { h } from "./dom.js";
import { NONE, costOf, count, ms } from "./format.js";
import { ceiling } from "./chart.js";
import { pill } from "./parts.js";
import { plain } from "./words.js";

/** The phases of an attempt in order, each with the time of its end if it was reached. */
const PHASES = [
  ["queued", "Queued", (trial) => trial.startedMs],
  ["connect", "Connect", (trial) => trial.connectedMs],
  ["headers", "Headers", (trial) => trial.headersMs],
  ["first", "First token", (trial) => trial.firstContentMs],
  ["stream", "Stream", (trial) => trial.endedMs],
];

/** `[{kind, words, from, to, cut}]`. A failed attempt ends with its phase; without a stream there is no first token. */
export function phases(trial) {
  let from = 0;
  const found = [];
  for (const [kind, words, endOf] of PHASES) {
    let to = endOf(trial);
    const missing = to === null || to === undefined;
    if (missing && kind !== "stream") {
      if (!trial.failure) continue;
      to = trial.endedMs ?? from;
      found.push({ kind, words, from, to, cut: true });
      break;
    }
    if (!missing) found.push({ kind, words, from, to, cut: false });
    from = to;
  }
  return found;
}

function bar(phase, total) {
  const part = (value) => `${Math.max(0, Math.min(100, (value / total) * 100)).toFixed(2)}%`;
  return h("span", { class: `phase ${phase.kind}`, style: { left: part(phase.from), width: part(phase.to - phase.from) } });
}

const PRICED = { operator: "by the prices of the configuration", provider: "as the provider reported", catalog: "by the catalog's prices" };

/** What an attempt used and cost, and how that is known. */
function billed({ usageSource, tokens, costUsd, costSource }) {
  if (usageSource === "none") return "Nothing was billed.";
  if (usageSource === "unknown") return "What it used is not known.";
  const used = `${count((tokens.input ?? 0) + (tokens.cached ?? 0))} tokens in, ${count((tokens.output ?? 0) + (tokens.reasoning ?? 0))} out${usageSource === "estimated" ? ", estimated" : ""}`;
  return `${used}; ${costUsd === null ? "no price is known" : `${costOf(costUsd)} ${PRICED[costSource] ?? ""}`}`;
}

function attempt(trial, number, total) {
  const found = phases(trial);
  const failed = Boolean(trial.failure);
  return h("li", { "data-failed": failed },
    h("div.who", {}, h("b", {}, `${number}`), h("span", {}, trial.deployment), failed ? pill([plain(trial.failure), trial.failure === "outrun" ? "idle" : "bad"]) : pill(["answered", "ok"])),
    h("div.track", { "aria-hidden": "true" }, found.map((phase) => bar(phase, total)), failed && h("span.end", { style: { left: `${Math.min(99.5, (trial.endedMs / total) * 100)}%` } })),
    h("dl.phases", {}, found.map((phase) => h("div", { "data-cut": phase.cut }, h("dt", { class: phase.kind }, phase.words), h("dd", {}, phase.to === null ? NONE : ms(Math.max(0, phase.to - phase.from)))))),
    trial.reason && h("p.reason", {}, trial.reason),
    h("p.hint", {}, billed(trial)),
    trial.decision && h("details", {}, h("summary", {}, "Why this deployment was chosen"), h("pre", {}, JSON.stringify(trial.decision, null, 2))));
}

export function waterfall(request) {
  const longest = Math.max(1, request.durationMs ?? 0, ...request.trials.map((trial) => trial.endedMs ?? 0));
  const step = ceiling(longest / 4);
  const ticks = Array.from({ length: Math.floor(longest / step) + 1 }, (_, place) => place * step).filter((tick) => tick / longest < 0.88);
  return h("div.waterfall", {},
    h("div.axis", { "aria-hidden": "true" }, ticks.map((tick) => h("span", { style: { left: `${(tick / longest) * 100}%` } }, tick ? ms(tick) : "0"))),
    h("ol", {}, request.trials.map((trial, place) => attempt(trial, place + 1, longest))));
}
