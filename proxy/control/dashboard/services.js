// Services: their state and addresses, and the routes that lead to them. A row opens the service.

import { get, send } from "./api.js";
import { confirm, toast } from "./dialog.js";
import { h, match, text } from "./dom.js";
import { count, ms } from "./format.js";
import { icon } from "./icons.js";
import { empty, heading, loading, pill, row, table, trouble } from "./parts.js";
import { NEW_ROUTE, NEW_SERVICE, openForm } from "./newservice.js";
import { SERVICES, open } from "./service.js";
import { TECHNOLOGIES, countStates, definers, healthOf, stateOf, sum } from "./servicewords.js";
import { every } from "./store.js";

const EVERY = 3000;
const PAGE = 200;
const ROUTES = "/admin/routes";
const COLUMNS = [["Service", "name"], ["State", "state"], ["Usable addresses", "num"], ["In flight", "num"], ["Requests", "num"], ["Failures", "num"], ["Latency", "num"], ["Weight", "num"]];
const ROUTE_COLUMNS = [["Requests for", "name"], ["Service", "name"], ["Defined", ""], ["", "acts"]];
const EXAMPLE = ["services:", "  backend:", "    addresses: [http://backend-1:8000, http://backend-2:8000]", "routes:", "  - path: /api", "    service: backend"].join("\n");

/** The mean of the addresses, each as often as it was used. */
function latencyOf(addresses) {
  const used = addresses.filter((each) => each.latencyMs !== null);
  const requests = sum(used, "requests");
  return requests ? used.reduce((all, each) => all + each.latencyMs * each.requests, 0) / requests : null;
}

function serviceRow(service) {
  const [state, source, why] = [h("span"), h("small"), h("small")];
  const cells = COLUMNS.slice(2).map(() => h("span"));
  const link = h("a.whole", { href: `#/services/${encodeURIComponent(service.name)}` }, service.name);
  const element = row(COLUMNS, [[h("strong", {}, link), source], [state, why], ...cells], { class: "opens", "data-name": service.name });
  return { element, update(now) {
    const { addresses } = now;
    if (state.dataset.health !== now.health) state.replaceChildren(pill(healthOf(now)));
    state.dataset.health = now.health;
    text(source, definers[now.source]);
    const failing = Object.entries(now.sources).filter(([, each]) => each.error && !(each.up && each.addresses)).map(([name, { up }]) => `${TECHNOLOGIES[name] ?? name} ${up ? "has no addresses" : "does not answer"}`);
    const idle = countStates(addresses.filter((each) => stateOf(each)[0] !== "Serving"));
    text(why, [idle, ...failing].filter(Boolean).join("; "));
    const values = [`${count(addresses.filter((each) => each.usable).length)} of ${count(addresses.length)}`, count(sum(addresses, "inFlight")), count(sum(addresses, "requests")), count(sum(addresses, "failures")), ms(latencyOf(addresses)), String(now.weight)];
    values.forEach((value, place) => text(cells[place], value));
  } };
}

/** "GET api.example/v1/*", as people write it. */
const placeOf = ({ host, path, pattern }) => `${host}${pattern || path || "/"}`;

function routeRow(route, remove) {
  const services = Object.entries(route.services).map(([name, weight], place, all) => [place > 0 && ", ", h("a", { href: `#/services/${encodeURIComponent(name)}` }, name), all.length > 1 && ` (${weight})`]);
  const missing = route.missing.length > 0 && h("small.reason", {}, `${route.missing.join(", ")} ${route.missing.length === 1 ? "is" : "are"} not defined: status 503`);
  const limits = [route.methods.join(", "), Object.keys(route.settings.headers ?? {}).length && `with ${Object.keys(route.settings.headers).join(", ")}`, route.settings.public && "public"].filter(Boolean).join(" \u00b7 ");
  const acts = route.source === "file" ? "" : h("div.acts", {}, h("button.button.small", { "aria-label": `Delete the route ${placeOf(route)}`, onclick: () => remove(route) }, "Delete"));
  return row(ROUTE_COLUMNS, [[h("strong", {}, placeOf(route)), h("small", {}, limits)], [h("span", {}, services), missing], definers[route.source], acts], { "data-id": route.id });
}

export const title = "Services";

export function show(root, { signal, param }) {
  let found = null; // the latest services
  let routes = null;
  let limit = PAGE;
  let opened = null; // aborts the open sheet
  let turn = 0;
  const [kept, keptRoutes] = [new Map(), new Map()];
  const search = h("input", { type: "search", placeholder: "Find a service", "aria-label": "Find a service", oninput: () => load() });
  const head = heading(title, h("span.search", {}, icon("search"), search), h("a.button.primary", { href: `#/services/${NEW_SERVICE}` }, "Add a service"));
  const notice = h("p.notice", { "data-tone": "warn", hidden: true });
  const wrong = h("div.notice", { "data-tone": "bad", hidden: true });
  const instead = h("div", {}, loading(4));
  const list = table("Services and their state", COLUMNS);
  list.element.classList.add("requests", "services");
  list.element.hidden = true;
  const more = h("button.button", { hidden: true, onclick: () => ((limit = Math.min(limit + PAGE, 1000)), load()) }, "Show more");
  const ways = table("Routes", ROUTE_COLUMNS);
  ways.element.classList.add("routes");
  const none = h("p.quiet", {}, "None. A service gets requests once a route leads to it, or a provider names it as service://.");
  const section = h("section.budget.route-list", { "aria-labelledby": "routes", hidden: true },
    h("header", {}, h("h2", { id: "routes" }, "Routes"), h("span.note", {}, "Which requests go to which service. The most specific one applies."), h("div.tools", {}, h("a.button", { href: `#/services/${NEW_ROUTE}` }, "Add a route"))), none, ways.element);
  root.append(head.element, notice, wrong, instead, list.element, h("p.foot-note", {}, more), section);

  async function load() {
    const mine = ++turn;
    try {
      const query = new URLSearchParams({ limit, search: search.value.trim() });
      const answers = await Promise.all([get(`${SERVICES}?${query}`, { signal }), get(`${ROUTES}?limit=1000`, { signal })]);
      if (mine !== turn) return;
      [found, routes] = answers;
      draw();
    } catch (error) {
      if (error.name === "AbortError" || mine !== turn) return;
      if (!found) return instead.replaceChildren(trouble(error, load));
      notice.hidden = false;
      text(notice, error.message);
    }
  }

  function draw() {
    const { data, total, store, mistakes } = found;
    head.note(total ? `${count(total)} ${total === 1 ? "service" : "services"}, ${count(routes.total)} ${routes.total === 1 ? "route" : "routes"}.` : "");
    notice.hidden = !(store.error || found.notice);
    text(notice, store.error ? `${store.error} What is shown may be old.` : (found.notice ?? ""));
    wrong.hidden = !mistakes.length;
    const lines = mistakes.flatMap((each) => each.mistakes.map((line) => `${each.kind} ${each.name}: ${line}`));
    if (wrong.dataset.lines !== lines.join("\n")) wrong.replaceChildren(h("strong", {}, "Wrong entries of the store"), ...lines.map((line) => h("p", {}, line)));
    wrong.dataset.lines = lines.join("\n");
    list.element.hidden = !data.length;
    more.hidden = !found.has_more;
    const words = search.value.trim();
    const blank = words ? empty("No service matches", "No service has this in its name.") : empty("No services yet", "Requests of any kind can be routed to services: your own model servers, and any other HTTP service. Add one here, or to the configuration:", h("pre", { tabindex: "0", role: "group", "aria-label": "Example of a configuration" }, EXAMPLE));
    instead.replaceChildren(...(data.length ? [] : [blank]));
    match(list.body, kept, data, ({ name }) => name, serviceRow);
    section.hidden = !total && !routes.total && !words;
    none.hidden = routes.data.length > 0;
    ways.element.hidden = !routes.data.length;
    match(ways.body, keptRoutes, routes.data, (each) => JSON.stringify(each), (each) => ({ element: routeRow(each, removeRoute) }));
  }

  async function removeRoute(route) {
    if (!(await confirm({ title: `Delete the route ${placeOf(route)}?`, text: "Requests that no other route takes get status 404 from now on.", yes: "Delete", grave: true })) || signal.aborted) return;
    try {
      await send("DELETE", `${ROUTES}/${encodeURIComponent(route.id)}`, undefined, { headers: { "If-Match": `"${route.version}"` } });
      toast("The route was deleted.");
    } catch (error) {
      if (!signal.aborted) toast(error.status === 412 ? "The route was changed meanwhile, so it was not deleted. Look at it again." : error.message, "bad");
    }
    if (!signal.aborted) load();
  }

  /** Open or close a sheet without changing the list. */
  function go({ param: name }) {
    opened?.abort();
    opened = null;
    if (!name) return;
    opened = new AbortController();
    const here = location.hash; // after a navigation, closing the sheet must not change the address
    const hooks = { changed: load, closed: () => location.hash === here && (location.hash = "#/services") };
    const form = name === NEW_SERVICE || name === NEW_ROUTE;
    (form ? openForm : open)(name, AbortSignal.any([signal, opened.signal]), hooks);
  }

  load();
  every(EVERY, () => document.hidden || load(), signal);
  go({ param });
  return { go };
}
