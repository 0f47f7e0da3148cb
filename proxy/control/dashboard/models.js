// Every deployment: its state and cause, its speed, and actions on its circuit breaker.

import { send } from "./api.js";
import { spark } from "./chart.js";
import { confirm, toast } from "./dialog.js";
import { attribute, h, match, text } from "./dom.js";
import { NONE, count, ms, percent, rate, span, moment } from "./format.js";
import { icon } from "./icons.js";
import { empty, heading, loading, row, table, trouble } from "./parts.js";
import { every, follow, store } from "./store.js";
import { breakerWords, cooldownUntil, plain, stateOf, why } from "./words.js";

const COLUMNS = [["Model", "name"], ["State", "state"], ["Success", "num"], ["Latency", "spark-cell"], ["First token", "num"], ["Tokens/s", "num"], ["In flight", "num"], ["Weight", "num"], ["", "acts"]];
const ACTIONS = { reset: "Reset", open: "Take out of service", close: "Put back" };
const DONE = { reset: "was reset", open: "gets no requests until you put it back", close: "gets requests again" };

async function act(action, deployment) {
  const { id } = deployment;
  if (action === "open" && !(await confirm({ title: `Take ${id} out of service?`, text: "It gets no requests until you put it back or reset it. Running requests continue.", yes: ACTIONS.open, grave: true }))) return;
  try {
    const found = await (await send("POST", `/admin/state/${encodeURIComponent(id)}/${action}`)).json();
    for (const each of found.deployments ?? [found]) store.put(each);
    toast(`${id} ${DONE[action]}.`);
  } catch (error) {
    toast(error.message, "bad");
  }
}

/** When it gets requests again, if known. */
function until(deployment, now) {
  const { breaker } = deployment;
  const at = ["open", "unavailable"].includes(breaker.state) && !breaker.held ? breaker.retryAt : breaker.state === "closed" ? cooldownUntil(deployment) : null;
  if (!at) return "";
  return at > now ? `until ${moment(at)}, in ${span(at - now)}` : "is probed with the next request";
}

class Row {
  constructor(deployment) {
    const { id } = deployment;
    this.cells = {};
    const cell = (name, tag = "span") => (this.cells[name] = h(tag));
    this.spark = spark("Latency");
    this.buttons = Object.entries(ACTIONS).map(([action, words]) => h("button.button.small", { "data-action": action, "aria-label": `${words} ${id}`, onclick: () => act(action, this.deployment) }, words));
    const name = [h("strong", {}, deployment.name), h("small", {}, h("span", {}, id), cell("type")), cell("tags")];
    const state = [cell("pill"), cell("why", "small"), cell("until", "small"), cell("error", "small")];
    const latency = h("span.with-spark", {}, this.spark.element, h("span", {}, cell("latency"), cell("latencyTail", "small")));
    this.element = row(COLUMNS, [name, state, [cell("success"), cell("requests", "small")], latency, [cell("first"), cell("firstTail", "small")], cell("tokens"), cell("flight"), cell("weight"), h("div.acts", {}, this.buttons)], { id: `model-${id}`, "data-id": id });
    this.cells.pill.className = "pill";
    this.cells.tags.className = "labels";
  }

  update(deployment) {
    this.deployment = deployment;
    const { cells } = this;
    const { breaker } = deployment;
    const { p50, p95 } = deployment.latencyMs ?? {};
    text(cells.type, [deployment.type, deployment.contextSize ? `${count(deployment.contextSize)} tokens` : ""].filter(Boolean).join(" \u00b7 "));
    text(cells.success, percent(deployment.successRate));
    text(cells.requests, [`${count(deployment.requests)} ${deployment.requests === 1 ? "request" : "requests"}`, deployment.slow ? `${count(deployment.slow)} slow` : ""].filter(Boolean).join(", "));
    text(cells.latency, ms(p50));
    this.spark.draw(deployment.latencySparkMs, p50 === undefined ? "not known" : `p50 ${ms(p50)}, p95 ${ms(p95)}`);
    text(cells.latencyTail, p95 === undefined ? "" : `p95 ${ms(p95)}`);
    text(cells.first, ms(deployment.timeToFirstTokenMs?.p50));
    text(cells.firstTail, deployment.timeToFirstTokenMs ? `p95 ${ms(deployment.timeToFirstTokenMs.p95)}` : "");
    text(cells.tokens, deployment.tokensPerSecond === null ? NONE : rate(deployment.tokensPerSecond));
    text(cells.flight, deployment.maxConcurrent ? `${deployment.inFlight} / ${deployment.maxConcurrent}` : String(deployment.inFlight));
    text(cells.weight, String(deployment.weight));
    const tags = deployment.tags.join(" ");
    if (cells.tags.dataset.tags !== tags) {
      cells.tags.dataset.tags = tags;
      cells.tags.replaceChildren(...deployment.tags.map((each) => h("span.tag", {}, each)));
    }
    for (const button of this.buttons) button.hidden = button.dataset.action === { closed: "close", open: "open", unavailable: "open" }[breaker.state];
    this.updateState();
  }

  /** Update what changes with time. */
  updateState() {
    const { cells, deployment } = this;
    const now = store.now;
    const [words, tone] = stateOf(deployment, now);
    const out = tone === "bad" || tone === "warn";
    text(cells.pill, words);
    attribute(cells.pill, "data-tone", tone);
    attribute(this.element, "data-tone", tone);
    text(cells.why, [why(deployment), out && breakerWords(deployment, now)].filter(Boolean).join(", "));
    text(cells.until, until(deployment, now));
    const error = out ? deployment.lastError : null;
    const key = error ? `${error.requestId} ${error.reason}` : "";
    if (cells.error.dataset.key === key) return;
    cells.error.dataset.key = key;
    cells.error.replaceChildren(...(error ? [h("a", { href: `#/requests/${encodeURIComponent(error.requestId)}` }, error.reason || plain(error.kind))] : []));
  }
}

const FILTERS = [["all", "All", () => true], ["ok", "Serving", (tone) => tone === "ok"], ["warn", "Impaired", (tone) => tone === "warn"], ["bad", "Out of service", (tone) => tone === "bad"]];

const contains = (deployment, words) => [deployment.id, deployment.name, deployment.provider, deployment.upstreamModel, ...deployment.tags].some((each) => each?.toLowerCase().includes(words));

function summary(deployments) {
  const names = new Set(deployments.map((each) => each.name)).size;
  return `${names} ${names === 1 ? "name" : "names"}, served by ${deployments.length} ${deployments.length === 1 ? "deployment" : "deployments"}.`;
}

export const title = "Models";

export function show(root, { signal, param }) {
  let chosen = "all";
  const search = h("input", { type: "search", placeholder: "Find a model, provider or tag", "aria-label": "Find a model", oninput: () => draw() });
  const chips = FILTERS.map(([value, words]) => h("button.chip", { "aria-pressed": String(value === chosen), "data-value": value, onclick: () => ((chosen = value), draw()) }, words, h("b")));
  const head = heading(title, h("span.search", {}, icon("search"), search));
  const list = table("Models and their state", COLUMNS);
  list.element.classList.add("models");
  const instead = h("div");
  const kept = new Map();
  root.append(head.element, h("div.chips", { role: "group", "aria-label": "Filter by state" }, chips), instead, list.element);

  function draw() {
    const known = store.deployments;
    list.element.hidden = !known;
    if (!known) return instead.replaceChildren(store.error ? trouble(store.error, () => store.refresh()) : loading(6));
    head.note(summary([...known.values()]));
    const now = store.now;
    const tones = new Map([...known.values()].map((each) => [each.id, stateOf(each, now)[1]]));
    const words = search.value.trim().toLowerCase();
    const wanted = FILTERS.find(([value]) => value === chosen)[2];
    const found = [...known.values()].filter((each) => wanted(tones.get(each.id)) && contains(each, words));
    chips.forEach((chip, place) => {
      chip.setAttribute("aria-pressed", String(chip.dataset.value === chosen));
      text(chip.lastChild, String([...tones.values()].filter(FILTERS[place][2]).length));
    });
    list.element.hidden = !found.length;
    instead.replaceChildren(...(found.length ? [] : [known.size ? empty("No model matches", "No deployment has this name, provider, tag or state.") : empty("No models", "The configuration has no models. Add some to the models file; they appear here within seconds.")]));
    match(list.body, kept, found, (each) => each.id, (each) => new Row(each));
  }

  follow(["state", "error"], draw, signal);
  every(1000, () => kept.forEach((each) => each.updateState()), signal);
  if (param) search.value = param;
  draw();
}
