// Usage: what was spent, by whom and on what. What is estimated or not known is shown as such, never as 0.

import { get } from "./api.js";
import { bars } from "./bars.js";
import { cached } from "./cache.js";
import { h, text } from "./dom.js";
import { NONE, cost, count, ms, percent, short } from "./format.js";
import { KEYS } from "./key.js";
import { empty, heading, loading, row, select, spent, table, trouble } from "./parts.js";
import { store } from "./store.js";

const USAGE = "/admin/analytics/usage";
const HOUR = 3600;
const DAY = 86400;
const RANGES = [["24h", "Last 24 hours", DAY], ["7d", "Last 7 days", 7 * DAY], ["30d", "Last 30 days", 30 * DAY], ["90d", "Last 90 days", 90 * DAY], ["own", "From and to", 0]];
const GROUPS = [["model", "Model"], ["provider", "Provider"], ["owner", "Owner"], ["team", "Team"], ["project", "Project"], ["key", "Key"], ["client", "Client"], ["endpoint", "Endpoint"], ["run", "Run"], ["end", "Ending"], ["label", "Label"]];
const ROWS = 500;

const tokensIn = ({ tokens: t }) => t.input + t.cached + t.cache_write + t.cache_write_1h + t.audio_input + t.image_input;
const tokensOut = ({ tokens: t }) => t.output + t.reasoning + t.audio_output + t.image_output;
const spend = (sums) => sums.cost_nano + sums.cost_estimated_nano;
const unknown = (sums) => sums.unknown + sums.unpriced;

/** What the chart can show: `parts` are stacked, the second one lighter. */
const MEASURES = {
  spend: { name: "Spend", format: cost, parts: [["known", (sums) => sums.cost_nano], ["estimated", (sums) => sums.cost_estimated_nano]] },
  tokens: { name: "Tokens", format: short, parts: [["out", tokensOut], ["in", tokensIn]] },
  attempts: { name: "Attempts", format: count, parts: [["answered", (sums) => sums.answered], ["failed", (sums) => sums.attempts - sums.answered]] },
};

const less = (value, words) => value > 0 && h("small", {}, words);

const TOTALS = [
  ["Spent", (sums) => [spent(sums)[0], less(sums.cost_estimated_nano, `${cost(sums.cost_estimated_nano)} of it estimated`)]],
  ["Of unknown cost", (sums) => [`${count(unknown(sums))}`, less(unknown(sums), [[sums.unknown, "usage"], [sums.unpriced, "a price"]].filter(([number]) => number).map(([number, what]) => `${count(number)} without ${what}`).join(", "))]],
  ["Tokens in", (sums) => [short(tokensIn(sums)), less(sums.tokens.cached, `${short(sums.tokens.cached)} cached`)]],
  ["Tokens out", (sums) => [short(tokensOut(sums)), less(sums.tokens.reasoning, `${short(sums.tokens.reasoning)} reasoning`)]],
  ["Attempts", (sums) => [count(sums.attempts), less(sums.failed, `${count(sums.failed)} failed`), less(sums.from_cache, `${count(sums.from_cache)} from the cache${sums.saved_nano ? ` saved ${cost(sums.saved_nano)}` : ""}`)]],
];

const columns = (by) => [[by, "name"], ["Spent", "num"], ["Share", "fill"], ["Tokens in", "num"], ["Tokens out", "num"], ["Attempts", "num"], ["Latency", "num"]];

function line(heads, name, address, sums, total) {
  const part = spend(total) ? spend(sums) / spend(total) : 0;
  const meter = h("span.meter", { role: "meter", "aria-valuemin": 0, "aria-valuemax": 100, "aria-valuenow": Math.round(part * 100), "aria-label": `Share of ${name}` }, h("i", { style: { width: `${(part * 100).toFixed(1)}%` } }));
  const share = spend(sums) || !unknown(sums) ? percent(spend(total) ? part : null) : NONE;
  return row(heads, [h("strong", {}, h("a", { href: address }, name)), spent(sums), [meter, h("small", {}, share)], [short(tokensIn(sums)), less(sums.tokens.cached, `${short(sums.tokens.cached)} cached`)], short(tokensOut(sums)), [count(sums.attempts), less(sums.failed, `${count(sums.failed)} failed`), less(sums.saved_nano, `${cost(sums.saved_nano)} saved`)], ms(sums.latency_ms)]);
}

/** Each hour or day of the range, also those without an attempt. */
function filled(data, unit, from, to) {
  const sums = new Map(data.map((each) => [Date.parse(unit === "day" ? `${each.group.day}T00:00` : each.group.hour), each]));
  const found = [];
  const at = new Date(from);
  if (unit === "day") at.setHours(0, 0, 0, 0);
  else at.setMinutes(0, 0, 0);
  while (at < to) {
    found.push({ at: at / 1000, sums: sums.get(Number(at)) ?? null });
    if (unit === "day") at.setDate(at.getDate() + 1);
    else at.setTime(Number(at) + HOUR * 1000);
  }
  return found;
}

export const title = "Usage";

export function show(root, { signal, query }) {
  let shown = null; // the latest answers
  const filters = new URLSearchParams([...query].filter(([name]) => GROUPS.some(([value]) => value === name) || name.startsWith("label:")));
  let measure = ""; // what the chart shows, once it was chosen
  let turn = 0;
  const range = select("Time range", RANGES, changed);
  const by = select("Group by", GROUPS, changed);
  const label = h("input", { placeholder: "Name of the label", "aria-label": "Name of the label", onchange: changed });
  const [from, to] = ["From", "To"].map((words) => h("input", { type: "date", "aria-label": words, onchange: changed }));
  const own = h("span.dates", {}, from, h("span", {}, "to"), to);
  const csv = h("a.button", { download: "usage.csv" }, "Export CSV");
  const head = heading(title, range, own, by, label, csv);
  const chips = Object.entries(MEASURES).map(([value, { name }]) => h("button.chip", { "data-value": value, onclick: () => ((measure = value), draw()) }, name));
  const plot = bars();
  const legend = h("span.legend");
  const card = h("section.card.usage-card", { "aria-labelledby": "card-usage" }, h("header", {}, h("h2", { id: "card-usage" }), legend, h("div.chips", { role: "group", "aria-label": "Chart of" }, chips)), plot.element);
  const narrowed = h("div.chips", { role: "group", "aria-label": "Only" });
  const strip = h("dl.totals.wide", { "aria-label": "In this time" });
  const body = h("div", {}, loading(6));
  root.append(head.element, narrowed, body, cached(signal));
  range.value = RANGES.some(([value]) => value === query.get("range")) ? query.get("range") : "7d";
  const asked = query.get("by") ?? "model";
  by.value = asked.startsWith("label:") ? "label" : GROUPS.some(([value]) => value === asked) ? asked : "model";
  label.value = asked.startsWith("label:") ? asked.slice(6) : "";
  [from.value, to.value] = [query.get("from") ?? "", query.get("to") ?? ""];

  /** Begin and end in milliseconds; of own dates, the end of the last day. */
  function times() {
    const length = RANGES.find(([value]) => value === range.value)[2];
    if (length) return [(store.now - length) * 1000, store.now * 1000];
    const [first, last] = [from, to].map((each) => (each.value ? Date.parse(`${each.value}T00:00`) : Date.now()));
    return [Math.min(first, last), Math.max(first, last) + DAY * 1000];
  }

  const group = () => (by.value === "label" ? `label:${label.value.trim()}` : by.value);

  /** The address of the page with these groups and filters. */
  function address(groups, kept) {
    const time = range.value === "own" ? { from: from.value, to: to.value } : {};
    return `#/usage?${new URLSearchParams([...Object.entries({ by: groups, range: range.value, ...time }), ...kept])}`;
  }

  function changed() {
    history.replaceState(null, "", address(group(), filters));
    load();
  }

  /** A button for each filter, which removes it. */
  function narrow() {
    narrowed.hidden = !filters.size;
    narrowed.replaceChildren(...[...filters].map(([name, value]) => h("button.chip", { "aria-pressed": "true", "aria-label": `${name}: ${value || "not set"}, remove`, onclick: () => (filters.delete(name), changed()) }, `${name}: ${value || "not set"} \u00d7`)));
  }

  async function load() {
    narrow();
    own.hidden = range.value !== "own";
    if (!own.hidden && !from.value) [from.value, to.value] = [7 * DAY, 0].map((ago) => new Date((store.now - ago) * 1000).toISOString().slice(0, 10));
    label.hidden = by.value !== "label";
    if (by.value === "label" && !label.value.trim()) return;
    const mine = ++turn;
    const [begin, end] = times();
    const unit = end - begin <= 3 * DAY * 1000 ? "hour" : "day";
    const zone = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
    const ask = (groups, more = {}) => `${USAGE}?${new URLSearchParams({ groupBy: groups, from: Math.floor(begin / 1000), to: Math.floor(end / 1000), timezone: zone, ...more })}&${filters}`;
    csv.href = ask(group(), { format: "csv", limit: 10000 });
    try {
      store.metrics ?? (await store.refreshState());
      if (!store.metrics.ledger) return off();
      const names = by.value === "key" ? get(`${KEYS}?limit=1000`, { signal }).catch(() => null) : null;
      const [groups, series, keys] = await Promise.all([get(ask(group(), { limit: ROWS }), { signal }), get(ask(unit, { limit: 10000 }), { signal }), names]);
      if (mine !== turn) return;
      shown = { groups, unit, buckets: filled(series.data, unit, begin, end), names: new Map(keys?.data.map((each) => [each.id, each.name])) };
      draw();
    } catch (error) {
      if (error.name !== "AbortError" && mine === turn) body.replaceChildren(trouble(error, load));
    }
  }

  function off() {
    csv.hidden = true;
    body.replaceChildren(empty("Usage is not kept", "The ledger counts what each attempt used and cost. It needs the database; turn both on in the configuration, and restart. With ledger.mode: events it is in the database of sluice ledger consume.", h("pre", {}, ["database:", "  enabled: true", "ledger:", "  enabled: true"].join("\n"))));
  }

  function draw() {
    const { groups, unit, buckets, names } = shown;
    const { total, data } = groups;
    const measured = measure || (spend(total) ? "spend" : "tokens");
    const { name, format, parts } = MEASURES[measured];
    csv.hidden = !total.attempts;
    const { currency, usdRate } = store.metrics;
    const open = unknown(total) ? `${count(unknown(total))} of ${count(total.attempts)} attempts have no known cost, and are not in Spent.${total.unpriced ? " Models get prices in the models file." : ""}` : "";
    head.note([open, currency !== "USD" && `In ${currency}, ${usdRate} for one USD.`].filter(Boolean).join(" "));
    if (!total.attempts) return body.replaceChildren(empty("No usage in this time", "Each attempt appears here within seconds of its end, with its tokens and its cost.", h("a.button", { href: "#/try" }, "Try a prompt")));
    for (const chip of chips) chip.setAttribute("aria-pressed", String(chip.dataset.value === measured));
    text(card.querySelector("h2"), `${name} by ${unit}`);
    legend.replaceChildren(...parts.flatMap(([words], place) => [h("i", { class: place ? "second" : "accent" }), words]));
    strip.replaceChildren(...TOTALS.map(([words, of]) => h("div", {}, h("dt", {}, words), h("dd", {}, of(total)))));
    const heads = columns(GROUPS.find(([value]) => value === by.value)[1]);
    const list = table(`Usage by ${group()}`, heads);
    list.element.classList.add("usage");
    list.body.append(...data.map((sums) => {
      const value = Object.values(sums.group)[0];
      const deeper = address(by.value === "model" ? "owner" : "model", [...filters].filter(([name]) => name !== group()).concat([[group(), value]]));
      return line(heads, names.get(value) ?? (value || "not set"), deeper, sums, total);
    }));
    const rest = groups.truncated && h("p.quiet.foot-note", {}, `The ${count(data.length)} dearest. The export has more.`);
    body.replaceChildren(...[strip, card, list.element, rest].filter(Boolean));
    plot.draw(buckets, { label: `${name} by ${unit}`, unit, format, parts });
  }

  load();
}
