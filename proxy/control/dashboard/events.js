// Events: who gets them, what waits for each, and what could not be sent. A row opens the dead event.

import { get, post } from "./api.js";
import { deadLetters } from "./letters.js";
import { confirm, toast } from "./dialog.js";
import { h, match, text } from "./dom.js";
import { NONE, count, exactly, moment, span } from "./format.js";
import { DEAD, open } from "./event.js";
import { empty, heading, loading, pill, row, select, table, trouble } from "./parts.js";
import { every } from "./store.js";

const EVERY = 3000;
const PAGE = 100; // dead events
const MOST = 500; // that are loaded again at once
const COLUMNS = [["", "pick"], ["Event", "name"], ["Receiver", ""], ["Why", "reason-text"], ["Tries", "num"], ["Given up", "time"]];
const KINDS = { rabbitmq: "RabbitMQ", nats: "NATS", webhook: "Webhook" };
const STATES = { up: ["Up", "ok"], idle: ["Nothing sent yet", "idle"], waiting: ["Waiting", "warn"], failing: ["Failing", "bad"], gone: ["Gone", "bad"], removed: ["Not configured", "warn"] };
const EXAMPLE = ["events:", "  url: amqp://user:password@rabbitmq:5672", "  webhooks:", "    - url: ${HOOK_URL}", "      secret: ${HOOK_SECRET}"].join("\n");

/** "webhook:example.com:0a1b2c3d" -> "example.com" */
const hostOf = (name) => name.split(":").slice(1, -1).join(":");
const titleOf = ({ kind, name }) => (kind === "webhook" ? hostOf(name) : KINDS[kind]);
const things = (value, thing) => `${count(value)} ${thing}${value === 1 ? "" : "s"}`;

/** What its state means, where that is not plain. */
function said({ state, sending, waiting, lastError, lastFailedAt }) {
  if (state === "gone") return "It answered 410 Gone: nothing is sent until its address changes, or the gateway is restarted.";
  if (state === "removed") return "It is not in the configuration, so nothing is sent to it.";
  if (waiting && !sending) return "No process sends to it now. The ledger's recorder does, once it runs.";
  if (!lastError) return "";
  return state === "failing" ? lastError : `Failed at ${moment(lastFailedAt)}: ${lastError}`;
}

function receiverCard(first) {
  const id = `receiver-${first.name.replaceAll(/[^a-zA-Z0-9]/g, "-")}`;
  const state = h("span");
  const [where, types, note] = [h("p.quiet.where"), h("p.quiet.types"), h("p.said")];
  const facts = Object.fromEntries(["Waiting", "Oldest", "Sent", "Last sent", "Failed tries", "Dead"].map((name) => [name, h("dd")]));
  const element = h("section.card.third.receiver", { "aria-labelledby": id },
    h("header", {}, h("h2", { id }, titleOf(first)), state), where,
    h("dl.facts", {}, Object.entries(facts).map(([name, value]) => h("div", {}, h("dt", {}, name), value))), note, types);
  return { element, update(now) {
    const [words, tone] = STATES[now.state];
    if (state.dataset.state !== now.state) state.replaceChildren(pill([words, tone]));
    state.dataset.state = now.state;
    text(where, now.address || now.name);
    text(types, now.types.length ? `Gets ${now.types.join(", ")}` : now.state === "removed" ? "" : "Gets all types");
    const many = (value) => `${count(value)}${now.truncated && value >= 100_000 ? " or more" : ""}`; // the API counts no more
    text(facts.Waiting, many(now.waiting));
    text(facts.Oldest, now.oldestSecs === null ? NONE : span(now.oldestSecs));
    text(facts.Sent, count(now.sent));
    text(facts["Last sent"], moment(now.lastSentAt));
    text(facts["Failed tries"], count(now.failures));
    text(facts.Dead, many(now.dead));
    const sentence = said(now);
    note.hidden = !sentence;
    text(note, sentence);
    note.dataset.tone = now.state === "up" || now.state === "idle" ? "idle" : tone;
  } };
}

function deadRow(event, chosen, changed) {
  const box = h("input", { type: "checkbox", "aria-label": `Choose ${event.type} ${event.id}`, onchange: () => ((box.checked ? chosen.add(event.seq) : chosen.delete(event.seq)), changed()) });
  const link = h("a.whole", { href: `#/events/${event.seq}` }, event.type);
  const cells = [h("label.pick-box", {}, box), [h("strong", {}, link), h("small", {}, event.id)], event.receiver === "broker" ? "Broker" : hostOf(event.receiver), event.error, count(event.tries),
    h("time", { datetime: exactly(event.deadAt), title: `Happened ${exactly(event.at)}` }, moment(event.deadAt))];
  return { element: row(COLUMNS, cells, { class: "opens", "data-seq": event.seq }), update: () => (box.checked = chosen.has(event.seq)) };
}

export const title = "Events";

export function show(root, { signal, param }) {
  let found = null; // the latest answer
  let dead = null; // the pages of dead events that were loaded
  let counted = ""; // what is dead of each receiver, as it was when they were loaded
  let opened = null; // aborts the open sheet
  let turn = 0;
  let busy = false;
  const chosen = new Set(); // numbers of dead events
  const [cards, rows] = [new Map(), new Map()];
  const head = heading(title);
  const notice = h("p.notice", { "data-tone": "warn", hidden: true });
  const instead = h("div", {}, loading(4));
  const receivers = h("div.cards.receivers");
  const only = select("Receiver", [["", "All receivers"]], () => (chosen.clear(), loadDead()));
  const again = h("button.button", { onclick: () => change("send-again") });
  const remove = h("button.button", { onclick: () => change("delete") });
  const list = table("Dead events", COLUMNS);
  text(list.element.querySelector("th span"), "Choose");
  list.element.classList.add("requests", "dead-events");
  const none = h("p.quiet", {}, "None. An event that a receiver does not take in time is kept here.");
  const more = h("button.button", { onclick: () => loadDead(dead.after) }, "Show more");
  const tools = h("div.tools", {}, only, again, remove);
  const section = h("section.budget", { "aria-labelledby": "dead", hidden: true }, h("header", {}, h("h2", { id: "dead" }, "Dead events"), h("span.note", {}, "Given up, as the receiver did not take them in time. They are kept for 30 days."), tools), none, list.element, h("p.foot-note", {}, more));
  const letters = deadLetters(signal);
  root.append(head.element, notice, instead, receivers, section, letters.element);

  async function load() {
    const mine = ++turn;
    try {
      const answer = await get("/admin/event-receivers", { signal });
      if (mine !== turn) return;
      found = answer;
      notice.hidden = true;
      const counts = JSON.stringify([found.ledger, ...found.receivers.map((each) => [each.name, each.dead, each.lastDeadAt])]);
      if (counts !== counted) {
        counted = counts;
        loadDead();
      }
      draw();
    } catch (error) {
      if (error.name === "AbortError" || mine !== turn) return;
      if (!found) return instead.replaceChildren(trouble(error, load));
      notice.hidden = false;
      text(notice, error.message);
    }
  }

  async function loadDead(after = "") {
    if (!found || found.ledger === "events" || !found.receivers.length) return;
    try {
      const limit = after ? PAGE : Math.min(Math.max(dead?.data.length ?? 0, PAGE), MOST); // so that those on further pages stay
      const next = await get(`${DEAD}?${new URLSearchParams({ limit, after, receiver: only.value })}`, { signal });
      dead = { ...next, data: after ? [...dead.data, ...next.data] : next.data };
      for (const seq of chosen) if (!dead.data.some((each) => each.seq === seq)) chosen.delete(seq);
      draw();
    } catch (error) {
      if (error.name !== "AbortError") counted = ""; // with the next look
    }
  }

  function choices() {
    const names = [...new Set([...found.receivers.filter((each) => each.dead).map(({ name }) => name), only.value].filter(Boolean))];
    only.hidden = names.length < 2 && !only.value;
    if (only.dataset.names === names.join()) return;
    only.dataset.names = names.join();
    const value = only.value;
    only.replaceChildren(...[["", "All receivers"], ...names.map((name) => [name, name === "broker" ? "Broker" : hostOf(name)])].map(([each, words]) => h("option", { value: each }, words)));
    only.value = value;
  }

  function draw() {
    if (!found) return;
    const { outbox } = found;
    const off = !found.receivers.length;
    const full = outbox.waiting >= outbox.mostWaiting;
    head.note(off ? "" : `${things(outbox.waiting, "event")} ${outbox.waiting === 1 ? "waits" : "wait"}${full ? `, which is the most: ${outbox.onFull === "wait" ? "the ledger's rows wait, too" : "others are forgotten"}` : ""}.`);
    instead.replaceChildren(...(off ? [empty("No receiver is configured", "A message broker and webhooks can get each call's usage, transactions, and what happens to keys, budgets and providers: at least once, as soon as it happened. Add some to the configuration:", h("pre", { tabindex: "0", role: "group", "aria-label": "Example of a configuration" }, EXAMPLE))] : []));
    match(receivers, cards, found.receivers, ({ name }) => name, receiverCard);
    section.hidden = off || found.ledger === "events";
    if (!section.hidden && dead) drawDead();
    letters.update(found);
  }

  function drawDead() {
    choices();
    const { data } = dead;
    none.hidden = data.length > 0;
    list.element.hidden = again.hidden = remove.hidden = !data.length;
    more.parentElement.hidden = !dead.after;
    const some = chosen.size ? count(chosen.size) : "all";
    text(again, `Send ${some} again`);
    text(remove, `Delete ${some}`);
    again.disabled = remove.disabled = busy;
    match(list.body, rows, data, ({ seq }) => seq, (each) => deadRow(each, chosen, drawDead));
  }

  /** Those that are chosen; all, of the receiver that is shown, if none is. */
  async function change(how) {
    const whole = !chosen.size;
    const [what, of] = [whole ? "all dead events" : things(chosen.size, "dead event"), whole && only.value ? ` of ${hostOf(only.value) || "the broker"}` : ""];
    const question = how === "delete" ? { title: `Delete ${what}${of}?`, text: "They are not sent any more. This cannot be undone.", yes: "Delete", grave: true }
      : { title: `Send ${what}${of} again?`, text: "A receiver may have got some of them already: it knows them by their ids.", yes: "Send again" };
    const body = whole ? { all: true, receiver: only.value } : { seqs: [...chosen] };
    if (!(await confirm(question)) || signal.aborted) return;
    busy = true;
    drawDead();
    try {
      const changed = await post(`${DEAD}/${how}`, body);
      toast(`${things(changed.count, "event")} ${how === "delete" ? (changed.count === 1 ? "was deleted" : "were deleted") : changed.count === 1 ? "waits to be sent again" : "wait to be sent again"}.${changed.more ? " There are more." : ""}`);
      chosen.clear();
    } catch (error) {
      if (!signal.aborted) toast(error.message, "bad");
    }
    busy = false;
    if (!signal.aborted) renew();
  }

  /** All that is shown, again. */
  function renew() {
    counted = "";
    load();
  }

  function go({ param: seq }) {
    opened?.abort();
    opened = null;
    if (!seq) return;
    opened = new AbortController();
    const here = location.hash; // after a navigation, closing the sheet must not change the address
    open(seq, AbortSignal.any([signal, opened.signal]), { changed: renew, closed: () => location.hash === here && (location.hash = "#/events") });
  }

  load();
  every(EVERY, () => document.hidden || load(), signal);
  go({ param });
  return { go };
}
