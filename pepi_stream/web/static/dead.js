// The newest dead letters, and one of them whole.

import { byId, el, setText } from "./dom.js";
import { age, bytes, clock, count, hexDump, stamp, utc } from "./format.js";

const FEW = 5;

export class DeadLetters {
  #items = new Map();
  #all = false;

  constructor(onOpen) {
    this.onOpen = onOpen;
    byId("dead-more").addEventListener("click", () => {
      this.#all = !this.#all;
      this.draw(this.state);
    });
  }

  draw(state) {
    this.state = state;
    const body = byId("dead-rows");
    const shown = this.#all ? state.dead : state.dead.slice(0, FEW);
    const keep = new Set(shown.map(({ seq }) => seq));
    for (const [seq, { root }] of this.#items) {
      if (keep.has(seq)) continue;
      root.remove();
      this.#items.delete(seq);
    }
    shown.forEach((letter, i) => {
      let item = this.#items.get(letter.seq);
      if (!item) {
        item = this.#make(letter);
        this.#items.set(letter.seq, item);
      }
      if (body.children[i] !== item.root) body.insertBefore(item.root, body.children[i] ?? null);
      setText(item.age, age((state.at - letter.at) / 1000));
    });
    const value = state.figures.dead;
    byId("dead-scroller").hidden = shown.length === 0;
    byId("dead-empty").hidden = shown.length > 0;
    setText(byId("dead-empty"), value?.value === null ? value.words : "None: every payload became rows.");
    const more = byId("dead-more");
    more.hidden = state.dead.length <= FEW;
    setText(more, this.#all ? "Show fewer" : `Show the newest ${state.dead.length}`);
  }

  #make({ seq, at, format, reason, bytes: size }) {
    const time = el("time", { datetime: stamp(at), title: utc(at) });
    const open = el("button", { type: "button", "data-testid": "dead-open", "aria-label": `Open dead letter ${seq}` }, "Open");
    open.addEventListener("click", () => this.onOpen(seq));
    const root = el(
      "tr", { "data-testid": "dead-row", "data-seq": seq },
      el("th", { scope: "row", class: "number" }, `${seq}`),
      el("td", { class: "age" }, time),
      el("td", { class: "reason", "data-testid": "dead-reason", title: reason }, el("bdi", {}, reason)),
      el("td", { class: "format" }, el("bdi", {}, format)),
      el("td", { class: "number size" }, bytes(size)),
      el("td", { class: "look" }, open),
    );
    return { root, age: time };
  }
}

// A proxy's refusal is not JSON.
async function whyNot(response) {
  const { error } = await response.json().catch(() => ({}));
  return error ?? `The server answers ${response.status}.`;
}

export class DeadLetterDialog {
  #asked = 0;
  #payload = "";

  constructor(onLogin) {
    this.onLogin = onLogin;
    this.root = byId("letter");
    byId("letter-close").addEventListener("click", () => this.root.close());
    byId("letter-copy").addEventListener("click", () => this.#copy());
    // A click on the backdrop reaches the dialog itself.
    this.root.addEventListener("click", (event) => event.target === this.root && this.root.close());
    this.root.addEventListener("close", () => {
      this.#asked += 1;
      byId("letter-payload").textContent = ""; // up to 1.3 MB of text
      this.#payload = "";
    });
  }

  async open(seq) {
    this.#asked += 1;
    const asked = this.#asked;
    this.#show(`Dead letter ${seq}`, "Fetching…");
    this.root.showModal();
    let letter = null;
    let problem = "";
    try {
      const response = await fetch(`dead/${encodeURIComponent(seq)}`, { cache: "no-store", signal: AbortSignal.timeout(15000) });
      if (response.status === 401) this.onLogin();
      else if (response.status === 404) problem = "It is not there any more: it was replayed or deleted.";
      else if (!response.ok) problem = await whyNot(response);
      else letter = await response.json();
    } catch {
      problem = "The server does not answer.";
    }
    if (asked !== this.#asked) return; // closed, or another one was opened
    if (!letter) {
      this.#show(`Dead letter ${seq}`, problem);
      return;
    }
    this.#fill(letter);
  }

  #show(title, reason) {
    setText(byId("letter-title"), title);
    setText(byId("letter-reason"), reason);
    byId("letter-facts").replaceChildren();
    byId("letter-cut").hidden = true;
    byId("letter-copy").disabled = true;
    setText(byId("letter-payload"), "");
    setText(byId("letter-status"), "");
    this.#payload = "";
  }

  #fill(letter) {
    this.#show(`Dead letter ${letter.seq}`, letter.reason);
    const facts = [
      ["Set aside", `${clock(letter.at, { seconds: true })} (${utc(letter.at)})`],
      ["Format", letter.format],
      ["Size", `${bytes(letter.bytes)}${letter.bytes >= 1024 ? ` (${count(letter.bytes)} bytes)` : ""}`],
      ["Claim", letter.claim],
      ["Position", letter.position],
      ["Element", letter.element],
      ["Encoding", letter.encoding === "hex" ? "not UTF-8 text: shown as a hex dump" : letter.encoding],
    ];
    byId("letter-facts").replaceChildren(...facts
      .filter(([, value]) => value !== null && value !== undefined && value !== "")
      .map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, el("bdi", {}, `${value}`)))));
    const hex = letter.encoding === "hex";
    this.#payload = letter.payload;
    const held = hex ? letter.payload.length / 2 : new TextEncoder().encode(letter.payload).length;
    byId("letter-cut").hidden = !letter.truncated;
    setText(byId("letter-cut"), letter.truncated
      ? `Cut: these are the first ${bytes(held)} of ${bytes(letter.bytes)}. The table of dead letters has all of it.` : "");
    byId("letter-payload").dataset.encoding = hex ? "hex" : "utf-8";
    setText(byId("letter-payload"), hex ? hexDump(letter.payload) : letter.payload);
    byId("letter-copy").disabled = false;
  }

  async #copy() {
    let copied = true;
    try {
      await navigator.clipboard.writeText(this.#payload);
    } catch {
      copied = this.#copyBySelection(); // plain http on another host has no clipboard API
    }
    const button = byId("letter-copy");
    setText(button, copied ? "Copied" : "Copy failed");
    setText(byId("letter-status"), copied ? "Payload copied." : "The browser did not let the payload be copied.");
    setTimeout(() => setText(button, "Copy"), 1500);
  }

  #copyBySelection() {
    const area = el("textarea", { class: "visually-hidden", "aria-hidden": "true" });
    area.value = this.#payload;
    this.root.append(area);
    area.select();
    const copied = document.execCommand("copy");
    area.remove();
    byId("letter-copy").focus();
    return copied;
  }
}
