// The configuration in force with masked secrets, its reload, and the log level.

import { get, post } from "./api.js";
import { toast } from "./dialog.js";
import { h } from "./dom.js";
import { icon } from "./icons.js";
import { copyButton, heading, loading, select, trouble } from "./parts.js";
import { store } from "./store.js";

const LEVELS = ["debug", "info", "warning", "error"].map((level) => [level, `Log: ${level}`]);
const TOKEN = /("(?:[^"\\]|\\.)*")(\s*:)?|\b(?:true|false|null)\b|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;

/** JSON as text nodes, with a class for each kind of token. */
function tinted(value) {
  const words = JSON.stringify(value, null, 2);
  const parts = [];
  let place = 0;
  for (const found of words.matchAll(TOKEN)) {
    const [token, string, colon] = found;
    parts.push(words.slice(place, found.index), h("span", { class: colon ? "key" : string ? "string" : "literal" }, colon ? string : token), colon ?? "");
    place = found.index + token.length;
  }
  return [...parts, words.slice(place)];
}

const size = (value) => (Array.isArray(value) ? value.length : value && typeof value === "object" ? Object.keys(value).length : null);

function section([name, value]) {
  const entries = size(value);
  if (entries === null) return h("div.setting", {}, h("span.key", {}, name), h("code", {}, tinted(value)));
  return h("details.setting", { open: entries > 0 && entries <= 24 },
    h("summary", {}, h("span.key", {}, name), h("span.quiet", {}, `${entries} ${entries === 1 ? "entry" : "entries"}`)),
    h("pre", { tabindex: "0" }, h("code", {}, tinted(value))));
}

function mistakes(error) {
  const found = error.body?.error?.mistakes ?? error.body?.mistakes ?? [];
  return h("div.notice", { "data-tone": "bad", role: "alert" },
    h("strong", {}, error.message), found.length > 0 && h("ul", {}, found.map((each) => h("li", {}, each))), h("p", {}, "The running configuration is unchanged."));
}

function notices(found) {
  return h("div.notice", { "data-tone": found.length ? "warn" : "ok", role: "status" },
    h("strong", {}, "The configuration was loaded."), found.length > 0 && h("ul", {}, found.map((each) => h("li", {}, each))));
}

export const title = "Config";

export function show(root, { signal }) {
  let shown = null;
  const level = select("Log level", LEVELS, setLevel);
  const again = h("button.button", { onclick: reload }, icon("again"), "Reload");
  const head = heading(title, level, copyButton(() => JSON.stringify(shown?.config, null, 2), "Copy", ""), again);
  const result = h("div");
  const waits = h("div");
  const body = h("div.settings", {}, loading(8));
  root.append(head.element, result, waits, body);

  async function load() {
    try {
      shown = await get("/admin/config", { signal });
    } catch (error) {
      if (error.name !== "AbortError") body.replaceChildren(trouble(error, load));
      return;
    }
    head.note(shown.path ? `From ${shown.path}. Secrets are masked.` : "Secrets are masked.");
    level.value = shown.config.logging?.level ?? "info";
    waits.replaceChildren(...(shown.waitsForStart?.length ? [h("p.notice", { "data-tone": "warn" }, "Changes that take effect at the next start: ", h("code", {}, shown.waitsForStart.join(", ")))] : []));
    body.replaceChildren(...Object.entries(shown.config).map(section));
  }

  async function reload() {
    again.disabled = true;
    try {
      result.replaceChildren(notices((await post("/admin/reload")).notices ?? []));
      await load();
    } catch (error) {
      result.replaceChildren(mistakes(error));
    }
    again.disabled = false;
  }

  async function setLevel() {
    try {
      toast(`The log level is ${(await post("/admin/log-level", { level: level.value })).level}.`);
    } catch (error) {
      toast(error.message, "bad");
    }
  }

  store.live.addEventListener("reload", load, { signal });
  load();
}
