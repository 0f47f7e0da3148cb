// Errors of the API next to the fields of a form that they are about.

import { h, text } from "./dom.js";

/** The entries of a field that holds several: separated by spaces, commas or line ends. */
export const entries = (words) => words.split(/[\s,]+/).filter(Boolean);

const sentence = (words) => `${words[0].toUpperCase()}${words.slice(1)}${/[.!?]$/.test(words) ? "" : "."}`;

/** `[field, text]` of each mistake; the field is "" where the API names none. */
function mistakesOf({ message, body }) {
  const { code, param } = body?.error ?? {};
  if (code !== "invalid_parameters") return [[param ?? "", message]];
  return message.split(/; (?=[\w.[\]-]+: )/).map((each) => /^([\w.[\]-]+): ([^]+)$/.exec(each)?.slice(1) ?? ["", each]);
}

/**
 * What shows the mistakes of a form. `fields`: controls by the API's names, such as `health.path`. What belongs to none
 * of them is shown in `element`.
 */
export function mistakes(fields) {
  const element = h("p.notice", { "data-tone": "bad", role: "alert", hidden: true });

  function clear() {
    element.hidden = true;
    for (const control of Object.values(fields)) {
      control.removeAttribute("aria-invalid");
      control.parentElement.querySelector(".mistake")?.remove();
      const hint = document.getElementById(`${control.id}-hint`);
      if (hint) control.setAttribute("aria-describedby", hint.id);
      else control.removeAttribute("aria-describedby");
    }
  }

  /** `field`: "addresses[1].url" is of the control `addresses`, and of its second entry. */
  function place(field, words) {
    const name = Object.keys(fields).find((each) => field === each || field.startsWith(`${each}[`) || field.startsWith(`${each}.`));
    if (!name) return null;
    const control = fields[name];
    const number = /^\[(\d+)\]/.exec(field.slice(name.length))?.[1];
    const entry = number && entries(control.value)[number];
    const line = entry ? `${entry}: ${words}${/[.!?]$/.test(words) ? "" : "."}` : sentence(words);
    let list = control.parentElement.querySelector(".mistake");
    if (!list) {
      list = h("span.mistake", { id: `${control.id}-mistake` });
      control.after(list);
      control.setAttribute("aria-describedby", [list.id, control.getAttribute("aria-describedby")].filter(Boolean).join(" "));
      control.setAttribute("aria-invalid", "true");
    }
    list.append(h("span", {}, line));
    return control;
  }

  function show(error) {
    clear();
    const others = [];
    const controls = mistakesOf(error).map(([field, words]) => {
      const control = place(field, words);
      if (!control) others.push(field ? `${field}: ${words}` : words);
      return control;
    });
    controls.find(Boolean)?.focus();
    text(element, others.join(" "));
    element.hidden = !others.length;
  }

  return { element, clear, show };
}
