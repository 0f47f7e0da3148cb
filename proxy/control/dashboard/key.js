// One API key in a sheet: make it, change it, rotate its secret, disable and delete it. A secret is shown once.

import { get, send } from "./api.js";
import { confirm, sheet, toast } from "./dialog.js";
import { h, text } from "./dom.js";
import { moment } from "./format.js";
import { copyButton, field, loading, pill, select, trouble } from "./parts.js";
import { store } from "./store.js";

export const KEYS = "/admin/auth/api-keys";

const GRACES = [[0, "at once"], [3600, "after 1 hour"], [86400, "after 1 day"], [604800, "after 7 days"]];
const LIMITS = [["requestsPerMinute", "Requests per minute"], ["requestsPerHour", "Requests per hour"], ["tokensPerMinute", "Tokens per minute"], ["concurrent", "Requests at once"], ["burstSize", "Burst"]];

const seconds = (time) => Date.parse(time) / 1000;

/** State of a key as text and tone. */
export function stateOf({ enabled, expires }, now) {
  if (!enabled) return ["Disabled", "idle"];
  return expires && seconds(expires) <= now ? ["Expired", "bad"] : ["Active", "ok"];
}

const list = (words) => words.split(",").map((each) => each.trim()).filter(Boolean);
const labels = (words) => Object.fromEntries(list(words).map((each) => [each.split("=")[0].trim(), each.split("=").slice(1).join("=").trim()]));

/** The local time of a datetime-local control. */
function local(time) {
  const at = new Date(time);
  return new Date(at - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

/** The fields of a key; without one, of a new key. */
class Form {
  constructor(key, submitted) {
    const input = (value, attributes) => h("input", { value: value ?? "", autocomplete: "off", spellcheck: "false", ...attributes });
    const { limits } = (this.key = key);
    this.name = input(key.name, { required: true, maxlength: 200 });
    this.texts = Object.fromEntries(["owner", "team", "project"].map((name) => [name, input(key[name])]));
    this.labels = input(Object.entries(key.labels ?? {}).map((each) => each.join("=")).join(", "), { placeholder: "stage=dev, region=eu" });
    this.lists = { models: input(key.models?.join(", "), { placeholder: "all" }), providers: input(key.providers?.join(", "), { placeholder: "all" }) };
    this.ended = key.expires ? local(key.expires) : "";
    this.ends = input(this.ended, { type: "datetime-local" });
    this.passes = h("input", { type: "checkbox", checked: key.scopes?.includes("passthrough") });
    this.limits = LIMITS.map(([name, words]) => [name, words, input(limits?.[name], { type: "number", min: 1, step: 1, inputmode: "numeric", placeholder: "none" })]);
    this.problem = h("p.notice", { "data-tone": "bad", role: "alert", hidden: true });
    this.save = h("button.button.primary", { type: "submit" }, key.id ? "Save" : "Make the key");
    this.element = h("form.try-form", { onsubmit: (event) => (event.preventDefault(), submitted(this)) },
      h("div.fields", {}, field("Name", this.name), field("Owner", this.texts.owner)),
      h("div.fields", {}, field("Team", this.texts.team), field("Project", this.texts.project)),
      field("Labels", this.labels, "Name and value, several separated by commas. Usage can be grouped by them."),
      h("div.fields", {}, field("Models", this.lists.models, "Names or patterns such as gpt-*"), field("Providers", this.lists.providers)),
      h("div.fields", {}, field("Expires", this.ends, "Empty: never")),
      h("label.check", {}, this.passes, "May use the native paths of providers"),
      h("fieldset", {}, h("legend", {}, "Limits of its own"), h("div.fields", {}, this.limits.map(([, words, control]) => field(words, control)))),
      this.problem, h("div.actions", {}, this.save));
  }

  /** The body of the request: of a change, `null` removes a value. */
  get body() {
    const limits = Object.fromEntries(this.limits.filter(([, , control]) => control.value !== "").map(([name, , control]) => [name, control.valueAsNumber]));
    const given = Object.keys(limits).length || this.key.limits?.enabled === false;
    return {
      name: this.name.value.trim(),
      ...Object.fromEntries(Object.entries(this.texts).map(([name, control]) => [name, control.value.trim() || null])),
      labels: labels(this.labels.value),
      ...Object.fromEntries(Object.entries(this.lists).map(([name, control]) => [name, list(control.value)])),
      scopes: this.passes.checked ? ["passthrough"] : [],
      limits: given ? { ...limits, enabled: this.key.limits?.enabled ?? true } : null,
      ...(this.ends.value === this.ended ? {} : { expires: this.ends.value ? new Date(this.ends.value).toISOString() : null }),
    };
  }

  /** Call `work` while the form cannot be submitted; an error is shown in it. */
  async submit(work) {
    this.save.disabled = true;
    this.problem.hidden = true;
    try {
      return await work();
    } catch (error) {
      text(this.problem, error.message);
      this.problem.hidden = false;
      return null;
    } finally {
      this.save.disabled = false;
    }
  }
}

/** The secret, which no request returns again. */
function secret(made, done) {
  return [
    h("div.notice", { "data-tone": "ok", role: "status" }, h("strong", {}, `The key of ${made.name}`), h("p", {}, "Copy it now: it is shown only here, and only its hash is stored.")),
    h("pre.secret", { tabindex: "0" }, made.key),
    h("div.actions", {}, copyButton(() => made.key, "Copy the key", "primary"), h("button.button", { onclick: done }, "Done")),
    made.notice && h("p.notice", { "data-tone": "warn" }, made.notice),
  ].filter(Boolean);
}

const facts = (rows) => h("dl.facts", {}, rows.filter(([, value]) => value).map(([words, value]) => h("div", {}, h("dt", {}, words), h("dd", {}, value))));

const about = (key) => facts([
  ["Id", key.id],
  ["Made", key.created && moment(seconds(key.created))],
  ["Expires", key.expires ? moment(seconds(key.expires)) : "never"],
  ["Former secret works until", seconds(key.previousUntil) > store.now && moment(seconds(key.previousUntil))],
]);

/** Open the sheet of a key, or of a `new` one, until `signal` aborts. */
export async function open(id, signal, { changed, closed }) {
  const body = h("div.sheet-body", {}, loading(5));
  const dialog = sheet(id === "new" ? "New key" : "API key", body, () => !signal.aborted && closed());
  signal.addEventListener("abort", () => dialog.close());
  const path = `${KEYS}/${encodeURIComponent(id)}`;
  const ask = async (method, where, content) => (await send(method, where, content, { signal })).json().catch(() => null);

  function reveal(made) {
    body.replaceChildren(...secret(made, () => dialog.close()));
    body.querySelector("button").focus();
    changed();
  }

  async function make(form) {
    const made = await form.submit(() => ask("POST", KEYS, Object.fromEntries(Object.entries(form.body).filter(([, value]) => value !== null))));
    if (made) reveal(made);
  }

  async function change(form) {
    const key = await form.submit(() => ask("PATCH", path, form.body));
    if (!key) return;
    toast(`${key.name} was changed.`);
    show(key);
    changed();
  }

  /** An action of a button; an error is a toast. */
  async function act(question, work) {
    if (question && !(await confirm(question))) return;
    try {
      await work();
    } catch (error) {
      if (error.name !== "AbortError") toast(error.message, "bad");
    }
  }

  function show(key) {
    const grace = select("The former secret ends", GRACES, null);
    grace.value = "3600";
    const toggle = async () => {
      show(await ask("PATCH", path, { enabled: !key.enabled }));
      changed();
    };
    const rotate = async () => reveal(await ask("POST", `${path}/rotate`, { graceSecs: Number(grace.value) }));
    const remove = async () => {
      await send("DELETE", path);
      toast(`${key.name} was deleted.`);
      changed();
      dialog.close();
    };
    const rotating = { title: `Rotate the secret of ${key.name}?`, text: "You get a new one; clients need it when the former one ends.", yes: "Rotate" };
    const disabling = key.enabled && { title: `Disable ${key.name}?`, text: "Its requests are refused until you enable it again.", yes: "Disable", grave: true };
    const deleting = { title: `Delete ${key.name}?`, text: "Its requests are refused from now on. Its usage stays in the ledger.", yes: "Delete", grave: true };
    body.replaceChildren(
      h("div.verdict", {}, pill(stateOf(key, store.now)), h("strong", {}, key.name), h("a", { href: `#/usage?key=${encodeURIComponent(key.id)}` }, "Usage")), about(key),
      ...(key.source === "configuration"
        ? [h("p.notice", { "data-tone": "idle" }, "This key is in the configuration: change it there, under auth.keys.")]
        : [
          h("div.actions", {}, h("button.button", { onclick: () => act(disabling, toggle) }, key.enabled ? "Disable" : "Enable"), h("button.button", { onclick: () => act(deleting, remove) }, "Delete")),
          h("h3", {}, "Secret"),
          h("div.actions", {}, h("button.button", { onclick: () => act(rotating, rotate) }, "Rotate"), h("span.quiet", {}, "the former one ends"), grace),
          h("h3", {}, "Settings"),
          new Form(key, change).element,
        ]));
  }

  if (id === "new") {
    const form = new Form({}, make);
    body.replaceChildren(form.element);
    return form.name.focus();
  }
  try {
    show(await get(path, { signal }));
  } catch (error) {
    if (error.name === "AbortError") return;
    body.replaceChildren(trouble(error));
  }
}
