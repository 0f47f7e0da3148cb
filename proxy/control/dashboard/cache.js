// What the cache of answers did and saved: a part of the page of usage, while the cache is on.

import { get, post } from "./api.js";
import { confirm, toast } from "./dialog.js";
import { h } from "./dom.js";
import { NONE, bytes, costOf, count, percent, short } from "./format.js";
import { pill, row, table } from "./parts.js";

const EVERY = 5000;
const COLUMNS = [["Hits", "num"], ["Stale", "num"], ["Misses", "num"], ["Not cached", "num"], ["Hit rate", "num"], ["Saved", "num"], ["Tokens saved", "num"], ["Answers", "num"], ["Size", "num"]];

function line(found) {
  const given = found.hit + found.stale;
  const asked = given + found.miss;
  return row(COLUMNS, [
    count(found.hit),
    count(found.stale),
    count(found.miss),
    count(found.bypass),
    asked ? percent(given / asked) : NONE,
    costOf(found.savedUsd),
    short(found.savedInput + found.savedOutput),
    count(found.answers),
    `${bytes(found.bytes)} of ${bytes(found.maxBytes)}`,
  ]);
}

/** The part of the page. It is hidden while the cache is off. */
export function cached(signal) {
  const list = table("Answers from the cache", COLUMNS);
  const state = h("span");
  const remove = h("button", { class: "button", onclick: invalidate }, "Invalidate all");
  const note = h("p", { class: "quiet foot-note" }, "Since the start of this process; answers and their size are those of the store.");
  const element = h("section", { hidden: true, "aria-labelledby": "cache-title" }, h("h2", { id: "cache-title" }, "Answers from the cache"), state, list.element, note, remove);

  async function load() {
    if (document.hidden) return;
    try {
      const found = await get("/admin/cache", { signal });
      element.hidden = !found.enabled;
      state.replaceChildren(...(found.up ? [] : [pill(["Redis does not respond", "bad"])]));
      list.body.replaceChildren(...(found.enabled ? [line(found)] : []));
    } catch (error) {
      if (error.name !== "AbortError") element.hidden = true;
    }
  }

  async function invalidate() {
    if (!(await confirm({ title: "Invalidate all answers?", text: "Requests go to providers until answers are cached again.", yes: "Invalidate", grave: true }))) return;
    try {
      const { invalidated } = await post("/admin/cache/invalidate", { all: true });
      toast(`Answers removed: ${count(invalidated)}`);
    } catch (error) {
      toast(error.message, "bad");
    }
    await load();
  }

  load();
  const timer = setInterval(load, EVERY);
  signal.addEventListener("abort", () => clearInterval(timer));
  return element;
}
