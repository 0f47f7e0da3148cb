// Elements that several pages use.

import { h, text } from "./dom.js";
import { NONE, cost, count } from "./format.js";
import { icon } from "./icons.js";

/** The head of a page: title, a note that may change, and actions. */
export function heading(title, ...tools) {
  const note = h("p.note");
  return { element: h("header.page-head", {}, h("div", {}, h("h1", {}, title), note), h("div.tools", {}, tools)), note: (words) => text(note, words) };
}

/** Color and text: never color alone. */
export function pill([words, tone]) {
  return h("span.pill", { "data-tone": tone }, words);
}

export function empty(title, ...words) {
  return h("div.empty", {}, h("h2", {}, title), words.map((each) => (typeof each === "string" ? h("p", {}, each) : each)));
}

export function loading(rows = 4) {
  return h("div.loading", { role: "status" }, h("span.hidden", {}, "Loading"), Array.from({ length: rows }, () => h("div.bone")));
}

export function trouble(error, again) {
  return h("div.empty.trouble", { role: "alert" }, icon("alert"), h("h2", {}, "This could not be loaded"), h("p", {}, error.message),
    again && h("button.button", { onclick: again }, "Try again"));
}

/** A table; `columns` are `[text, class]`. Roles are explicit, because narrow screens show rows as cards. */
export function table(caption, columns) {
  const body = h("tbody", { role: "rowgroup" });
  const heads = columns.map(([words, kind]) => h("th", { scope: "col", role: "columnheader", class: kind }, words || h("span.hidden", {}, "Actions")));
  const element = h("div.table", {},
    h("table", { role: "table" }, h("caption.hidden", {}, caption), h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, heads)), body));
  return { element, body };
}

export function row(columns, cells, attributes = {}) {
  return h("tr", { role: "row", ...attributes },
    cells.map((cell, place) => h("td", { role: "cell", class: columns[place][1], "data-label": columns[place][0] }, cell)));
}

export function field(label, control, hint) {
  const id = `f-${label.toLowerCase().replaceAll(/[^a-z]+/g, "-")}`;
  control.id ||= id;
  const description = hint && h("span.hint", { id: `${control.id}-hint` }, hint);
  if (description) control.setAttribute("aria-describedby", description.id);
  return h("div.field", {}, h("label", { for: control.id }, label), control, description);
}

/** A select of `[value, text]`, with a label for screen readers. */
export function select(label, options, onchange) {
  return h("select", { "aria-label": label, onchange }, options.map(([value, words]) => h("option", { value }, words)));
}

/** The cost of summed usage; where the usage or the price of some attempts is not known, it says of how many. */
export function spent(sums) {
  const known = sums.cost_nano + sums.cost_estimated_nano;
  const open = sums.unknown + sums.unpriced;
  return [open && !known ? NONE : `${sums.cost_estimated_nano ? "about " : ""}${cost(known)}`, open > 0 && h("small", {}, `${count(open)} unknown`)];
}

/** A button that copies what `content` returns. */
export function copyButton(content, label = "Copy", size = "small") {
  const words = h("span", {}, label);
  const button = h("button", { class: `button ${size}`, type: "button", onclick: async () => {
    const done = await copy(content());
    text(words, done ? "Copied" : "Press Ctrl+C");
    setTimeout(() => text(words, label), 2000);
  } }, icon("copy"), words);
  return button;
}

/** The clipboard API exists on secure origins only; elsewhere the text is selected and copied. */
async function copy(content) {
  try {
    await navigator.clipboard.writeText(content);
    return true;
  } catch {
    const area = h("textarea.hidden", { "aria-hidden": "true", value: content });
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}
