// The connection: server-sent events that come back by themselves, and an honest word on their silence.

const STALE_MS = 5000; // docs/live.md: the server says something every second
const REOPEN_MS = 10000; // a line that is open but dead (a laptop that slept, a lost NAT entry)
const BACKOFF_MS = [1000, 2000, 4000, 8000, 15000];

export class LiveStream {
  #source = null;
  #heard = performance.now(); // monotonic: a clock that is set must not make old news fresh
  #opened = 0;
  #failures = 0;
  #retry = null;
  #detail = "";

  // onMessage(kind, object) gives false when the object does not follow from what came before;
  // onSilence(null, or {since, seconds, detail}) is called every second.
  constructor({ onMessage, onSilence, onLogin }) {
    this.onMessage = onMessage;
    this.onSilence = onSilence;
    this.onLogin = onLogin;
    this.heardAt = null; // ms since 1970, to show
  }

  start() {
    this.startedAt = Date.now();
    this.open();
    setInterval(() => this.#watch(), 1000);
    addEventListener("online", () => this.open());
    addEventListener("pageshow", (event) => event.persisted && this.open());
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden && this.#silence() > STALE_MS) this.open();
    });
  }

  // (Re)connect now.
  open() {
    this.#close();
    this.#opened = performance.now();
    const source = new EventSource("events");
    this.#source = source;
    for (const kind of ["snapshot", "change"]) {
      source.addEventListener(kind, (event) => {
        if (source === this.#source) this.#receive(kind, event.data);
      });
    }
    source.addEventListener("error", () => {
      if (source !== this.#source) return;
      this.#detail = "The connection was lost.";
      // CONNECTING: the browser tries again by itself. CLOSED: it was refused, for good.
      if (source.readyState === EventSource.CLOSED) this.#refused();
    });
  }

  // Close for good (or until the viewer comes back): what is shown then becomes stale, and says why.
  stop(detail) {
    this.#close();
    this.#detail = detail;
  }

  #close() {
    clearTimeout(this.#retry);
    this.#source?.close();
    this.#source = null;
  }

  #receive(kind, text) {
    let follows = false;
    try {
      follows = this.onMessage(kind, JSON.parse(text)) !== false;
    } catch (error) {
      console.error("a message that cannot be read", error);
    }
    if (!this.#source) return; // stopped by the message itself
    if (!follows) {
      this.#detail = "A message was missed.";
      this.#later();
      return;
    }
    this.#heard = performance.now();
    this.heardAt = Date.now();
    this.#failures = 0;
    this.#detail = "";
    this.onSilence(null);
  }

  #later() {
    this.#close();
    const wait = BACKOFF_MS[Math.min(this.#failures, BACKOFF_MS.length - 1)];
    this.#failures += 1;
    // Jitter: all open pages lose a restarted server in the same second.
    this.#retry = setTimeout(() => this.open(), wait * (0.5 + Math.random() / 2));
  }

  // EventSource does not say why it was refused, so ask.
  async #refused() {
    this.#later();
    try {
      const response = await fetch("snapshot", { cache: "no-store", signal: AbortSignal.timeout(5000) });
      await response.body?.cancel();
      if (response.status === 401 || (response.redirected && response.url.endsWith("/login"))) {
        this.#close();
        this.onLogin();
      } else if (!response.ok) {
        this.#detail = `The server answers ${response.status}.`;
      }
    } catch {
      this.#detail = "The server does not answer.";
    }
  }

  #silence() {
    return performance.now() - this.#heard;
  }

  #watch() {
    const silence = this.#silence();
    if (silence <= STALE_MS) return;
    const since = this.heardAt ?? this.startedAt;
    this.onSilence({ since, seconds: Math.max(silence, Date.now() - since) / 1000, detail: this.#detail });
    const tried = performance.now() - this.#opened;
    if (this.#source && Math.min(silence, tried) > REOPEN_MS) this.#later();
  }
}
