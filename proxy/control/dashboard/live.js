// The event stream with its state in words. The browser reconnects by itself after a cut; where it gives up
// (an error status) or hears nothing although a second has an event, we open a new one.

const SILENCE = 10_000;
const HIDDEN = 60_000;
const LONGEST = 10_000;
const EVENTS = ["hello", "counters", "state", "request", "reload"];

/** Events of the API become events of this target with `detail`; `link` tells `live`, `reconnecting` or `off`. */
export class Live extends EventTarget {
  #source = null;
  #state = "off";
  #tries = 0;
  #heard = 0;
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

  /** `refused` is asked when the stream cannot be had: it tells whether it makes sense to go on trying. */
  start(refused) {
    this.refused = refused;
    this.#open();
  }

  stop() {
    clearTimeout(this.#timer);
    this.#source?.close();
    this.#source = null;
    this.#tell("off");
  }

  #open() {
    this.#source?.close();
    this.#heard = Date.now();
    const source = (this.#source = new EventSource("/admin/events"));
    for (const name of EVENTS) source.addEventListener(name, (event) => this.#hear(name, event));
    source.onerror = () => this.#failed(source);
  }

  #hear(name, event) {
    this.#heard = Date.now();
    this.#tries = 0;
    if (name === "hello" || this.#state !== "live") this.#tell("live", name === "hello");
    this.dispatchEvent(new CustomEvent(name, { detail: JSON.parse(event.data) }));
  }

  async #failed(source) {
    if (source !== this.#source) return;
    this.#tell("reconnecting");
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
    if (this.#source && !document.hidden && Date.now() - this.#heard > SILENCE) {
      this.#tell("reconnecting");
      this.#open();
    }
  }

  /** A page that nobody looks at gives its connection back: a browser has six of them for all its tabs. */
  #seen() {
    clearTimeout(this.#hiding);
    if (document.hidden) {
      this.#hiding = setTimeout(() => this.#source?.close(), HIDDEN);
    } else if (this.#source?.readyState === EventSource.CLOSED) {
      this.#tell("reconnecting");
      this.#open();
    }
  }

  #tell(state, always = false) {
    if (state === this.#state && !always) return;
    this.#state = state;
    this.dispatchEvent(new CustomEvent("link", { detail: state }));
  }
}
