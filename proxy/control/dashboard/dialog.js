// Confirmations, sheets and toasts. The browser's dialog element manages the focus.

import { h } from "./dom.js";
import { icon } from "./icons.js";

/** Resolves to whether the user confirmed. */
export function confirm({ title, text, yes, grave = false }) {
  return new Promise((resolve) => {
    const dialog = h("dialog.ask", { "aria-labelledby": "ask-title", onclose: () => (raiseToasts(), dialog.remove(), resolve(dialog.returnValue === "yes")) },
      h("form", { method: "dialog" },
        h("h2", { id: "ask-title" }, title),
        h("p", {}, text),
        h("div.actions", {},
          h("button.button", { value: "no", autofocus: true }, "Cancel"),
          h("button", { class: `button primary ${grave ? "grave" : ""}`, value: "yes" }, yes))));
    document.body.append(dialog);
    dialog.showModal();
    raiseToasts();
  });
}

/** A sheet at the right edge; `closed` is called however it is closed. */
export function sheet(title, content, closed) {
  const dialog = h("dialog.sheet", { "aria-labelledby": "sheet-title", onclose: () => (raiseToasts(), dialog.remove(), closed()) },
    h("header", {},
      h("h2", { id: "sheet-title" }, title),
      h("button.button.quiet.square", { "aria-label": "Close", onclick: () => dialog.close() }, icon("close"))),
    content);
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  document.body.append(dialog);
  dialog.showModal();
  raiseToasts();
  return dialog;
}

/** Move the toasts into the topmost dialog: the browser shows everything else below it, and screen readers skip it. */
function raiseToasts() {
  const toasts = document.getElementById("toasts");
  const top = [...document.querySelectorAll("dialog[open]")].at(-1) ?? document.body;
  if (toasts.parentElement !== top) top.append(toasts);
}

/** A message at the foot of the page that disappears by itself; screen readers announce it. */
export function toast(words, tone = "ok") {
  const element = h("div.toast", { "data-tone": tone }, icon(tone === "bad" ? "alert" : "done"), h("span", {}, words));
  document.getElementById("toasts").append(element);
  setTimeout(() => element.remove(), tone === "bad" ? 8000 : 4000);
}
