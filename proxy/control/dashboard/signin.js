// Sign-in with the admin token. Nothing else of the dashboard is loaded before.

import { post } from "./api.js";
import { h, text } from "./dom.js";
import { span } from "./format.js";
import { field } from "./parts.js";

const WRONG = "That is not the admin token.";

export function show(root, { entered, over }) {
  const token = h("input", { type: "password", id: "token", name: "token", autocomplete: "current-password", required: true });
  const problem = h("p.notice", { "data-tone": "bad", role: "alert", hidden: true });
  const button = h("button.button.primary", { type: "submit" }, "Sign in");

  async function enter(event) {
    event.preventDefault();
    button.disabled = true;
    problem.hidden = true;
    try {
      await post("/admin/login", { token: token.value.trim() });
      entered();
    } catch (error) {
      text(problem, error.status === 401 ? WRONG : error.status === 429 ? `Too many attempts. Try again in ${span(error.retryAfter || 5)}.` : error.message);
      problem.hidden = false;
      button.disabled = false;
      token.select();
    }
  }

  root.append(h("div.signin", {},
    h("h1", {}, "Sign in"),
    h("p.quiet", {}, over ? "Your session has ended." : "The dashboard shows what the gateway is doing."),
    h("form.card", { onsubmit: enter }, h("input.hidden", { name: "username", value: "admin", autocomplete: "username", tabindex: "-1", "aria-hidden": "true" }), field("Admin token", token), problem, button),
    h("p.hint", {}, "It is ", h("code", {}, "admin.token"), " of the configuration. Where none is set, the gateway made one at its first start: it stands in the file ", h("code", {}, "admin-token"), " of the data folder, and the start prints a link that signs you in.")));
  token.focus();
}
