// API keys: what each may use, when it was last used, and what it has spent. A row opens the key.

import { get } from "./api.js";
import { h, match, text } from "./dom.js";
import { NONE, count, hour, span } from "./format.js";
import { icon } from "./icons.js";
import { KEYS, open, stateOf } from "./key.js";
import { empty, heading, loading, pill, row, spent, table, trouble } from "./parts.js";
import { store } from "./store.js";

const COLUMNS = [["Key", "name"], ["State", "state"], ["May use", ""], ["Limits", ""], ["Last used", "num"], ["Spent in 30 days", "num"]];
const PAGE = 500;
const MONTH = 30 * 86400;
const UNITS = { requestsPerMinute: "requests/min", requestsPerHour: "requests/h", tokensPerMinute: "tokens/min", concurrent: "at once" };

const limitsOf = ({ limits }) => (limits && limits.enabled !== false ? Object.entries(UNITS).filter(([name]) => limits[name]).map(([name, unit]) => `${count(limits[name])} ${unit}`) : []);

const accessOf = ({ models, providers }) => [models.length ? models.join(", ") : "", providers.length ? `at ${providers.join(", ")}` : ""].filter(Boolean).join(" ") || "all models";

function line(key, used) {
  const [words, tone] = stateOf(key, store.now);
  const link = h("a.whole", { href: `#/keys/${encodeURIComponent(key.id)}` }, key.name);
  const name = [h("strong", {}, link), h("small", {}, [key.owner, key.team, key.project].filter(Boolean).join(" \u00b7 ")), h("span.labels", {}, Object.entries(key.labels).map((each) => h("span.tag", {}, each.join("="))))];
  const ends = key.expires && Date.parse(key.expires) / 1000;
  const state = [pill([words, tone]), h("small", {}, [key.source === "configuration" && "in the configuration", ends > store.now && `expires in ${span(ends - store.now)}`].filter(Boolean).join(", "))];
  const last = used?.last_hour ? h("time", { datetime: used.last_hour, title: "In the hour that begins then" }, hour(Date.parse(used.last_hour) / 1000)) : NONE;
  return row(COLUMNS, [name, state, accessOf(key), limitsOf(key).map((each) => h("div", {}, each)), last, used ? spent(used) : NONE], { class: "opens", "data-id": key.id });
}

/** Usage by the id of a key; null where it is not kept, or the ledger does not answer. */
async function usage(signal) {
  if (!store.metrics?.ledger) return null;
  try {
    const found = await get(`/admin/analytics/usage?groupBy=key&limit=10000&from=${Math.floor(store.now - MONTH)}`, { signal });
    return new Map(found.data.map((each) => [each.group.key, each]));
  } catch {
    return null;
  }
}

const contains = (key, words) => [key.name, key.id, key.owner, key.team, key.project, ...Object.entries(key.labels).map((each) => each.join("="))].some((each) => each.toLowerCase().includes(words));

export const title = "API keys";

export function show(root, { signal, param }) {
  let found = null; // the page of keys
  let used = null;
  let opened = null; // aborts the open sheet
  const search = h("input", { type: "search", placeholder: "Find a key, owner or project", "aria-label": "Find a key", oninput: () => draw() });
  const make = h("a.button.primary", { href: "#/keys/new" }, "New key");
  const head = heading(title, h("span.search", {}, icon("search"), search), make);
  const notice = h("p.notice", { "data-tone": "warn", hidden: true });
  const instead = h("div", {}, loading(5));
  const list = table(title, COLUMNS);
  list.element.classList.add("requests", "api-keys");
  list.element.hidden = true;
  const more = h("button.button", { hidden: true, onclick: () => load(found.last_id) }, "Show more");
  const kept = new Map();
  root.append(head.element, notice, instead, list.element, h("p.foot-note", {}, more));

  async function load(after = "") {
    try {
      const [next, sums] = await Promise.all([get(`${KEYS}?limit=${PAGE}&after=${encodeURIComponent(after)}`, { signal }), usage(signal)]);
      found = { ...next, data: after ? [...found.data, ...next.data] : next.data };
      used = sums;
      draw();
    } catch (error) {
      if (error.name !== "AbortError") instead.replaceChildren(trouble(error, () => load()));
    }
  }

  function draw() {
    if (!found) return;
    const words = search.value.trim().toLowerCase();
    const shown = found.data.filter((each) => contains(each, words));
    head.note(found.data.length ? `${count(found.data.length)}${found.has_more ? " or more" : ""} ${found.data.length === 1 ? "key" : "keys"}.` : "");
    notice.hidden = !found.notice;
    text(notice, found.notice ?? "");
    make.hidden = !found.database;
    more.hidden = !found.has_more;
    list.element.hidden = !shown.length;
    instead.replaceChildren(...(shown.length ? [] : [found.data.length ? empty("No key matches", "No key has this name, owner, team, project or label.") : empty("No keys yet", "Each client gets a key of its own, with its own limits, and its spend is counted apart.", found.database && h("a.button", { href: "#/keys/new" }, "New key"))]));
    match(list.body, kept, shown, (each) => JSON.stringify([each, used?.get(each.id)]), (each) => ({ element: line(each, used?.get(each.id)) }));
  }

  /** Open or close the sheet of a key without changing the list. */
  function go({ param: id }) {
    opened?.abort();
    opened = null;
    if (!id) return;
    opened = new AbortController();
    const here = location.hash; // after a navigation, closing the sheet must not change the address
    open(id, AbortSignal.any([signal, opened.signal]), { changed: () => load(), closed: () => location.hash === here && (location.hash = "#/keys") });
  }

  load();
  go({ param });
  return { go };
}
