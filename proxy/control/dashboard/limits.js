// Rate limits, and the buckets with the highest use.

import { get } from "./api.js";
import { h, match, text } from "./dom.js";
import { NONE, count, ms, rate, span } from "./format.js";
import { empty, heading, loading, pill, row, table, trouble } from "./parts.js";
import { every } from "./store.js";
import { plain } from "./words.js";

const EVERY = 2000;
const LIMITS = [["Level", ""], ["Unit", ""], ["Limit", "num"], ["At once", "num"], ["Refill per minute", "num"]];
const BUCKETS = [["Client or model", "name"], ["Level", ""], ["Unit", ""], ["Limit", "num"], ["Used", "fill"], ["Remaining", "num"], ["Full again in", "num"]];
const FAILING = { local: "counts by itself", open: "admits every request", closed: "rejects every request" };
const EXAMPLE = ["rateLimiting:", "  enabled: true", "  perClient:", "    requestsPerMinute: 60", "    tokensPerMinute: 100000"].join("\n");

/** requestsPerMinute -> requests per minute */
const unit = (name) => name.replaceAll(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`).replaceAll("_", " ");

function bucketRow(bucket) {
  const meter = h("span.meter", { role: "meter", "aria-valuemin": 0, "aria-label": `${bucket.key}, ${unit(bucket.unit)}` }, h("i"));
  const [limit, remaining, reset] = [h("span"), h("span"), h("span")];
  const element = row(BUCKETS, [h("strong", {}, bucket.key || "all clients"), plain(bucket.level), unit(bucket.unit), limit, meter, remaining, reset]);
  return { element, update(now) {
    const part = now.capacity ? Math.min(1, now.used / now.capacity) : 0;
    meter.firstChild.style.setProperty("width", `${(part * 100).toFixed(1)}%`);
    meter.dataset.tone = part >= 1 ? "bad" : part >= 0.8 ? "warn" : "ok";
    meter.setAttribute("aria-valuemax", now.capacity);
    meter.setAttribute("aria-valuenow", now.used.toFixed(1));
    text(limit, count(now.limit));
    text(remaining, `${count(now.remaining)} of ${count(now.capacity)}`);
    text(reset, now.resetAfter ? span(now.resetAfter) : NONE);
  } };
}

function storePill({ store: name, storeState }) {
  if (!storeState) return pill([name === "memory" ? "In memory" : plain(name), "idle"]);
  return pill(storeState.status === "up" ? [`Redis responds in ${ms(storeState.latencyMs)}`, "ok"] : [`Redis is ${storeState.status}`, "bad"]);
}

export const title = "Rate limits";

export function show(root, { signal }) {
  const head = heading(title);
  const body = h("div", {}, loading(5));
  const settings = h("div.verdict");
  const limits = table("Limits", LIMITS);
  const buckets = table("Buckets in use, fullest first", BUCKETS);
  const none = empty("No buckets in use", "Buckets appear here as requests arrive.");
  const allowed = h("div", {}, h("h2", {}, "Limits"), limits.element);
  const content = [settings, h("h2", {}, "Buckets in use"), none, buckets.element, allowed];
  const kept = [new Map(), new Map()];
  root.append(head.element, body);

  function draw(found) {
    const off = found.credentialLimits ? "Only keys and tokens with their own limits are limited." : "No client is limited.";
    if (!found.enabled && !found.buckets.length) {
      head.note(off);
      return body.replaceChildren(empty("Rate limiting is off", "Enable it in the configuration, for example:", h("pre", {}, EXAMPLE)));
    }
    if (body.firstChild !== settings) body.replaceChildren(...content);
    head.note(!found.enabled ? off : found.storeState ? `While Redis does not respond, the gateway ${FAILING[found.onStoreFailure] ?? plain(found.onStoreFailure)}.` : "Counted by this process.");
    settings.replaceChildren(storePill(found));
    allowed.hidden = !found.limits.length;
    none.hidden = found.buckets.length > 0;
    buckets.element.hidden = !found.buckets.length;
    match(buckets.body, kept[0], found.buckets, (each) => `${each.level} ${each.unit} ${each.key}`, bucketRow);
    match(limits.body, kept[1], found.limits, (each) => JSON.stringify(each), (each) => ({
      element: row(LIMITS, [h("strong", {}, plain(each.level)), unit(each.unit), count(each.limit), count(each.capacity), each.perSecond ? rate(each.perSecond * 60) : NONE]),
    }));
  }

  async function load() {
    if (document.hidden) return;
    try {
      draw(await get("/admin/rate-limits", { signal }));
    } catch (error) {
      if (error.name !== "AbortError" && body.firstChild !== settings) body.replaceChildren(trouble(error, load));
    }
  }

  load();
  every(EVERY, load, signal);
}
