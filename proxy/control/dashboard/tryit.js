// Send a prompt through the gateway and show the answer token by token, its provider, and its speed.

import { failure, get } from "./api.js";
import { APIS } from "./apis.js";
import { h, text } from "./dom.js";
import { NONE, costOf, count, ms, rate } from "./format.js";
import { icon } from "./icons.js";
import { copyButton, field, heading, pill, select } from "./parts.js";
import { curl, program } from "./snippets.js";
import { events } from "./sse.js";
import { plain } from "./words.js";

const REMEMBERED = "sluice-try";
const HEADERS = { "x-router-metadata": "true", "x-router-decision": "true" };

/** Names with commas become a list; no name lets the gateway choose. */
function spec(words) {
  const names = list(words);
  return names.length > 1 ? names : (names[0] ?? "auto");
}

const list = (words) => words.split(",").map((each) => each.trim()).filter(Boolean);

class Form {
  constructor(changed) {
    const input = (attributes) => h("input", { autocomplete: "off", spellcheck: "false", ...attributes });
    this.api = select("API", Object.entries(APIS).map(([value, api]) => [value, api.name]));
    this.model = input({ id: "try-model", list: "try-models", placeholder: "auto" });
    this.tags = input({ placeholder: "code, german" });
    this.type = input({ list: "try-types", placeholder: "any" });
    this.context = input({ type: "number", min: 0, step: 1, inputmode: "numeric", placeholder: "any" });
    this.fast = h("input", { type: "checkbox", id: "try-fast" });
    this.temperature = input({ type: "number", min: 0, max: 2, step: 0.1, inputmode: "decimal", placeholder: "default" });
    this.most = input({ type: "number", min: 1, step: 1, inputmode: "numeric", placeholder: "default" });
    this.stream = h("input", { type: "checkbox", id: "try-stream", role: "switch", checked: true });
    this.system = h("textarea", { rows: 2, placeholder: "Optional" });
    this.user = h("textarea", { rows: 4 });
    this.names = h("datalist", { id: "try-models" });
    this.types = h("datalist", { id: "try-types" });
    this.send = h("button.button.primary", { type: "submit" }, icon("tryit"), "Send");
    this.stop = h("button.button", { type: "button", hidden: true }, icon("close"), "Stop");
    this.element = h("form.card.try-form", { "aria-label": "Request", oninput: changed },
      this.names, this.types,
      h("div.fields", {}, field("Model", this.model, "A name, several separated by commas, or auto"), field("API", this.api)),
      h("details.filters", {}, h("summary", {}, "Filters"),
        h("div.fields", {}, field("Tags", this.tags), field("Type", this.type), field("Minimum context", this.context),
          h("label.check", {}, this.fast, "Prefer a short time to the first token"))),
      h("div.fields", {}, field("Temperature", this.temperature), field("Max tokens", this.most), h("label.check", {}, this.stream, "Stream")),
      field("System prompt", this.system), field("Prompt", this.user),
      h("div.actions", {}, this.send, this.stop, h("span.hint.keys", {}, "Ctrl + Enter sends")));
    this.element.addEventListener("keydown", (event) => event.key === "Enter" && (event.ctrlKey || event.metaKey) && this.element.requestSubmit());
    this.#restore();
  }

  /** Offer the models of the gateway. */
  async suggest(signal) {
    const found = await get("/admin/models", { signal }).catch(() => null);
    if (!found) return;
    const names = new Set(["auto", ...found.data.map((each) => each.id), ...(found.models ?? []).map((each) => `${each.provider}/${each.name}`)]);
    const types = new Set(["fast", ...(found.models ?? []).map((each) => each.type)]);
    this.names.replaceChildren(...[...names].map((value) => h("option", { value })));
    this.types.replaceChildren(...[...types].map((value) => h("option", { value })));
  }

  /** The request: `path` below /v1/, `body`, `headers`, and the name of its `api`. */
  get request() {
    const number = (control) => (control.value === "" || Number.isNaN(control.valueAsNumber) ? undefined : control.valueAsNumber);
    const tags = list(this.tags.value);
    const values = {
      model: spec(this.model.value),
      system: this.system.value.trim(),
      user: this.user.value,
      temperature: number(this.temperature),
      most: number(this.most),
      stream: this.stream.checked,
      criteria: {
        tags: tags.length ? tags : undefined,
        type: this.type.value.trim() || undefined,
        min_context_size: number(this.context),
        prefer_fast: this.fast.checked || undefined,
      },
    };
    return { api: this.api.value, stream: values.stream, ...APIS[this.api.value].request(values) };
  }

  remember() {
    try {
      const { model, system, user, api } = this;
      sessionStorage.setItem(REMEMBERED, JSON.stringify([model.value, system.value, user.value, api.value]));
    } catch {
      // Storage may be disabled: then nothing is stored.
    }
  }

  #restore() {
    let kept = null;
    try {
      kept = JSON.parse(sessionStorage.getItem(REMEMBERED));
    } catch {
      // See above.
    }
    [this.model.value, this.system.value, this.user.value] = kept ?? ["", "", "Explain in three sentences how a sluice works."];
    this.api.value = kept?.[3] in APIS ? kept[3] : "chat";
  }
}

/** Measures one answer and shows the result. */
class Meter {
  constructor() {
    this.begun = performance.now();
    this.first = null;
    this.pieces = 0;
    this.usage = null;
  }

  piece() {
    this.pieces += 1;
    this.first ??= performance.now();
  }

  /** Add counts of tokens: an API may report those of input and output apart. */
  count(usage) {
    if (usage && Object.keys(usage).length) this.usage = { ...this.usage, ...usage };
  }

  figures(ended) {
    const tokens = this.usage?.output ?? null;
    const seconds = (ended - (this.first ?? ended)) / 1000;
    const speed = (tokens ?? this.pieces) / seconds;
    return [
      ["Time to first token", this.first === null ? NONE : ms(this.first - this.begun)],
      ["Tokens per second", this.pieces > 1 && seconds > 0 ? `${tokens === null ? "about " : ""}${rate(speed)}` : NONE],
      ["Duration", ms(ended - this.begun)],
      ["Tokens", this.usage ? `${count(this.usage.input)} in, ${count(tokens)} out` : NONE],
    ];
  }
}

class Answer {
  constructor() {
    this.state = pill(["Ready", "idle"]);
    this.figures = h("dl.totals.figures-row");
    this.thoughts = h("p.thoughts");
    this.thinking = h("details", { hidden: true, open: true }, h("summary", {}, "Reasoning"), this.thoughts);
    this.words = h("p.answer");
    this.notice = h("p.notice", { "data-tone": "bad", role: "alert", hidden: true });
    this.router = h("div.router");
    this.announced = h("p.hidden", { role: "status" });
    this.element = h("section.card.try-answer", { "aria-labelledby": "try-answer" },
      h("header", {}, h("h2", { id: "try-answer" }, "Answer"), this.state), this.figures, this.thinking, this.words, this.notice, this.router, this.announced);
    this.showFigures(new Meter(), null);
    text(this.words, "");
    this.words.dataset.empty = "The answer appears here, token by token.";
  }

  begin() {
    for (const each of [this.words, this.thoughts, this.notice]) text(each, "");
    this.notice.hidden = this.thinking.hidden = true;
    this.router.replaceChildren();
    this.words.dataset.empty = "";
    this.setState("Waiting", "warn");
  }

  setState(words, tone) {
    text(this.state, words);
    this.state.dataset.tone = tone;
  }

  showFigures(meter, ended) {
    const figures = ended === null ? meter.figures(meter.begun).map(([words]) => [words, NONE]) : meter.figures(ended);
    this.figures.replaceChildren(...figures.map(([words, value]) => h("div", {}, h("dt", {}, words), h("dd", {}, value))));
  }

  add({ content, reasoning }) {
    if (reasoning) {
      this.thinking.hidden = false;
      this.thoughts.append(reasoning);
    }
    if (content) this.words.append(content);
  }

  fail(words) {
    this.notice.hidden = false;
    text(this.notice, words);
  }

  /** The `_router` object, or the response headers if there is none. */
  route(router, id) {
    const errors = (router.errors ?? []).map((each) => `${each.provider}/${each.model_name}: ${plain(each.error)}${each.message ? `, ${each.message}` : ""}`);
    const rows = [
      ["Provider", router.provider],
      ["Model", router.model_name],
      ["Attempts", String(router.attempts ?? "")],
      ["Fallback", router.fallback_used ? "used" : "not used"],
      ["Cost", router.cost_usd !== undefined && costOf(router.cost_usd)],
    ].filter(([, value]) => value);
    this.router.replaceChildren(
      h("h3", {}, h("code", {}, "_router")),
      h("dl.facts", {}, rows.map(([words, value]) => h("div", {}, h("dt", {}, words), h("dd", {}, value)))),
      ...(errors.length ? [h("ul.list", {}, errors.map((each) => h("li", {}, each)))] : []),
      ...(id ? [h("a", { href: `#/requests/${encodeURIComponent(id)}` }, "Show the waterfall of this request")] : []));
  }
}

function routerFromHeaders(answer) {
  const of = (name) => answer.headers.get(`x-router-${name}`);
  return { provider: of("provider"), model_name: of("model"), attempts: of("attempts"), fallback_used: of("fallback-used") === "true" };
}

/** Read the answer into `shown` and `meter`. Throws an error with a message for the user. */
async function read(answer, api, shown, meter) {
  if (!answer.headers.get("Content-Type")?.startsWith("text/event-stream")) return readComplete(await answer.json(), api, shown, meter);
  let router = null;
  for await (const event of events(answer.body)) {
    if (event.comment?.startsWith("_router ")) router = JSON.parse(event.comment.slice(8));
    if (event.data === undefined || event.data === "[DONE]") continue;
    const chunk = JSON.parse(event.data);
    if (chunk.error) throw new Error(chunk.error.message);
    const said = api.read(chunk);
    meter.count(said.usage);
    if (said.content || said.reasoning) {
      meter.piece();
      shown.setState("Streaming", "warn");
      shown.add(said);
      shown.showFigures(meter, performance.now());
    }
  }
  return router;
}

function readComplete(body, api, shown, meter) {
  const said = api.read(body);
  meter.count(said.usage);
  shown.add(said.content || said.reasoning ? said : { content: JSON.stringify(body, null, 2) });
  return body._router ?? null;
}

async function run({ api, path, body, headers }, shown, signal) {
  const meter = new Meter();
  shown.begin();
  let [words, tone, router, id, fromHeaders] = ["Done", "ok", null, null, null];
  try {
    const request = { path, body, headers: { ...HEADERS, ...headers } };
    const answer = await fetch("/admin/try", { method: "POST", signal, headers: { "Content-Type": "application/json" }, body: JSON.stringify(request) });
    id = answer.headers.get("x-request-id");
    fromHeaders = routerFromHeaders(answer);
    if (!answer.ok) throw await failure(answer, "/admin/try");
    router = await read(answer, APIS[api], shown, meter);
  } catch (error) {
    [words, tone] = error.name === "AbortError" ? ["Stopped", "idle"] : ["Failed", "bad"];
    if (tone === "bad") shown.fail(error instanceof TypeError ? "The gateway does not respond. Is it running?" : error.message);
  }
  shown.setState(words, tone);
  shown.showFigures(meter, performance.now());
  text(shown.announced, `${words}.`);
  if (router ?? (fromHeaders?.attempts && fromHeaders)) shown.route(router ?? fromHeaders, id);
}

const LANGUAGES = [["curl", curl], ["Python", program]];

function snippets(request) {
  let write = curl;
  const code = h("code");
  const draw = () => {
    for (const button of buttons) button.setAttribute("aria-pressed", String(button.write === write));
    text(code, write(request(), location.origin));
  };
  const buttons = LANGUAGES.map(([words, of]) => Object.assign(h("button.chip", { type: "button", onclick: () => ((write = of), draw()) }, words), { write: of }));
  const element = h("section.card.snippets", { "aria-labelledby": "try-code" },
    h("header", {}, h("h2", { id: "try-code" }, "The same call from a client"), h("div.chips", { role: "group", "aria-label": "Language" }, buttons), copyButton(() => code.textContent)),
    h("pre", { tabindex: "0" }, code));
  return { element, draw };
}

export const title = "Try it";

export function show(root, { signal }) {
  let running = null;
  const form = new Form(() => (form.remember(), code.draw()));
  const shown = new Answer();
  const code = snippets(() => form.request);
  const head = heading(title);
  head.note("Runs through the gateway like any request, but without rate limits.");
  root.append(head.element, h("div.try", {}, form.element, h("div.column", {}, shown.element, code.element)));

  form.element.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (running) return;
    running = new AbortController();
    const started = running;
    form.send.disabled = true;
    form.stop.hidden = false;
    await run(form.request, shown, AbortSignal.any([running.signal, signal]));
    if (running === started) running = null;
    form.send.disabled = false;
    form.stop.hidden = true;
  });
  form.stop.addEventListener("click", () => running?.abort());
  code.draw();
  form.suggest(signal);
}
