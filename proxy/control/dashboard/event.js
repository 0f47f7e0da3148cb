// One dead event in a sheet: why it was given up, and what it says.

import { get, post } from "./api.js";
import { confirm, sheet, toast } from "./dialog.js";
import { h } from "./dom.js";
import { count, exactly, moment } from "./format.js";
import { copyButton, empty, loading, pill, trouble } from "./parts.js";

export const DEAD = "/admin/dead-events";

const time = (at) => h("time", { datetime: exactly(at), title: exactly(at) }, moment(at));

/** A CloudEvent as text, or what is none as it is. */
export const written = (body) => (typeof body === "string" ? body : JSON.stringify(body, null, 2));

/** Open the sheet of a dead event until `signal` aborts. `changed` is called after it was sent again or deleted. */
export async function open(seq, signal, { changed, closed }) {
  const body = h("div.sheet-body", {}, loading(4));
  const dialog = sheet("Dead event", body, () => !signal.aborted && closed());
  signal.addEventListener("abort", () => dialog.close());

  async function change(how, words) {
    try {
      const { count: changes } = await post(`${DEAD}/${how}`, { seqs: [Number(seq)] });
      toast(changes ? words : "The event is not dead any more.");
      dialog.close();
      changed();
    } catch (error) {
      toast(error.message, "bad");
    }
  }

  async function remove() {
    if (await confirm({ title: "Delete this event?", text: "It is not sent any more. This cannot be undone.", yes: "Delete", grave: true })) await change("delete", "The event was deleted.");
  }

  async function load() {
    try {
      const event = await get(`${DEAD}/${encodeURIComponent(seq)}`, { signal });
      const facts = { Receiver: event.receiver, ID: h("code", {}, event.id), Happened: time(event.at), "Given up": time(event.deadAt), Tries: count(event.tries) };
      body.replaceChildren(
        h("div.verdict", {}, pill(["Dead", "bad"]), h("strong", {}, event.type)),
        event.error && h("p.reason", {}, event.error),
        h("dl.facts", {}, Object.entries(facts).map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value)))),
        h("div.actions", {},
          h("button.button.primary", { onclick: () => change("send-again", "The event waits to be sent again.") }, "Send again"),
          h("button.button", { onclick: remove }, "Delete"), copyButton(() => written(event.body), "Copy", "")),
        h("h3", {}, "Body"), h("pre", { tabindex: "0", "aria-label": "Body of the event" }, h("code", {}, written(event.body))));
    } catch (error) {
      if (error.name === "AbortError") return;
      body.replaceChildren(error.status === 404 ? empty("It is not dead any more", "It was sent again or deleted meanwhile.") : trouble(error, load));
    }
  }

  load();
}
