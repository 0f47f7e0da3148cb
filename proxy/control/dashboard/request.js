// One request in detail, in a sheet beside the page that opened it.

import { get } from "./api.js";
import { apiName } from "./apis.js";
import { sheet } from "./dialog.js";
import { h } from "./dom.js";
import { NONE, bytes, costOf, count, exactly, moment, ms } from "./format.js";
import { copyButton, loading, pill, trouble } from "./parts.js";
import { waterfall } from "./waterfall.js";
import { outcome, plain } from "./words.js";

export const address = (request) => `#/requests/${encodeURIComponent(request.id)}`;

/** The client: the id of its key or token, else its address. */
export const clientOf = ({ client, address: from }) => (client && !client.startsWith("address:") ? client : from || client);

/** The requested model; several names with spaces, so that the line can break. */
export const requestedModel = ({ model, endpoint }) => (model || endpoint).replaceAll(/,(?=\S)/g, ", ");

/** A line of a list: time, model, error. */
export function requestLine(request) {
  return h("li", {}, h("time", { datetime: exactly(request.at) }, moment(request.at)), h("a", { href: address(request) }, requestedModel(request)),
    h("span.quiet", {}, [request.status || "", plain(request.error)].filter(Boolean).join(" \u00b7 ")));
}

const FACTS = [
  ["Time", (r) => moment(r.at)],
  ["Endpoint", (r) => [r.endpoint, apiName(r.dialect)].filter(Boolean).join(" \u00b7 ")],
  ["Requested model", (r) => r.model && requestedModel(r)],
  ["Answered by", (r) => [r.provider, r.responseModel].filter(Boolean).join(" \u00b7 ")],
  ["Client", clientOf],
  ["Owner", (r) => [r.owner, r.team, r.project].filter(Boolean).join(" \u00b7 ")],
  ["Labels", (r) => Object.entries(r.labels ?? {}).map((each) => each.join("=")).join(", ")],
  ["Run", (r) => r.run && h("a", { href: `#/requests?run=${encodeURIComponent(r.run)}` }, r.run)],
  ["Status", (r) => [r.status || NONE, r.stream ? "stream" : "whole answer"].join(" \u00b7 ")],
  ["Time to first token", (r) => ms(r.timeToFirstTokenMs)],
  ["Duration", (r) => ms(r.durationMs)],
  ["Longest gap", (r) => (r.stream ? ms(r.longestGapMs) : "")],
  ["Tokens in", (r) => (r.tokens ? [count(r.tokens.input), r.tokens.cached ? `${count(r.tokens.cached)} cached` : ""].filter(Boolean).join(" + ") : NONE)],
  ["Tokens out", (r) => (r.tokens ? [count(r.tokens.output), r.tokens.reasoning ? `${count(r.tokens.reasoning)} reasoning` : ""].filter(Boolean).join(" + ") : NONE)],
  ["Cost", (r) => costOf(r.costUsd)],
  ["Cache", (r) => [r.cache, r.savedUsd && `${costOf(r.savedUsd)} saved`].filter(Boolean).join(" \u00b7 ")],
  ["Bytes in, out", (r) => `${bytes(r.bytesIn)}, ${bytes(r.bytesOut)}`],
  ["Events", (r) => (r.stream ? [count(r.events), r.droppedEvents ? `${count(r.droppedEvents)} dropped` : ""].filter(Boolean).join(", ") : "")],
];

function detail(request) {
  const facts = FACTS.map(([words, of]) => [words, of(request)]).filter(([, value]) => value);
  return [
    h("div.verdict", {}, pill(outcome(request.outcome)), request.fallbackUsed && pill(["Fallback used", "warn"]), request.error && h("code", {}, request.error)),
    h("p.ident", {}, h("code", {}, request.id), copyButton(() => request.id, "Copy id")),
    request.errorDetail && h("p.notice", { "data-tone": request.outcome === "ok" ? "idle" : "bad" }, request.errorDetail),
    h("h3", {}, request.trials.length === 1 ? "1 attempt" : `${request.trials.length} attempts`),
    request.trials.length ? waterfall(request) : h("p.quiet", {}, "No request was sent to a provider."),
    h("h3", {}, "Facts"),
    h("dl.facts", {}, facts.map(([words, value]) => h("div", {}, h("dt", {}, words), h("dd", {}, value)))),
    request.prompt && [h("h3", {}, "Prompt"), h("pre", { tabindex: "0" }, request.prompt)],
  ].flat().filter(Boolean);
}

/** Open the sheet until `signal` aborts; `closed` is called when the user closes it. */
export async function open(id, signal, closed) {
  const body = h("div.sheet-body", {}, loading(5));
  const dialog = sheet("Request", body, () => !signal.aborted && closed());
  signal.addEventListener("abort", () => dialog.close());
  try {
    body.replaceChildren(...detail(await get(`/admin/requests/${encodeURIComponent(id)}`, { signal })));
  } catch (error) {
    if (error.name === "AbortError") return;
    if (error.status === 404) error.message = "This request is no longer kept: only the latest are.";
    body.replaceChildren(trouble(error));
  }
}
