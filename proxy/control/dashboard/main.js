// The frame of the dashboard: navigation, state of the connection, theme, sign-in and sign-out.

import { get, post, session } from "./api.js";
import { h, text } from "./dom.js";
import { moment, showIn } from "./format.js";
import { icon } from "./icons.js";
import { store } from "./store.js";
import { toast } from "./dialog.js";
import * as budgets from "./budgets.js";
import * as config from "./config.js";
import * as events from "./events.js";
import * as keys from "./keys.js";
import * as limits from "./limits.js";
import * as models from "./models.js";
import * as overview from "./overview.js";
import * as requests from "./requests.js";
import * as services from "./services.js";
import * as signin from "./signin.js";
import * as tryit from "./tryit.js";
import * as usage from "./usage.js";

const PAGES = { overview, models, requests, usage, budgets, keys, limits, services, events, try: tryit, config };
const LABELS = { keys: "Keys", limits: "Limits" };
const ICONS = { try: "tryit" };
const THEMES = ["system", "light", "dark"];
const LINK = { live: "Live", reconnecting: "Reconnecting", connecting: "Connecting", off: "Signed out" };

const main = document.getElementById("main");
const shell = document.getElementById("shell");
let leave = new AbortController();
let shown = null; // the shown page; its `go` changes the address within the page
let within = false;

// -- navigation ---------------------------------------------------------------------------------------

/** `#/requests/ID?outcome=error` -> its parts */
function route() {
  const [path, query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const [name, ...rest] = path.split("/");
  return { name: Object.hasOwn(PAGES, name) ? name : "overview", param: decodeURIComponent(rest.join("/")), query: new URLSearchParams(query) };
}

function turn() {
  leave.abort();
  leave = new AbortController();
  delete main.dataset.page;
  main.replaceChildren();
}

function navigate(event) {
  if (!within) return;
  const { name, param, query } = route();
  if (main.dataset.page === name && shown?.go) return shown.go({ param, query });
  turn();
  for (const link of document.querySelectorAll("#nav a")) {
    if (link.dataset.page === name) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  reveal();
  document.title = `${PAGES[name].title} \u00b7 Sluice`;
  main.dataset.page = name;
  shown = PAGES[name].show(main, { signal: leave.signal, param, query });
  if (event && !param) main.focus({ preventScroll: true });
  if (event) scrollTo(0, 0);
}

/** On a phone the pages are a bar that scrolls: bring the current one into its middle. */
function reveal() {
  const [nav, link] = [document.getElementById("nav"), document.querySelector("#nav a[aria-current]")];
  if (link) nav.scrollLeft = link.offsetLeft - (nav.clientWidth - link.offsetWidth) / 2;
}

function links() {
  return h("ul", {}, Object.keys(PAGES).map((name) => h("li", {}, h("a", { href: `#/${name}`, "data-page": name }, icon(ICONS[name] ?? name), h("span", {}, LABELS[name] ?? PAGES[name].title)))));
}

// -- sign-in and sign-out ----------------------------------------------------------------------------------------

function enter() {
  within = true;
  shell.dataset.within = "";
  store.start();
  navigate();
}

/** Enter if there is a session. What costs are shown in is known before the first page. */
function begin() {
  get("/admin/metrics").then((metrics) => (showIn(metrics), enter()), (error) => (error.status === 401 ? out(false) : enter()));
}

function out(over) {
  if (!within && main.firstElementChild?.matches(".signin")) return;
  within = false;
  delete shell.dataset.within;
  store.stop();
  turn();
  for (const dialog of document.querySelectorAll("dialog")) dialog.close();
  document.title = "Sign in \u00b7 Sluice";
  signin.show(main, { entered: begin, over });
  link();
}

async function signOut() {
  try {
    await post("/admin/logout");
    out(false);
  } catch (error) {
    toast(error.message, "bad");
  }
}

// -- connection and theme ------------------------------------------------------------------------------------

function link() {
  const state = within ? (store.link ?? "connecting") : "off";
  const element = document.getElementById("link");
  element.dataset.state = state;
  text(document.getElementById("link-words"), LINK[state]);
  element.title = store.hello ? `Version ${store.hello.version}, process ${store.hello.instance}` : "";
  shell.dataset.link = state;
  const lost = document.getElementById("lost");
  lost.hidden = state !== "reconnecting";
  if (!lost.hidden && shell.dataset.lost !== state) text(lost, `The gateway does not respond. Last update at ${moment(store.now)}.`);
  shell.dataset.lost = state;
}

function themeButton() {
  const now = () => document.documentElement.dataset.theme ?? "system";
  const button = h("button.button.quiet.square", { onclick: () => choose(THEMES[(THEMES.indexOf(now()) + 1) % THEMES.length]) });
  function choose(theme) {
    if (theme === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    try {
      localStorage.setItem("sluice-theme", theme);
    } catch {
      // Storage may be disabled: then the theme lasts as long as the page.
    }
    update();
  }
  function update() {
    button.replaceChildren(icon(now()));
    button.setAttribute("aria-label", `Theme: ${now()}`);
    button.title = `Theme: ${now()}`;
  }
  update();
  return button;
}

// -- start --------------------------------------------------------------------------------------------

document.getElementById("nav").append(links());
document.getElementById("tools").append(themeButton(), h("button.button.quiet.square", { id: "sign-out", "aria-label": "Sign out", title: "Sign out", onclick: signOut }, icon("leave")));
document.querySelector(".skip").addEventListener("click", (event) => (event.preventDefault(), main.focus()));
addEventListener("hashchange", navigate);
addEventListener("resize", reveal);
session.addEventListener("over", () => out(within));
store.addEventListener("link", link);

begin();
