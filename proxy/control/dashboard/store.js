// What is known of the gateway: asked for once per connection, kept up to date by its events, forgotten at a sign-out.

import { ApiError, get } from "./api.js";
import { Live } from "./live.js";

export const KEPT_SECONDS = 300;
export const KEPT_REQUESTS = 500;
const STATE_EVERY = 2000;

/** Tells `state`, `seconds`, `requests`, `metrics`, `link` and `error` when they change. */
class Store extends EventTarget {
  live = new Live();
  #timer = 0;
  #heard = []; // requests told of since the list was asked for, the newest first

  constructor() {
    super();
    this.forget();
    const { live } = this;
    live.addEventListener("link", ({ detail }) => this.#linked(detail));
    live.addEventListener("hello", ({ detail }) => this.#greeted(detail));
    live.addEventListener("counters", ({ detail }) => this.#counted(detail));
    live.addEventListener("state", ({ detail }) => this.#changed(detail));
    live.addEventListener("request", ({ detail }) => this.#settled([detail]));
    live.addEventListener("reload", () => this.refresh());
  }

  forget() {
    this.deployments = null;
    this.seconds = null;
    this.requests = null;
    this.capacity = KEPT_REQUESTS;
    this.metrics = null;
    this.hello = null;
    this.error = null;
    this.skew = 0;
  }

  /** The gateway's own time in Unix seconds: its moments are compared with this. */
  get now() {
    return Date.now() / 1000 + this.skew;
  }

  start() {
    this.live.start(() => this.#reachable());
    this.refresh();
    clearInterval(this.#timer);
    // Figures over a window change without an event: ask, as long as somebody looks.
    this.#timer = setInterval(() => this.live.state === "live" && !document.hidden && this.refreshState(), STATE_EVERY);
  }

  stop() {
    clearInterval(this.#timer);
    this.live.stop();
    this.forget();
  }

  /** Everything anew. What fails leaves what is shown as it is, and `error` says why. */
  async refresh() {
    const asked = [this.refreshState(), this.#history(), this.refreshRequests()];
    const failed = (await Promise.allSettled(asked)).find((each) => each.status === "rejected");
    this.error = failed?.reason ?? null;
    this.#tell("error");
  }

  async refreshState() {
    const [state, metrics] = await Promise.all([get("/admin/state"), get("/admin/metrics")]);
    this.skew = state.now - Date.now() / 1000;
    this.deployments = new Map(state.deployments.map((each) => [each.id, each]));
    this.metrics = metrics;
    this.#tell("state");
    this.#tell("metrics");
  }

  /** One deployment, as an action on it answered. */
  put(deployment) {
    this.deployments?.set(deployment.id, deployment);
    this.#tell("state");
  }

  async #history() {
    this.seconds = (await get(`/admin/history?last=${KEPT_SECONDS}`)).seconds;
    this.#tell("seconds");
  }

  async refreshRequests() {
    // An event may overtake the page, which then knows nothing of it.
    const heard = (this.#heard = []);
    const page = await get(`/admin/requests?limit=${KEPT_REQUESTS}`);
    const newest = page.requests[0]?.sequence ?? 0;
    this.capacity = page.capacity;
    this.requests = [...heard.filter((each) => each.sequence > newest), ...page.requests].slice(0, KEPT_REQUESTS);
    this.#tell("requests");
  }

  async #reachable() {
    try {
      await get("/admin/metrics");
      return true;
    } catch (error) {
      return !(error instanceof ApiError && error.status === 401);
    }
  }

  #linked(state) {
    this.link = state;
    this.#tell("link");
  }

  #greeted(hello) {
    const again = this.hello !== null;
    this.hello = hello;
    this.skew = hello.now - Date.now() / 1000;
    this.#tell("link");
    if ((again && !hello.resumed) || this.error) this.refresh();
  }

  #counted(second) {
    if (this.seconds) {
      this.seconds = [...this.seconds.filter((each) => each.at < second.at), second].slice(-KEPT_SECONDS);
      this.#tell("seconds");
    }
    if (this.metrics) {
      this.metrics.totalRequests = second.totalRequests ?? this.metrics.totalRequests;
      this.metrics.activeConnections = second.activeConnections ?? this.metrics.activeConnections;
    }
  }

  #changed({ id, breaker }) {
    const found = this.deployments?.get(id);
    if (found) this.put({ ...found, breaker });
  }

  #settled(summaries) {
    this.#heard.unshift(...summaries);
    this.#heard.length = Math.min(this.#heard.length, KEPT_REQUESTS);
    if (!this.requests) return;
    const newer = summaries.filter((each) => !this.requests.length || each.sequence > this.requests[0].sequence);
    this.requests = [...newer, ...this.requests].slice(0, Math.min(this.capacity, KEPT_REQUESTS));
    this.#tell("requests");
  }

  #tell(what) {
    this.dispatchEvent(new Event(what));
  }
}

export const store = new Store();

/** Call `draw` now and at each of these changes, until `signal` ends it. */
export function follow(changes, draw, signal) {
  for (const change of changes) store.addEventListener(change, draw, { signal });
  draw();
}

/** Call `draw` every second: what counts down does so without the server. */
export function everySecond(draw, signal) {
  const timer = setInterval(draw, 1000);
  signal.addEventListener("abort", () => clearInterval(timer));
}
