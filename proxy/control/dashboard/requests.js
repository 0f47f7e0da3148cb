// The latest requests, live, and a search among all that the gateway keeps. A row opens the details of a request with the waterfall of its attempts.

import { get } from "./api.js";
import { toast } from "./dialog.js";
import { h, match, text } from "./dom.js";
import { NONE, costOf, count, exactly, moment, ms } from "./format.js";
import { icon } from "./icons.js";
import { empty, heading, loading, pill, row, select, table, trouble } from "./parts.js";
import { address, clientOf, open, requestedModel } from "./request.js";
import { follow, store } from "./store.js";
import { OUTCOMES, outcome, plain } from "./words.js";

const COLUMNS = [["Time", "time"], ["Outcome", "state"], ["Model", "name"], ["Client", "client"], ["Attempts", "num"], ["First token", "num"], ["Duration", "num"], ["Tokens in", "num"], ["Tokens out", "num"], ["Cost", "num"]];
const SHOWN = 200;

/** The owner with its credential, or the client alone. */
function who(request) {
  const client = clientOf(request) || NONE;
  return request.owner ? [h("span", {}, request.owner), h("small", {}, client)] : client;
}

function line(request) {
  const { tokens } = request;
  const time = h("a.whole", { href: address(request), "aria-label": `Request of ${moment(request.at)}, ${request.model || request.endpoint}` }, h("time", { datetime: exactly(request.at) }, moment(request.at)));
  const result = [pill(outcome(request.outcome)), h("small", {}, [request.status || "", plain(request.error)].filter(Boolean).join(" \u00b7 "))];
  const name = [h("strong", {}, requestedModel(request)), h("small", {}, [request.provider, request.responseModel, request.stream ? "stream" : ""].filter(Boolean).join(" \u00b7 "))];
  const attempts = [h("span", {}, String(request.attempts)), request.fallbackUsed && h("small", {}, "fallback"), request.cache && h("small", {}, `cache ${request.cache}`)];
  const cells = [time, result, name, who(request), attempts, ms(request.timeToFirstTokenMs), ms(request.durationMs), count(tokens && tokens.input === null ? null : tokens && tokens.input + (tokens.cached ?? 0)), count(tokens?.output), costOf(request.costUsd)];
  return { element: row(COLUMNS, cells, { class: "opens", "data-id": request.id }) };
}

const SEARCHED = { id: "Request id", client: "Client or owner", model: "Model", run: "Run" };

/** A part of a text, unless it is a pattern. */
const pattern = (words) => (!words || words.includes("*") ? words : `*${words}*`);

export const title = "Requests";

export function show(root, { signal, param, query }) {
  let opened = null; // aborts the open sheet
  let held = null; // the rows while the list is paused
  let newest = 0; // the latest sequence when it was
  let found = null; // what matches, newest first; only the gateway has all requests
  let next = null; // where the gateway goes on behind the rows
  let turn = 0; // of the latest search
  let waits = 0;
  const outcomes = select("Filter by outcome", [["", "All outcomes"], ...OUTCOMES], changed);
  const words = h("span", {}, "Pause");
  const pause = h("button.button", { "aria-pressed": "false", onclick: () => hold(held ? null : rows()) }, icon("pause"), words);
  const head = heading(title, outcomes, pause);
  const names = h("datalist", { id: "request-models" });
  const inputs = Object.entries(SEARCHED).map(([name, label]) => [name, h("input", { type: "search", placeholder: label, "aria-label": `Search by ${label.toLowerCase()}`, autocomplete: "off", spellcheck: "false", list: name === "model" && names.id, oninput: changed })]);
  const controls = [...inputs, ["outcome", outcomes]];
  const list = table("The latest requests", COLUMNS);
  list.element.classList.add("requests");
  const instead = h("div");
  const kept = new Map();
  const more = h("button.button", { onclick: older }, "Show older");
  root.append(head.element, h("form.search-row", { role: "search", onsubmit: (event) => event.preventDefault() }, names, inputs.map(([, input]) => input)), instead, list.element, h("p.foot-note", {}, more));

  const wanted = () => new URLSearchParams(controls.map(([name, control]) => [name, control.value.trim()]).filter(([, value]) => value));
  const criteria = () => new URLSearchParams([...wanted()].map(([name, value]) => [name, name in SEARCHED ? pattern(value) : value]));
  const rows = () => held ?? (wanted().size ? found : store.requests?.slice(0, SHOWN)) ?? null;

  function hold(those) {
    held = those;
    newest = store.requests?.[0]?.sequence ?? 0;
    pause.setAttribute("aria-pressed", String(Boolean(held)));
    pause.replaceChild(icon(held ? "play" : "pause"), pause.firstChild);
    if (held) draw();
    else search();
  }

  function changed() {
    const search_ = wanted();
    history.replaceState(null, "", `#/requests${search_.size ? `?${search_}` : ""}`);
    held = null;
    search();
  }

  /** Ask the gateway for what matches; without criteria the page has it. */
  async function search() {
    const mine = ++turn;
    if (!wanted().size) return draw();
    try {
      const page = await get(`/admin/requests?limit=${SHOWN}&${criteria()}`, { signal });
      if (mine !== turn) return;
      [found, next] = [page.requests, page.next];
      if (!held) draw();
    } catch (error) {
      if (error.name !== "AbortError" && mine === turn) instead.replaceChildren(trouble(error, search));
    }
  }

  /** New requests may match: search again, at most twice a second. */
  function follows() {
    if (!wanted().size || held) return draw();
    waits ||= setTimeout(() => ((waits = 0), signal.aborted || search()), 500);
  }

  /** Older ones follow the rows, which stay as they are from now on. */
  async function older() {
    if (!held) hold(rows());
    try {
      const page = await get(`/admin/requests?limit=${SHOWN}&before=${held.at(-1).sequence}&${criteria()}`, { signal });
      [held, next] = [[...held, ...page.requests], page.next];
      draw();
    } catch (error) {
      toast(error.message, "bad");
    }
  }

  function offer() {
    const known = [...new Set(store.requests.map((each) => each.model).filter(Boolean))].sort();
    if (names.dataset.names === known.join("\n")) return;
    names.dataset.names = known.join("\n");
    names.replaceChildren(...known.map((value) => h("option", { value })));
  }

  function draw() {
    const shown = rows();
    list.element.hidden = !shown?.length;
    if (!shown || !store.requests) return instead.replaceChildren(store.error ? trouble(store.error, () => store.refresh()) : loading(8));
    offer();
    const searched = wanted().size > 0;
    const newer = held ? store.requests.filter((each) => each.sequence > newest).length : 0;
    text(words, held ? (newer ? `Continue (${newer} new)` : "Continue") : "Pause");
    head.note(shown.length ? `${searched ? "Those that match" : "The latest"}, by the time they ended; the gateway keeps ${count(store.capacity)}.${held ? " Paused." : ""}` : "");
    instead.replaceChildren(...(shown.length ? [] : [searched ? empty("No request matches", "None of the requests that are kept has this id, client, model, run and outcome.") : empty("No requests yet", "They appear here as they end.", h("a.button", { href: "#/try" }, "Try a prompt"))]));
    more.hidden = held || searched ? next === null : shown.length < SHOWN;
    match(list.body, kept, shown, (each) => each.sequence, line);
  }

  /** Open or close the sheet of a request without changing the list. */
  function go({ param: id, query: asked }) {
    opened?.abort();
    opened = null;
    if (asked.size) for (const [name, control] of controls) control.value = asked.get(name) ?? "";
    if (id) {
      opened = new AbortController();
      const [here, behind] = [location.hash, wanted()]; // after a navigation, closing the sheet must not change the address
      open(id, AbortSignal.any([signal, opened.signal]), () => location.hash === here && (location.hash = `#/requests${behind.size ? `?${behind}` : ""}`));
    }
    search();
  }

  follow(["requests", "error"], follows, signal);
  go({ param, query });
  return { go };
}
