// Dead letters: messages that consumers of the broker refused. Each look at them starts a process, so it is on demand.

import { get, post } from "./api.js";
import { confirm, toast } from "./dialog.js";
import { h, text } from "./dom.js";
import { written } from "./event.js";
import { NONE, count, exactly, moment } from "./format.js";
import { loading, row, table, trouble } from "./parts.js";

const LETTERS = "/admin/dead-letters";
const PAGE = 50;
const COLUMNS = [["Event", "name"], ["Queue", ""], ["Why", "reason-text"], ["When", "time"], ["", "acts"]];

/** The section; `update` takes what the API says of events. */
export function deadLetters(signal) {
  const note = h("span.note");
  const look = h("button.button", { onclick: () => load() }, "Show");
  const all = h("button.button", { hidden: true, onclick: () => sendAgain(null) }, "Send all again");
  const list = table("Dead letters", COLUMNS);
  list.element.classList.add("requests", "dead-events");
  list.element.hidden = true;
  const instead = h("div");
  const element = h("section.budget", { "aria-labelledby": "letters", hidden: true }, h("header", {}, h("h2", { id: "letters" }, "Dead letters"), note, h("div.tools", {}, look, all)), instead, list.element);

  function line({ id, type, queue, reason, at, body }) {
    const when = at ? h("time", { datetime: exactly(at), title: exactly(at) }, moment(at)) : NONE;
    const whole = h("details", {}, h("summary", {}, "Body"), h("pre", { tabindex: "0", "aria-label": `Body of ${id}` }, written(body)));
    // Without an id it cannot be chosen.
    const again = id && h("button.button.small", { "aria-label": `Send ${type} ${id} again`, onclick: () => sendAgain(id) }, "Send again");
    return row(COLUMNS, [[h("strong", {}, type || NONE), h("small", {}, id), whole], queue || NONE, reason || NONE, when, h("div.acts", {}, again)]);
  }

  function wait(busy) {
    for (const button of element.querySelectorAll("header button, td .button")) button.disabled = busy;
  }

  async function load() {
    wait(true);
    if (list.element.hidden) instead.replaceChildren(loading(2));
    try {
      const { data } = await get(`${LETTERS}?limit=${PAGE}`, { signal });
      instead.replaceChildren(...(data.length ? [] : [h("p.quiet", {}, "There are none.")]));
      list.element.hidden = all.hidden = !data.length;
      list.body.replaceChildren(...data.map(line));
      text(look, "Show again");
    } catch (error) {
      if (error.name !== "AbortError") {
        list.element.hidden = all.hidden = true;
        instead.replaceChildren(trouble(error, load));
      }
    }
    wait(false);
  }

  /** `null`: all of them. */
  async function sendAgain(id) {
    const question = { title: id ? "Send this message again?" : "Send all dead letters again?", text: "They go back to the queues that they came from, and to their consumers.", yes: "Send again" };
    if (!(await confirm(question)) || signal.aborted) return;
    wait(true);
    try {
      const { count: moved } = await post(`${LETTERS}/send-again`, id ? { ids: [id] } : { all: true });
      toast(`${count(moved)} ${moved === 1 ? "message was" : "messages were"} sent again.`);
    } catch (error) {
      toast(error.message, "bad");
    }
    if (!signal.aborted) load();
  }

  return { element, update({ letters, deadLetters: found }) {
    element.hidden = !letters;
    const how = found === null ? "How many there are is not known." : found ? `There ${found === 1 ? "is 1" : `are ${count(found)}`}.` : "There are none.";
    text(note, `Messages that consumers of the broker refused. ${how}`);
  } };
}
