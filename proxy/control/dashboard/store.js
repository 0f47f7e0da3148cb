// The state of the gateway: loaded once per connection, updated by events, cleared at sign-out.

import { ApiError, get } from "./api.js";
import { Live } from "./live.js";

export const KEPT_SECONDS = 300;
export const KEPT_REQUESTS = 500;
const STATE_EVERY = 2000;

/** Emits `state`, `troubles`, `seconds`, `requests`, `metrics`, `link` and `error` when they change. */
class Store extends EventTarget {
  live = new Live();
  #timer = 0;
  #looking = 0;
  #received = []; // requests received as events while the list is loading, newest first

  constructor() {
    super();
    this.forget();
    const { live } = this;
    live.addEventListener("link", ({ detail }) => this.#onLink(detail));
    live.addEventListener("hello", ({ detail }) => this.#onHello(detail));
    live.addEventListener("counters", ({ detail }) => this.#onCounters(detail));
    live.addEventListener("state", ({ detail }) => this.#onState(detail));
    live.addEventListener("request", ({ detail }) => this.#onRequests([detail]));
    live.addEventListener("reload", () => this.refresh());
  }

  forget() {
    this.deployments = null;
    this.troubles = null;
    this.seconds = null;
    this.requests = null;
    this.capacity = KEPT_REQUESTS;
    this.metrics = null;
    this.hello = null;
    this.error = null;
    this.skew = 0;
  }

  /** The gateway's time in Unix seconds, for comparison with its times. */
  get now() {
    return Date.now() / 1000 + this.skew;
  }

  start() {
    this.live.start(() => this.#reachable());
    this.refresh();
    clearInterval(this.#timer);
    // Values over a window change without an event: reload them while the page is visible.
    this.#timer = setInterval(() => this.live.state === "live" && !document.hidden && this.refreshState(), STATE_EVERY);
  }

  stop() {
    clearInterval(this.#timer);
    clearTimeout(this.#looking);
    this.#looking = 0;
    this.live.stop();
    this.forget();
  }

  /** Load everything. What fails keeps its value and sets `error`. */
  async refresh() {
    const loading = [this.refreshState(), this.#history(), this.refreshRequests()];
    const failed = (await Promise.allSettled(loading)).find((each) => each.status === "rejected");
    this.error = failed?.reason ?? null;
    this.#emit("error");
  }

  async refreshState() {
    const [state, metrics, troubles] = await Promise.all([get("/admin/state"), get("/admin/metrics"), get("/admin/attention")]);
    this.skew = state.now - Date.now() / 1000;
    this.deployments = new Map(state.deployments.map((each) => [each.id, each]));
    this.metrics = metrics;
    this.troubles = troubles;
    this.#emit("state");
    this.#emit("troubles");
    this.#emit("metrics");
  }

  /** Update one deployment from the response to an action. */
  put(deployment) {
    this.deployments?.set(deployment.id, deployment);
    this.#emit("state");
  }

  async #history() {
    this.seconds = (await get(`/admin/history?last=${KEPT_SECONDS}`)).seconds;
    this.#emit("seconds");
  }

  async refreshRequests() {
    // An event may arrive before the list that contains its deployment.
    const received = (this.#received = []);
    const page = await get(`/admin/requests?limit=${KEPT_REQUESTS}`);
    const newest = page.requests[0]?.sequence ?? 0;
    this.capacity = page.capacity;
    this.requests = [...received.filter((each) => each.sequence > newest), ...page.requests].slice(0, KEPT_REQUESTS);
    this.#emit("requests");
  }

  async #reachable() {
    try {
      await get("/admin/metrics");
      return true;
    } catch (error) {
      return !(error instanceof ApiError && error.status === 401);
    }
  }

  #onLink(state) {
    this.link = state;
    this.#emit("link");
  }

  #onHello(hello) {
    const again = this.hello !== null;
    this.hello = hello;
    this.skew = hello.now - Date.now() / 1000;
    this.#emit("link");
    if ((again && !hello.resumed) || this.error) this.refresh();
  }

  #onCounters(second) {
    if (this.seconds) {
      this.seconds = [...this.seconds.filter((each) => each.at < second.at), second].slice(-KEPT_SECONDS);
      this.#emit("seconds");
    }
    if (this.metrics) {
      this.metrics.totalRequests = second.totalRequests ?? this.metrics.totalRequests;
      this.metrics.activeConnections = second.activeConnections ?? this.metrics.activeConnections;
    }
  }

  #onState({ id, breaker }) {
    const found = this.deployments?.get(id);
    if (found) this.put({ ...found, breaker });
    this.#look();
  }

  /** Load the troubles anew, at most twice a second. */
  #look() {
    this.#looking ||= setTimeout(async () => {
      this.#looking = 0;
      this.troubles = await get("/admin/attention").catch(() => this.troubles);
      this.#emit("troubles");
    }, 500);
  }

  #onRequests(summaries) {
    this.#received.unshift(...summaries);
    this.#received.length = Math.min(this.#received.length, KEPT_REQUESTS);
    if (!this.requests) return;
    const newer = summaries.filter((each) => !this.requests.length || each.sequence > this.requests[0].sequence);
    this.requests = [...newer, ...this.requests].slice(0, Math.min(this.capacity, KEPT_REQUESTS));
    this.#emit("requests");
  }

  #emit(what) {
    this.dispatchEvent(new Event(what));
  }
}

export const store = new Store();

/** Call `draw` at each of these changes, until `signal` aborts. */
export function follow(changes, draw, signal) {
  for (const change of changes) store.addEventListener(change, draw, { signal });
  draw();
}

/** Call `work` again and again, after `millis` each. */
export function every(millis, work, signal) {
  const timer = setInterval(work, millis);
  signal.addEventListener("abort", () => clearInterval(timer));
}
