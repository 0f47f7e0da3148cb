// Budgets: what is spent, reserved and left in each window, and the accounts with their balances. A row opens the account.

import { ACCOUNTS, open } from "./account.js";
import { get } from "./api.js";
import { h, match, text } from "./dom.js";
import { NONE, allDigits, amount, cost, count, moment, percent, short, span } from "./format.js";
import { icon } from "./icons.js";
import { keyNames } from "./keynames.js";
import { empty, heading, loading, pill, row, select, table, trouble } from "./parts.js";
import { every } from "./store.js";

const EVERY = 3000;
const SHOWN = 50; // counters of each budget
const PAGE = 100; // accounts
const COUNTERS = [["Whose", "name"], ["Used", "fill"], ["Spent", "num"], ["Reserved", "num"], ["Left", "num"]];
const BALANCES = [["Account", "name"], ["State", "state"], ["Balance", "num"]];
const WINDOWS = { day: "a day", week: "a week", month: "a month", total: "in all", run: "" };
const PER = { everyone: "for all together", owner: "for each owner", team: "for each team", key: "for each key", project: "for each project", model: "for each model", provider: "for each provider", run: "for each run" };
const KEYED = { owner: true, key: true, run: true }; // whose subjects may be keys
const NAMELESS = { everyone: "all together" };
const EXAMPLE = ["budgets:", "  - name: daily", "    per: owner", "    usd: 5", "    window: day", "  - name: runs", "    per: run", "    usd: 0.5"].join("\n");

const tokens = (value) => `${short(value)} tokens`;
const within = (words, found) => found.toLowerCase().includes(words);

/** A name, and below it the id that it stands for. */
const named = (subject, name) => (name === subject ? [] : [h("small", {}, subject)]);

/** "$5.00 a day for each owner, renewed in 3 h" */
function about(budget, now, names) {
  const { cap, unit, window, per, timezone, renews, soft, only } = budget;
  const most = cap === null ? "as its client caps it" : `${unit === "usd" ? allDigits(cap) : tokens(cap)} ${WINDOWS[window]}`.trim();
  const whose = only.length ? `for ${only.map((each) => (per in KEYED ? names.of(each) : each)).join(", ")}` : (PER[per] ?? `for each ${per.split(":")[1]}`);
  return [`${most} ${whose}`, renews && `renewed in ${span(renews - now)} (${timezone})`, soft && "only warns"].filter(Boolean).join(", ");
}

function state({ sums, percent: spent, refusing }, { soft }) {
  if (sums.spent + sums.base >= sums.cap) return [soft ? "Passed" : "Used up", soft ? "warn" : "bad"];
  if (refusing) return ["Refusing calls", "bad"];
  if (!sums.left && !soft) return ["All reserved", "warn"];
  return spent >= 80 ? ["Nearly used up", "warn"] : null;
}

function counterRow(budget, counter, names) {
  const meter = h("span.meter.parts", { role: "meter", "aria-valuemin": 0, "aria-valuemax": 100 }, h("i"), h("i"));
  const [words, spent, reserved, left] = [h("small"), h("span"), h("span"), h("span")];
  const note = h("div");
  const whose = budget.per in KEYED ? names.of(counter.subject) : counter.subject || (NAMELESS[budget.per] ?? NONE);
  const element = row(COUNTERS, [[h("strong", {}, whose), ...named(budget.per in KEYED ? counter.subject : whose, whose), note], [meter, words], spent, reserved, left]);
  return { element, update(now) {
    const { sums } = now;
    const used = sums.spent + sums.base;
    const [part, held] = [used, sums.held].map((value) => (sums.cap ? Math.min(1, value / sums.cap) : 1));
    const shown = budget.unit === "usd" ? cost : short;
    const found = state(now, budget);
    note.replaceChildren(...(found ? [pill(found)] : []));
    [part, Math.min(held, 1 - part)].forEach((value, place) => meter.children[place].style.setProperty("width", `${(value * 100).toFixed(1)}%`));
    meter.dataset.tone = found ? found[1] : "ok";
    const said = `${Number(now.percent.toFixed(1))}% spent${sums.held ? `, ${percent(Math.max(held, 0.001))} reserved` : ""}`;
    meter.setAttribute("aria-valuenow", Math.min(100, Math.round(now.percent)));
    meter.setAttribute("aria-valuetext", said);
    meter.setAttribute("aria-label", `${budget.name}, ${whose}`);
    text(words, said);
    text(spent, shown(used));
    text(reserved, sums.held ? shown(sums.held) : NONE);
    text(left, shown(sums.left));
  } };
}

function budgetSection(first, names) {
  const id = `budget-${first.name}`;
  const note = h("span.note");
  const list = table(`Budget ${first.name}`, COUNTERS);
  list.element.classList.add("counters");
  const rest = h("p.quiet.foot-note");
  const kept = new Map();
  const element = h("section.budget", { "aria-labelledby": id }, h("header", {}, h("h2", { id }, first.name), note), list.element, rest);
  return { element, update({ budget, now, searched }) {
    const { counters } = budget;
    text(note, about(budget, now, names));
    note.title = budget.begins ? `Since ${moment(budget.begins)}` : "";
    list.element.hidden = !counters.length;
    rest.hidden = counters.length > 0 && !budget.truncated;
    text(rest, counters.length ? `The ${count(counters.length)} with the highest share. Find others by their name.` : searched ? "Nothing with this name is counted in this window." : "Nothing is spent in this window.");
    match(list.body, kept, counters, (each) => each.key, (each) => counterRow(budget, each, names));
  } };
}

function accountRow(account, names) {
  const name = names.of(account.user_id);
  const balance = h("span");
  const note = h("div");
  const link = h("a.whole", { href: `#/budgets/${encodeURIComponent(account.user_id)}` }, name);
  const element = row(BALANCES, [[h("strong", {}, link), ...named(account.user_id, name)], note, balance], { class: "opens" });
  return { element, update(now) {
    text(balance, amount(now.balance));
    note.replaceChildren(pill(now.balance > 0 ? ["Covered", "ok"] : ["Used up", "bad"]));
  } };
}

export const title = "Budgets";

export function show(root, { signal, param }) {
  let found = null; // the latest answer
  let accounts = null; // the pages that were loaded
  let failed = null; // why they could not be
  let opened = null; // aborts the open sheet
  let turn = 0;
  const names = keyNames();
  const search = h("input", { type: "search", placeholder: "Find whose", "aria-label": "Find an owner, a run or an account", oninput: () => (draw(), load()) });
  const only = select("Budget", [["", "All budgets"]], () => load());
  const topUp = h("button.button.primary", { hidden: true, onclick: () => sheet("") }, "Top up");
  const head = heading(title, h("span.search", {}, icon("search"), search), only, topUp);
  const notice = h("p.notice", { "data-tone": "warn", hidden: true });
  const instead = h("div", {}, loading(5));
  const sections = h("div");
  const [kept, lines] = [new Map(), new Map()];
  const list = table("Accounts", BALANCES);
  list.element.classList.add("requests");
  const none = h("div");
  const more = h("button.button", { onclick: () => loadAccounts(accounts.last_id) }, "Show more");
  const balances = h("section.budget", { "aria-labelledby": "accounts", hidden: true }, h("header", {}, h("h2", { id: "accounts" }, "Accounts"), h("span.note", {}, "What was credited to each, less what its calls cost.")), none, list.element, h("p.foot-note", {}, more));
  root.append(head.element, notice, instead, sections, balances);

  const words = () => search.value.trim();

  async function load() {
    const mine = ++turn;
    try {
      const query = new URLSearchParams({ limit: SHOWN, subject: words(), budget: only.value });
      const answer = await get(`/admin/budgets?${query}`, { signal });
      if (mine !== turn) return;
      const keyed = answer.budgets.filter(({ per }) => per in KEYED);
      await names.load(keyed.flatMap(({ only: chosen, counters }) => [...chosen, ...counters.map(({ subject }) => subject)]), signal);
      if (mine !== turn) return;
      found = answer;
      if (found.balances && !accounts) await loadAccounts();
      draw();
    } catch (error) {
      if (error.name !== "AbortError" && mine === turn && !found) instead.replaceChildren(trouble(error, load));
    }
  }

  async function loadAccounts(after = "") {
    try {
      const next = await get(`${ACCOUNTS}?limit=${PAGE}&after=${encodeURIComponent(after)}`, { signal });
      await names.load(next.data.map(({ user_id }) => user_id), signal);
      accounts = { ...next, data: after ? [...accounts.data, ...next.data] : next.data };
      failed = null;
    } catch (error) {
      if (error.name === "AbortError") return;
      failed = error;
    }
    draw();
  }

  function choices() {
    const names = found.budgets.map(({ name }) => name);
    if (only.value || only.dataset.names === names.join()) return;
    only.dataset.names = names.join();
    only.replaceChildren(...[["", "All budgets"], ...names.map((name) => [name, name])].map(([value, shown]) => h("option", { value }, shown)));
  }

  function draw() {
    if (!found) return;
    choices();
    const { budgets, now } = found;
    const off = !budgets.length && !found.balances && !only.value;
    head.note(off ? "" : found.balances ? "Each call holds the most that it can cost, until it is billed." : "Accounts have no balance: billing.enabled gives them one.");
    notice.hidden = !found.missing;
    text(notice, found.missing);
    topUp.hidden = !found.balances;
    only.hidden = !budgets.length && !only.value;
    instead.replaceChildren(...(off ? [empty("No budgets yet", "A budget caps what may be spent, in USD or in tokens, in each day, week or month, or by the run of an agent. Add some to the configuration:", h("pre", {}, EXAMPLE))] : []));
    match(sections, kept, budgets.map((budget) => ({ budget, now, searched: words() !== "" })), ({ budget }) => budget.name, ({ budget }) => budgetSection(budget, names));
    balances.hidden = !found.balances || Boolean(only.value);
    if (!balances.hidden) drawAccounts();
  }

  function drawAccounts() {
    const shown = (accounts?.data ?? []).filter((each) => [each.user_id, names.of(each.user_id)].some((each) => within(words().toLowerCase(), each)));
    list.element.hidden = !shown.length;
    more.parentElement.hidden = !accounts?.has_more;
    const missing = failed && !accounts ? trouble(failed, () => loadAccounts())
      : !accounts ? loading(3)
      : shown.length ? null
      : words() ? empty("No account that is listed matches", "An account is listed after its first call or its first top-up.", h("a.button", { href: `#/budgets/${encodeURIComponent(words())}` }, `Open the account of ${words()}`))
      : empty("No accounts yet", "An account is made by the first call of its owner, or by its first top-up.", h("button.button", { onclick: () => sheet("") }, "Top up"));
    none.replaceChildren(...(missing ? [missing] : []));
    match(list.body, lines, shown, (each) => each.user_id, (each) => accountRow(each, names));
  }

  /** Open the sheet of an account; `""`: of one that is still to be named. */
  function sheet(id) {
    opened?.abort();
    opened = new AbortController();
    const here = location.hash; // after a navigation, closing the sheet must not change the address
    open(id, AbortSignal.any([signal, opened.signal]), { changed: () => loadAccounts(), closed: () => id && location.hash === here && (location.hash = "#/budgets") });
  }

  function go({ param: id }) {
    opened?.abort();
    opened = null;
    if (id) sheet(id);
  }

  /** All that is shown, again. Accounts on further pages stay as they were loaded. */
  function again() {
    if (document.hidden) return;
    load();
    if (found?.balances && accounts && accounts.data.length <= PAGE) loadAccounts();
  }

  load();
  every(EVERY, again, signal);
  go({ param });
  return { go };
}
