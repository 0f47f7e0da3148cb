// The event stream and the state of its connection. The browser reconnects by itself after a disconnect. After an error
// status, or without any event for ten seconds, this opens a new stream.

const SILENCE = 10_000;
const HIDDEN = 60_000;
const LONGEST = 10_000;
const EVENTS = ["hello", "counters", "state", "request", "budget", "reload"];

/** Emits the events of the API with their data as `detail`, and `link` with `live`, `reconnecting` or `off`. */
export class Live extends EventTarget {
  #source = null;
  #state = "off";
  #tries = 0;
  #lastEvent = 0;
  #timer = 0;
  #hiding = 0;

  constructor() {
    super();
    setInterval(() => this.#watch(), 2000);
    document.addEventListener("visibilitychange", () => this.#seen());
    addEventListener("online", () => this.#source && this.#again(0));
  }

  get state() {
    return this.#state;
  }

  /** `refused` is called after an error status; it resolves to whether to try again. */
  start(refused) {
    this.refused = refused;
    this.#open();
  }

  stop() {
    clearTimeout(this.#timer);
    this.#source?.close();
    this.#source = null;
    this.#setState("off");
  }

  #open() {
    this.#source?.close();
    this.#lastEvent = Date.now();
    const source = (this.#source = new EventSource("/admin/events"));
    for (const name of EVENTS) source.addEventListener(name, (event) => this.#receive(name, event));
    source.onerror = () => this.#failed(source);
  }

  #receive(name, event) {
    this.#lastEvent = Date.now();
    this.#tries = 0;
    if (name === "hello" || this.#state !== "live") this.#setState("live", name === "hello");
    this.dispatchEvent(new CustomEvent(name, { detail: JSON.parse(event.data) }));
  }

  async #failed(source) {
    if (source !== this.#source) return;
    this.#setState("reconnecting");
    if (source.readyState === EventSource.CLOSED && (await this.refused())) this.#again(this.#delay());
  }

  #delay() {
    this.#tries += 1;
    return Math.min(LONGEST, 500 * 2 ** this.#tries);
  }

  #again(delay) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#source && this.#open(), delay);
  }

  #watch() {
    if (this.#source && !document.hidden && Date.now() - this.#lastEvent > SILENCE) {
      this.#setState("reconnecting");
      this.#open();
    }
  }

  /** A hidden page closes its connection after a minute: a browser has six of them for all its tabs. */
  #seen() {
    clearTimeout(this.#hiding);
    if (document.hidden) {
      this.#hiding = setTimeout(() => this.#source?.close(), HIDDEN);
    } else if (this.#source?.readyState === EventSource.CLOSED) {
      this.#setState("reconnecting");
      this.#open();
    }
  }

  #setState(state, always = false) {
    if (state === this.#state && !always) return;
    this.#state = state;
    this.dispatchEvent(new CustomEvent("link", { detail: state }));
  }
}
