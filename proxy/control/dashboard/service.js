// One service in a sheet: its addresses with their state and health, where they are found, and what can be changed.

import { ApiError, get, send } from "./api.js";
import { confirm, sheet, toast } from "./dialog.js";
import { h, match, text } from "./dom.js";
import { NONE, count, exactly, moment, ms } from "./format.js";
import { mistakes } from "./mistakes.js";
import { empty, field, loading, pill, trouble } from "./parts.js";
import { TECHNOLOGIES, countStates, definers, healthOf, stateOf, sum, why } from "./servicewords.js";

export const SERVICES = "/admin/services";

const EVERY = 3000;
const FEW = 8; // addresses that need no search
const MOST = 100; // cards at once
const FACTS = ["In flight", "Requests", "Failures", "Latency", "Priority", "Region", "Found in", "Last check"];

const time = (at) => h("time", { datetime: exactly(at), title: exactly(at) }, moment(at));
const dt = (name, value) => h("div", {}, h("dt", {}, name), value);

function change({ at, healthy, why: reason }) {
  const words = healthy === null ? ["Not known", "idle"] : healthy ? ["Healthy", "ok"] : ["Unhealthy", "bad"];
  return h("li", {}, time(at), pill(words), reason && h("span.quiet", {}, reason));
}

/** A form of one number that follows the value in force, but not while it is edited. */
function weightForm(label, set) {
  const control = h("input", { type: "number", min: 0, max: 1_000_000, step: "any", inputmode: "decimal", required: true, "aria-label": label, oninput: () => (edited = true) });
  let edited = false;
  const submit = async (event) => {
    event.preventDefault();
    if (await set(control.valueAsNumber)) edited = false;
  };
  return { element: h("form.weight", { onsubmit: submit }, h("span.quiet", { "aria-hidden": "true" }, "Weight"), control, h("button.button.small", {}, "Set weight")), update: (value) => edited || control === document.activeElement || (control.value = value) };
}

function addressCard({ url }, acts) {
  const [state, said] = [h("span"), h("p.said", { hidden: true })];
  const facts = Object.fromEntries(FACTS.map((name) => [name, h("dd")]));
  const weight = weightForm(`Weight of ${url}`, (value) => acts.weigh(url, value));
  const drain = h("button.button.small", { onclick: () => acts.drain(url, !drained) });
  const remove = h("button.button.small", { "aria-label": `Remove ${url}`, onclick: () => acts.remove(url) }, "Remove");
  const changes = h("ol.health-changes");
  const summary = h("summary");
  const history = h("details", { hidden: true }, summary, changes);
  let drained = false;
  const element = h("li.address", { "data-url": url }, h("div.head", {}, h("strong", {}, url), state), said, h("dl.facts", {}, FACTS.map((name) => dt(name, facts[name]))),
    h("div.actions", {}, weight.element, drain, remove), history);
  return { element, update({ address, checked, own }) {
    drained = address.drained;
    const [words, tone] = stateOf(address);
    if (state.dataset.state !== words) state.replaceChildren(pill([words, tone]));
    state.dataset.state = words;
    const reason = why(address, checked);
    said.hidden = !reason;
    said.dataset.tone = tone === "ok" || tone === "idle" ? "warn" : tone;
    text(said, reason);
    const values = [count(address.inFlight), count(address.requests), count(address.failures), ms(address.latencyMs), String(address.priority), address.region || NONE, TECHNOLOGIES[address.source] ?? "settings", checked?.checkedAt ? `${moment(checked.checkedAt)}${checked.tookMs === null ? "" : `, ${ms(checked.tookMs)}`}` : NONE];
    values.forEach((value, place) => text(facts[FACTS[place]], value));
    weight.update(address.weight);
    text(drain, drained ? "Undrain" : "Drain");
    drain.setAttribute("aria-label", `${drained ? "Undrain" : "Drain"} ${url}`);
    remove.hidden = !own;
    history.hidden = !checked?.changes.length;
    const many = checked?.changes.length ?? 0;
    text(summary, `History of its health: ${many} ${many === 1 ? "change" : "changes"}`);
    const last = checked?.changes[0]?.at ?? 0;
    if (changes.dataset.last !== String(last)) changes.replaceChildren(...(checked?.changes ?? []).map(change));
    changes.dataset.last = String(last);
  } };
}

function sourceCard({ name }) {
  const [state, words] = [h("span"), h("span.quiet")];
  return { element: h("li", {}, h("strong", {}, TECHNOLOGIES[name] ?? name), state, words), update({ up, at, error, addresses }) {
    const shown = up ? (error ? ["Answers", "warn"] : ["Up", "ok"]) : error ? ["Does not answer", "bad"] : ["Not looked up yet", "idle"];
    if (state.dataset.state !== shown[0]) state.replaceChildren(pill(shown));
    state.dataset.state = shown[0];
    text(words, [`${count(addresses)} ${addresses === 1 ? "address" : "addresses"}`, at && `last answer at ${moment(at)}`, error].filter(Boolean).join(", "));
  } };
}

/** Open the sheet of a service until `signal` aborts. `changed` is called after each change. */
export function open(name, signal, { changed, closed }) {
  const path = `${SERVICES}/${encodeURIComponent(name)}`;
  const body = h("div.sheet-body", {}, loading(5));
  let timer = 0;
  const dialog = sheet("Service", body, () => (clearInterval(timer), signal.aborted || closed()));
  signal.addEventListener("abort", () => dialog.close());
  const ended = () => signal.aborted || !dialog.open;
  const [addresses, sources] = [new Map(), new Map()];
  let version = 0; // of the service that is shown
  let listing = []; // all of its addresses
  let parts = null; // what is updated, once it was loaded
  let turn = 0;

  /** Whether the request was a success. `failed` gets an error; without it an error is a toast. */
  async function act(method, where, content, words, { headers, failed = ({ message }) => toast(message, "bad") } = {}) {
    try {
      await send(method, `${path}${where}`, content, { headers });
      toast(words);
    } catch (error) {
      if (!ended()) failed(error);
      return false;
    } finally {
      if (!ended()) load();
      changed();
    }
    return true;
  }

  const of = (url) => `/addresses?url=${encodeURIComponent(url)}`;
  const acts = {
    weigh: (url, weight) => act("PATCH", of(url), { weight }, `${url} has the weight ${weight}.`),
    async drain(url, drained) {
      if (drained && !(await confirm({ title: `Drain ${url}?`, text: "It gets no new requests until you undrain it. Running requests continue.", yes: "Drain" }))) return;
      await act("PATCH", of(url), { drained }, drained ? `${url} is drained.` : `${url} gets requests again.`);
    },
    async remove(url) {
      if (await confirm({ title: `Remove ${url}?`, text: "It gets no new requests, and is no address of this service any more.", yes: "Remove", grave: true })) await act("DELETE", of(url), undefined, `${url} was removed.`);
    },
  };

  async function removeService() {
    const headers = { "If-Match": `"${version}"` }; // what the operator saw before the question
    const failed = ({ status, message }) => toast(status === 412 ? `${name} was changed meanwhile, so it was not deleted. Look at it again.` : message, "bad");
    if (!(await confirm({ title: `Delete ${name}?`, text: "Its addresses and weights are deleted, too. This cannot be undone.", yes: "Delete", grave: true }))) return;
    if (await act("DELETE", "", undefined, `${name} was deleted.`, { headers, failed })) dialog.close();
  }

  function addForm() {
    const url = h("input", { required: true, autocomplete: "off", spellcheck: "false", placeholder: "http://backend-1:8000" });
    const weight = h("input", { type: "number", min: 0, max: 1_000_000, step: "any", inputmode: "decimal", required: true, value: 1 });
    const problems = mistakes({ url, weight });
    const submit = async (event) => {
      event.preventDefault();
      problems.clear();
      const words = url.value.trim();
      if (listing.some((each) => each.url === words)) return problems.show(new ApiError(409, "The service has this address already.", { error: { param: "url" } })); // it would be replaced
      if (await act("POST", "/addresses", { url: words, weight: weight.valueAsNumber }, `${words} was added.`, { failed: problems.show })) url.value = "";
    };
    return h("form.try-form", { onsubmit: submit }, h("div.fields", {}, field("Address", url), field("Weight", weight)), problems.element, h("div.actions", {}, h("button.button", {}, "Add the address")));
  }

  function build(service) {
    const file = service.source === "file";
    const [state, routes] = [h("span"), h("dd")];
    const facts = Object.fromEntries(["Strategy", "Health checks", "In flight", "Requests", "Failures"].map((each) => [each, h("dd")]));
    const weight = weightForm(`Weight of ${name}`, (value) => act("PUT", "/weight", { weight: value }, `${name} has the weight ${value}.`));
    const [list, found] = [h("ul.addresses"), h("ul.found")];
    const heads = h("h3", {}, "Where addresses are found");
    const none = h("p.quiet", {}, "None: its requests get status 503.");
    const search = h("input", { type: "search", placeholder: "URL, region or state", "aria-label": "Find an address", oninput: drawAddresses });
    const [tally, rest] = [h("p.quiet"), h("p.quiet", { hidden: true })];
    const defined = file ? h("p.notice", { "data-tone": "idle" }, "This service is in the configuration: change it there. Weights can be set here, and addresses drained.") : h("p.quiet", {}, `Defined ${definers[service.source]}.`);
    body.replaceChildren(
      h("div.verdict", {}, state, h("strong", {}, name)), defined,
      h("dl.facts", {}, Object.entries(facts).map((each) => dt(...each)), dt("Routes", routes)),
      h("div.actions", {}, weight.element, !file && h("button.button.small", { onclick: removeService }, "Delete the service")),
      h("p.hint", {}, "The weight is the share of this service in routes that are split without weights of their own."),
      h("h3", {}, "Addresses"), tally, none, search, list, rest, ...(file ? [] : [addForm()]), heads, found);
    return { state, facts, routes, weight, list, found, heads, none, search, tally, rest };
  }

  /** Those that match the search. All cards of a large service would be slow to update. */
  function drawAddresses() {
    const words = parts.search.value.trim().toLowerCase();
    const found = listing.filter(({ address }) => [address.url, address.region, stateOf(address)[0]].some((each) => each.toLowerCase().includes(words)));
    match(parts.list, addresses, found.slice(0, MOST), ({ url }) => url, (each) => addressCard(each, acts));
    const more = found.length > MOST && `The first ${MOST} of ${count(found.length)}: search for others.`;
    text(parts.rest, listing.length && !found.length ? "No address matches." : more || "");
    parts.rest.hidden = !parts.rest.textContent;
  }

  function draw(service, health) {
    parts ??= build(service);
    version = service.version;
    const checked = new Map(health.addresses.map((each) => [each.url, each]));
    if (parts.state.dataset.health !== service.health) parts.state.replaceChildren(pill(healthOf(service)));
    parts.state.dataset.health = service.health;
    const values = [service.settings.strategy ?? "weighted", health.checks ? health.checks.path : "none", count(sum(service.addresses, "inFlight")), count(sum(service.addresses, "requests")), count(sum(service.addresses, "failures"))];
    Object.values(parts.facts).forEach((element, place) => text(element, values[place].replaceAll("_", " ")));
    text(parts.routes, service.routes.join(", ") || "none");
    parts.weight.update(service.weight);
    parts.none.hidden = service.addresses.length > 0;
    const own = service.source !== "file";
    listing = service.addresses.map((address) => ({ address, url: address.url, checked: checked.get(address.url), own: own && address.source === "settings" }));
    text(parts.tally, countStates(service.addresses));
    parts.tally.hidden = listing.length < 2;
    parts.search.hidden = listing.length <= FEW && !parts.search.value;
    drawAddresses();
    const listed = Object.entries(service.sources).map(([each, state]) => ({ name: each, ...state }));
    parts.heads.hidden = parts.found.hidden = !listed.length;
    match(parts.found, sources, listed, (each) => each.name, sourceCard);
  }

  async function load() {
    const mine = ++turn;
    try {
      const [service, health] = await Promise.all([get(path, { signal }), get(`${path}/health`, { signal })]);
      if (mine === turn && !ended()) draw(service, health);
    } catch (error) {
      if (error.name === "AbortError" || mine !== turn || ended()) return;
      if (error.status === 404) {
        parts = null;
        addresses.clear();
        sources.clear();
        body.replaceChildren(empty("There is no such service", "It was deleted, or its name is another one."));
      } else if (!parts) body.replaceChildren(trouble(error, load));
    }
  }

  load();
  timer = setInterval(() => document.hidden || load(), EVERY);
}
