// The latest requests, live. A row opens the details of a request with the waterfall of its attempts.

import { h, match, text } from "./dom.js";
import { NONE, count, exactly, moment, ms } from "./format.js";
import { icon } from "./icons.js";
import { empty, heading, loading, pill, row, select, table, trouble } from "./parts.js";
import { address, clientOf, open, requestedModel } from "./request.js";
import { follow, store } from "./store.js";
import { OUTCOMES, outcome, plain } from "./words.js";

const COLUMNS = [["Time", "time"], ["Outcome", "state"], ["Model", "name"], ["Client", "client"], ["Attempts", "num"], ["First token", "num"], ["Duration", "num"], ["Tokens in", "num"], ["Tokens out", "num"]];
const SHOWN = 200;

function line(request) {
  const { tokens } = request;
  const time = h("a", { class: "whole", href: address(request), "aria-label": `Request of ${moment(request.at)}, ${request.model || request.endpoint}` }, h("time", { datetime: exactly(request.at) }, moment(request.at)));
  const result = [pill(outcome(request.outcome)), h("small", {}, [request.status || "", plain(request.error)].filter(Boolean).join(" \u00b7 "))];
  const name = [h("strong", {}, requestedModel(request)), h("small", {}, [request.provider, request.responseModel, request.stream ? "stream" : ""].filter(Boolean).join(" \u00b7 "))];
  const attempts = [h("span", {}, String(request.attempts)), request.fallbackUsed && h("small", {}, "fallback")];
  const cells = [time, result, name, clientOf(request) || NONE, attempts, ms(request.timeToFirstTokenMs), ms(request.durationMs), count(tokens && tokens.input === null ? null : tokens && tokens.input + (tokens.cached ?? 0)), count(tokens?.output)];
  return { element: row(COLUMNS, cells, { class: "opens", "data-id": request.id }) };
}

export const title = "Requests";

export function show(root, { signal, param, query }) {
  let opened = null; // aborts the open sheet
  let held = null; // the requests as they were when the page was paused
  const model = select("Filter by model", [["", "All models"]], draw);
  const result = select("Filter by outcome", [["", "All outcomes"], ...OUTCOMES], draw);
  const words = h("span", {}, "Pause");
  const pause = h("button", { class: "button", "aria-pressed": "false", onclick: toggle }, icon("pause"), words);
  const head = heading(title, model, result, pause);
  const list = table("The latest requests", COLUMNS);
  list.element.classList.add("requests");
  const instead = h("div");
  const kept = new Map();
  const more = h("p", { class: "quiet foot-note" });
  root.append(head.element, instead, list.element, more);

  function toggle() {
    held = held ? null : store.requests;
    pause.setAttribute("aria-pressed", String(Boolean(held)));
    pause.replaceChild(icon(held ? "play" : "pause"), pause.firstChild);
    draw();
  }

  function offer(requests) {
    const names = [...new Set(requests.map((each) => each.model).filter(Boolean))].sort();
    if (model.dataset.names === names.join("\n")) return;
    model.dataset.names = names.join("\n");
    const chosen = model.value || query.get("model") || "";
    model.replaceChildren(h("option", { value: "" }, "All models"), ...names.map((each) => h("option", { value: each }, each)));
    model.value = names.includes(chosen) ? chosen : "";
  }

  function draw() {
    const all = held ?? store.requests;
    list.element.hidden = !all;
    if (!all) return instead.replaceChildren(store.error ? trouble(store.error, () => store.refresh()) : loading(8));
    offer(all);
    const found = all.filter((each) => (!model.value || each.model === model.value) && (!result.value || each.outcome === result.value));
    const newer = held ? store.requests.filter((each) => !held.length || each.sequence > held[0].sequence).length : 0;
    text(words, held ? (newer ? `Continue (${newer} new)` : "Continue") : "Pause");
    head.note(all.length ? `The latest ${count(all.length)}, by the time they ended.${held ? " Paused." : ""}` : "None so far.");
    list.element.hidden = !found.length;
    instead.replaceChildren(...(found.length ? [] : [all.length ? empty("No request matches", "None of the latest requests has this model and outcome.") : empty("No requests yet", "They appear here as they end.", h("a", { class: "button", href: "#/try" }, "Try a prompt"))]));
    text(more, found.length > SHOWN ? `${count(found.length - SHOWN)} older ones are kept: use the filters to see them.` : "");
    match(list.body, kept, found.slice(0, SHOWN), (each) => each.sequence, line);
  }

  /** Open or close the sheet of a request without changing the list. */
  function go({ param: id, query: wanted }) {
    opened?.abort();
    opened = null;
    if (wanted.has("outcome")) result.value = wanted.get("outcome");
    if (id) {
      opened = new AbortController();
      const here = location.hash;  // after a navigation, closing the sheet must not change the address
      open(id, AbortSignal.any([signal, opened.signal]), () => location.hash === here && (location.hash = "#/requests"));
    }
    draw();
  }

  follow(["requests", "error"], draw, signal);
  go({ param, query });
  return { go };
}
