// Forms in a sheet: a new service, and a new route.

import { ApiError, get, send } from "./api.js";
import { sheet, toast } from "./dialog.js";
import { h } from "./dom.js";
import { entries, mistakes } from "./mistakes.js";
import { field } from "./parts.js";
import { SERVICES } from "./service.js";

// No service can have these names.
export const NEW_SERVICE = "+service";
export const NEW_ROUTE = "+route";

// A form only adds: PUT, or a second POST of a route, would replace what is there.
const NEW = { headers: { "If-None-Match": "*" } };
const input = (attributes = {}) => h("input", { autocomplete: "off", spellcheck: "false", ...attributes });

function serviceForm() {
  const name = input({ required: true, maxlength: 100 });
  const addresses = h("textarea", { rows: 4, required: true, spellcheck: "false", placeholder: "http://backend-1:8000" });
  const check = input({ placeholder: "/health" });
  return {
    title: "Add a service", yes: "Add the service",
    fields: [field("Name", name), field("Addresses", addresses, "One on each line. Weights can be changed afterwards."), field("Health check", check, "A path that healthy addresses answer. Empty: no checks")],
    controls: { name, addresses, "health.path": check },
    body: () => ({ name: name.value.trim(), addresses: entries(addresses.value).map((url) => ({ url })), ...(check.value.trim() ? { health: { path: check.value.trim() } } : {}) }),
    path: SERVICES,
    taken: ({ name: words }) => ["name", `There is a service ${words} already.`],
    done: (made) => [`${made.name} was added.`, `#/services/${encodeURIComponent(made.name)}`],
  };
}

function routeForm(signal) {
  const known = h("datalist", { id: "known-services" });
  const path = input({ required: true, placeholder: "/api/v1" });
  const service = input({ required: true, list: "known-services" });
  const methods = input({ placeholder: "all" });
  const host = input({ placeholder: "any" });
  const strip = h("input", { type: "checkbox" });
  const open = h("input", { type: "checkbox" });
  get(`${SERVICES}?limit=1000`, { signal }).then(({ data }) => known.replaceChildren(...data.map((each) => h("option", { value: each.name }))), () => {}); // it can be typed
  return {
    title: "Add a route", yes: "Add the route",
    fields: [field("Path", path, "It and all below it, by whole segments"), field("Service", service), known,
      h("div.fields", {}, field("Methods", methods, "Such as GET, POST"), field("Host", host, "A name, or *. before one")),
      h("label.check", {}, strip, "Remove this path from requests"), h("label.check", {}, open, "Public: no credential is needed")],
    controls: { path, service, methods, host },
    body: () => ({ path: path.value.trim(), service: service.value.trim(), methods: entries(methods.value), host: host.value.trim(), strip: strip.checked, public: open.checked }),
    path: "/admin/routes",
    taken: () => ["path", "There is such a route already. Delete it first to replace it."],
    done: ({ host, path: prefix, service: target, missing }) => [`Requests for ${host}${prefix} go to ${target}${missing.length ? ", which is not defined yet: they get status 503" : ""}.`, "#/services"],
  };
}

const TAKEN = ["service_exists", "configured_service", "configured_route", "precondition_failed"];

/** The error of a name or a path that is taken, in words for people. */
const taken = ([param, message]) => new ApiError(409, message, { error: { param } });

/** Open a form until `signal` aborts. `changed` is called after it was sent. */
export function openForm(name, signal, { changed, closed }) {
  const form = name === NEW_SERVICE ? serviceForm() : routeForm(signal);
  const problems = mistakes(form.controls);
  const save = h("button.button.primary", { type: "submit" }, form.yes);
  const element = h("form.try-form", { onsubmit: submit }, form.fields, problems.element, h("div.actions", {}, save));
  const dialog = sheet(form.title, h("div.sheet-body", {}, element), () => !signal.aborted && closed());
  signal.addEventListener("abort", () => dialog.close());
  element.querySelector("input").focus();

  async function submit(event) {
    event.preventDefault();
    save.disabled = true;
    problems.clear();
    const body = form.body();
    try {
      const [words, where] = form.done(await (await send("POST", form.path, body, NEW)).json());
      toast(words);
      if (signal.aborted) return;
      changed();
      location.hash = where;
    } catch (error) {
      problems.show(TAKEN.includes(error.body?.error?.code) ? taken(form.taken(body)) : error);
    }
    save.disabled = false;
  }
}
