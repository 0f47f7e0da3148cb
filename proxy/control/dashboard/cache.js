// What the cache of answers did and saved: a part of the page of usage, while the cache is on.

import { get, post } from "./api.js";
import { confirm, toast } from "./dialog.js";
import { h } from "./dom.js";
import { NONE, bytes, costOf, count, percent, short } from "./format.js";
import { pill, row, select, table } from "./parts.js";
import { every } from "./store.js";

const EVERY = 5000;
const WHICH = [["all", "All answers"], ["models", "Answers of a model"], ["tags", "Answers with a tag"]];
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
    found.savedUsd ? costOf(found.savedUsd) : NONE, // 0: nothing is known to be saved, as models without prices have it
    short(found.savedInput + found.savedOutput),
    count(found.answers),
    `${bytes(found.bytes)} of ${bytes(found.maxBytes)}`,
  ]);
}

/** The part of the page. It is hidden while the cache is off. */
export function cached(signal) {
  const list = table("Answers from the cache", COLUMNS);
  const state = h("span");
  const which = select("What to invalidate", WHICH, choose);
  const name = h("input", { "aria-label": "Name of the model or tag", required: true, autocomplete: "off", style: { width: "170px" } });
  const form = h("form.actions", { onsubmit: invalidate }, which, name, h("button.button", {}, "Invalidate"));
  const note = h("p.quiet.foot-note", {}, "Since this process started, except answers and size, which are those of the store.");
  const element = h("div", { role: "region", hidden: true, "aria-labelledby": "cache-title" }, h("h2", { id: "cache-title" }, "Answers from the cache"), state, list.element, note, form);
  choose();

  function choose() {
    name.hidden = name.disabled = which.value === "all";
  }

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

  async function invalidate(event) {
    event.preventDefault();
    const named = name.value.trim(); // with spaces around it, it would match nothing
    const given = which.value === "all" ? "all answers" : `${which.selectedOptions[0].text.toLowerCase().replace(" a ", " the ")} ${named}`;
    if (!(await confirm({ title: `Invalidate ${given}?`, text: "Requests go to providers until answers are cached again.", yes: "Invalidate them", grave: true }))) return;
    try {
      const { invalidated } = await post("/admin/cache/invalidate", { [which.value]: which.value === "all" || [named] });
      toast(`Answers removed: ${count(invalidated)}`);
    } catch (error) {
      toast(error.message, "bad");
    }
    await load();
  }

  load();
  every(EVERY, load, signal);
  return element;
}
