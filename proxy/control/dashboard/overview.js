// The overview: rates now and over the last five minutes, and what needs attention.

import { attention } from "./attention.js";
import { chart } from "./chart.js";
import { h, match, text } from "./dom.js";
import { NONE, count, ms, percent, rate, short, span } from "./format.js";
import { heading, loading, trouble } from "./parts.js";
import { follow, store } from "./store.js";
import { requestLine } from "./request.js";

const RECENT = 10; // seconds that "now" means for a rate
const SMOOTHED = 5; // seconds over which a line of rates is averaged
const LATEST = 60; // seconds for which the latest percentiles are shown

const sum = (seconds, of) => seconds.reduce((total, each) => total + of(each), 0);
const within = (seconds, now, length) => seconds.filter((each) => each.at > now - length);
const perSecond = (seconds, now, of) => sum(within(seconds, now, RECENT), of) / RECENT;

/** The median over several seconds: the percentiles of a single second change too fast to be read. */
function median(values) {
  return values.length ? values.toSorted((a, b) => a - b)[values.length >> 1] : null;
}

/** The success rate; null without requests. */
function success(seconds) {
  const requests = sum(seconds, (each) => each.requests);
  return requests ? 1 - sum(seconds, (each) => each.errors) / requests : null;
}

/** Add rates over the preceding seconds to each second. */
function withRates(seconds) {
  return seconds.map((each, place) => {
    const recent = seconds.slice(Math.max(0, place - RECENT + 1), place + 1);
    const smooth = recent.slice(-SMOOTHED);
    return { ...each, success: success(recent), rate: sum(smooth, (s) => s.requests) / smooth.length, speed: sum(smooth, (s) => s.tokens) / smooth.length };
  });
}

const percentiles = (of) => [
  { name: "p95", of: (each) => of(each)?.p95 ?? null, tone: "second" },
  { name: "p50", of: (each) => of(each)?.p50 ?? null, tone: "accent" },
];

function latestPercentiles(of) {
  return (seconds, now) => {
    const found = within(seconds, now, LATEST).map(of).filter(Boolean).slice(-RECENT);
    return ["p50", "p95"].map((part) => [ms(median(found.map((each) => each[part]))), part]);
  };
}

const one = (name, of, tone = "accent") => [{ name, of, tone }];

const CARDS = [
  { id: "requests", title: "Requests per second", size: "half", options: { series: [...one("requests/s", (s) => s.rate), { name: "failed", of: (s) => s.errors, tone: "bad", bars: true }], format: rate, least: 2 },
    describe: (seconds, now) => [[rate(perSecond(seconds, now, (each) => each.requests)), "per second"]] },
  { id: "tokens", title: "Tokens per second", size: "half", options: { series: one("tokens/s", (s) => s.speed), format: short, least: 10 },
    describe: (seconds, now) => [[short(perSecond(seconds, now, (each) => each.tokens)), "per second"]] },
  { id: "latency", title: "Latency", size: "half", options: { series: percentiles((s) => s.latencyMs), format: ms, least: 10 }, legend: true,
    describe: latestPercentiles((each) => each.latencyMs) },
  { id: "first-token", title: "Time to first token", size: "half", options: { series: percentiles((s) => s.timeToFirstTokenMs), format: ms, least: 10 }, legend: true,
    describe: latestPercentiles((each) => each.timeToFirstTokenMs) },
  { id: "success", title: "Success rate", size: "third", options: { series: one("success", (s) => s.success), format: percent, fixed: 1 },
    describe: (seconds) => [[percent(success(seconds)), "of 5 minutes"]] },
  { id: "active", title: "Active streams", size: "third", options: { series: one("active", (s) => s.active), format: rate, least: 2 },
    describe: (seconds) => [[count(seconds.at(-1)?.active ?? 0), "now"]] },
  { id: "fallbacks", title: "Fallbacks", size: "third", options: { series: [{ name: "fallbacks", of: (s) => s.fallbacks, tone: "accent", bars: true }], format: rate, least: 2 },
    describe: (seconds) => [[count(sum(seconds, (each) => each.fallbacks)), "in 5 minutes"]] },
];

function card({ id, title, size, options, describe, legend }) {
  const figures = h("p.figures", { id: `figure-${id}` });
  const drawn = chart({ label: title, ...options });
  const keys = legend && h("span.legend", { "aria-hidden": "true" }, h("i.accent"), "p50", h("i.second"), "p95");
  const element = h("section", { class: `card ${size}`, "aria-labelledby": `card-${id}` },
    h("header", {}, h("h2", { id: `card-${id}` }, title), keys), figures, drawn.element);
  return { element, draw(seconds, now) {
    const values = describe(seconds, now);
    const words = values.map((each) => each.join(" ")).join(", ");
    if (figures.dataset.words !== words) {
      figures.dataset.words = words;
      figures.replaceChildren(...values.map(([value, unit]) => h("span", {}, h("b", {}, value), ` ${unit}`)));
    }
    drawn.describe(words);
    drawn.draw(seconds, now);
  } };
}

const TOTALS = [
  ["Uptime", (m) => span(m.uptime)],
  ["Requests", (m) => count(m.totalRequests)],
  ["Successful", (m) => count(m.successfulRequests)],
  ["Failed", (m) => count(m.failedRequests)],
  ["Disconnected", (m) => count(m.disconnectedRequests)],
  ["Fallbacks", (m) => count(m.fallbacksUsed)],
  ["Mean latency", (m) => ms(m.avgLatency)],
  ["Models", (m) => count(m.modelsAvailable)],
  ["Tokens in", (m) => short(m.tokens.input + m.tokens.cached)],
  ["Tokens out", (m) => short(m.tokens.output + m.tokens.reasoning)],
];

function totals() {
  const values = TOTALS.map(() => h("dd", {}, NONE));
  const element = h("dl.totals", { "aria-label": "Since the start" }, TOTALS.map(([words], place) => h("div", {}, h("dt", {}, words), values[place])));
  return { element, draw: (metrics) => metrics && TOTALS.forEach(([, of], place) => text(values[place], of(metrics))) };
}

function failures() {
  const list = h("ul.list");
  const kept = new Map();
  const none = h("p.quiet", {}, "No failure among the latest requests.");
  const element = h("section.card.whole-row", { "aria-labelledby": "card-failures" }, h("header", {}, h("h2", { id: "card-failures" }, "Latest failures"), h("a", { href: "#/requests?outcome=error" }, "All failed")), none, list);
  return { element, draw(requests) {
    const failed = requests.filter((each) => ["error", "damaged", "broken"].includes(each.outcome)).slice(0, 6);
    none.hidden = failed.length > 0;
    match(list, kept, failed, (each) => each.sequence, (each) => ({ element: requestLine(each) }));
  } };
}

function sentence(deployments) {
  const all = [...deployments.values()].filter((each) => each.available !== false);
  const out = all.filter((each) => ["open", "unavailable"].includes(each.breaker.state));
  if (!all.length) return "No model is configured.";
  return out.length ? `${out.length} of ${all.length} deployments ${out.length === 1 ? "is" : "are"} out of service.` : `All ${all.length} deployments are in service.`;
}

export const title = "Overview";

export function show(root, { signal }) {
  const head = heading(title);
  const strip = totals();
  const cards = CARDS.map(card);
  const [needs, failed] = [attention(), failures()];
  const grid = h("div.cards", {}, needs.element, cards.map((each) => each.element), failed.element);
  const waiting = loading(3);
  const lost = h("div");
  root.append(head.element, lost, strip.element, waiting, grid);
  grid.hidden = true;

  follow(["seconds", "link"], () => {
    if (!store.seconds) return;
    waiting.hidden = true;
    grid.hidden = false;
    const now = Math.max(store.now - 1, store.seconds.at(-1)?.at ?? 0);
    const seconds = withRates(store.seconds);
    for (const each of cards) each.draw(seconds, now);
  }, signal);
  follow(["state"], () => {
    strip.draw(store.metrics);
    if (store.deployments) head.note(sentence(store.deployments));
  }, signal);
  follow(["troubles"], needs.draw, signal);
  follow(["requests"], () => store.requests && failed.draw(store.requests), signal);
  follow(["error"], () => {
    const nothing = store.error && !store.seconds;
    waiting.hidden = nothing || Boolean(store.seconds);
    lost.replaceChildren(...(nothing ? [trouble(store.error, () => store.refresh())] : []));
  }, signal);
}
