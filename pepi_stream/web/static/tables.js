// The table of one window: picked, grouped, filtered and sorted, and lit where a number changed.

import { choiceIn, keepInAddress, NEWEST } from "./address.js";
import { byId, el, setAttribute, setText } from "./dom.js";
import { clock, count, stamp, utc } from "./format.js";
import { viewOf } from "./store.js";

const STEP = 100;
const LIT_MS = 800;
const MOST = 300; // rows in the document at once
const LABELS = { start: "Window", n: "Events" };
const calm = matchMedia("(prefers-reduced-motion: reduce)");

const label = (column) => LABELS[column] ?? column.replaceAll("_", " ");

export class WindowTable {
  #rows = new Map(); // key -> the row's nodes and what they show
  #window = null;
  #dimension = "*";
  #filter = "";
  #sort = NEWEST;
  #limit = STEP;
  #offset = 0;
  #lit = new Set(); // rows whose number changed a moment ago
  #timer = null;
  #heads = [];
  #shape = "";
  #names = "";

  constructor() {
    this.#read();
    addEventListener("hashchange", () => {
      if (this.#read() && this.state) this.#show();
    });
    byId("windows-controls").addEventListener("submit", (event) => event.preventDefault());
    byId("window-picker").addEventListener("change", ({ target }) => {
      this.#window = target.value;
      this.#dimension = "*";
      this.#sort = NEWEST;
      this.#choose();
    });
    byId("dimension-picker").addEventListener("change", ({ target }) => {
      this.#dimension = target.value;
      this.#sort = NEWEST;
      this.#choose();
    });
    byId("filter").addEventListener("input", ({ target }) => {
      this.#filter = target.value;
      this.#choose();
    });
    byId("windows-more").addEventListener("click", () => {
      if (this.#limit < MOST) this.#limit += STEP;
      else this.#turn(this.#offset + MOST);
      this.draw(this.state);
    });
    byId("windows-less").addEventListener("click", () => {
      this.#turn(0);
      this.draw(this.state);
    });
  }

  #turn(offset) {
    this.#offset = offset;
    byId("windows-scroller").scrollTop = 0;
  }

  #choose() {
    this.#show();
    keepInAddress({ window: this.#window, dimension: this.#dimension, filter: this.#filter, sort: this.#sort });
  }

  #show() {
    this.#limit = STEP;
    this.#turn(0);
    this.draw(this.state);
  }

  // Takes over what the address says; what it names and is not there is put right when the table is drawn.
  #read() {
    const choice = choiceIn(location.hash);
    if (!choice) return false;
    this.#window = choice.window;
    this.#dimension = choice.dimension;
    this.#filter = choice.filter;
    this.#sort = choice.sort;
    byId("filter").value = choice.filter;
    this.#names = "";
    return true;
  }

  // lit: the numbers changed before the viewer's eyes (not: the viewer chose other rows)
  draw(state, lit = false) {
    this.state = state;
    this.#drawWindows(state);
    const table = state.windows.get(this.#window);
    for (const id of ["windows-controls", "windows-scroller", "windows-summary"]) byId(id).hidden = !table;
    byId("windows-empty").hidden = Boolean(table);
    if (!table) {
      setText(byId("windows-empty"), "No window is configured, so nothing is counted by time. A [windows.<name>] table in the configuration adds one.");
      setText(byId("windows-hint"), "");
      byId("windows-more").hidden = true;
      byId("windows-less").hidden = true;
      return;
    }
    if (!["*", "", ...table.by].includes(this.#dimension)) this.#dimension = "*";
    const view = viewOf(table, { dimension: this.#dimension, filter: this.#filter, sort: this.#sort });
    this.#drawHead(table, view);
    if (this.#offset >= view.rows.length) this.#offset = 0;
    const shown = view.rows.slice(this.#offset, this.#offset + this.#limit);
    this.#drawRows(table, view, shown, lit && !calm.matches);
    this.#drawSummary(table, view, shown);
  }

  #drawWindows(state) {
    const names = JSON.stringify([...state.windows.values()].map(({ name, seconds, by }) => [name, seconds, by]));
    if (names === this.#names) return;
    this.#names = names;
    if (!state.windows.has(this.#window)) {
      this.#window = state.windows.keys().next().value ?? null;
      this.#dimension = "*";
    }
    byId("window-picker").replaceChildren(...[...state.windows.values()].map(({ name, seconds }) =>
      el("option", { value: name }, `${name} (${length(seconds)})`)));
    byId("window-picker").value = this.#window ?? "";
    this.#shape = "";
  }

  #drawHead(table, view) {
    const shape = JSON.stringify([table.name, this.#dimension]);
    if (shape !== this.#shape) {
      this.#shape = shape;
      this.#rows.clear();
      byId("windows-rows").replaceChildren();
      byId("dimension-picker").replaceChildren(
        el("option", { value: "*" }, table.by.length > 1 ? "all dimensions" : label(table.by[0] ?? "start").toLowerCase()),
        ...(table.by.length > 1 ? table.by.map((name) => el("option", { value: name }, label(name))) : []),
        ...(table.by.length > 0 ? [el("option", { value: "" }, "time only")] : []),
      );
      byId("dimension-picker").value = this.#dimension;
      byId("windows-head").closest("table").style.setProperty("--dimensions", view.columns.length - 2);
      this.#heads = view.columns.map((column) => {
        const button = el("button", { type: "button", "data-testid": `sort-${column}` }, label(column));
        button.addEventListener("click", () => this.#sortBy(column));
        return el("th", { scope: "col", class: column === "n" ? "number" : column === "start" ? "start" : "" }, button);
      });
      byId("windows-head").replaceChildren(...this.#heads);
      setText(byId("windows-caption"), `Events counted by ${view.columns.slice(0, -1).map(label).join(", ")}`);
      setText(byId("windows-hint"), `${length(table.seconds)} each, newest first; UTC in the tooltips`);
    }
    this.#heads.forEach((head, index) => {
      const order = index !== view.sort.column ? "none" : view.sort.descending ? "descending" : "ascending";
      setAttribute(head, "aria-sort", order);
    });
  }

  #sortBy(column) {
    const first = column === "start" || column === "n"; // numbers: the largest first
    const { column: before, descending } = this.#sort;
    this.#sort = { column, descending: before === column ? !descending : first };
    this.#choose();
  }

  #drawRows(table, view, shown, lit) {
    const body = byId("windows-rows");
    const keys = new Set(shown.map(({ key }) => key));
    for (const [key, { root }] of this.#rows) {
      if (keys.has(key)) continue;
      root.remove();
      this.#rows.delete(key);
    }
    let next = body.firstChild;
    let above = null;
    let dated = false;
    for (const row of shown) {
      let drawn = this.#rows.get(row.key);
      if (!drawn) {
        drawn = makeRow(row, table.seconds < 60);
        this.#rows.set(row.key, drawn);
      }
      // Rows that are where they belong are not touched.
      if (drawn.root === next) next = next.nextSibling;
      else body.insertBefore(drawn.root, next);
      if (drawn.n !== row.n) {
        drawn.n = row.n;
        drawn.text.data = count(row.n);
        if (lit) this.#light(drawn);
      }
      // A time is said once and then only repeated softly, so that windows stand apart.
      const again = row.start === above;
      above = row.start;
      if (drawn.again !== again) {
        drawn.again = again;
        drawn.root.classList.toggle("again", again);
      }
      dated ||= drawn.dated;
    }
    body.parentNode.classList.toggle("dated", dated);
  }

  // Lit as long as the number keeps changing and a moment longer. Not an animation: restarting eighty of
  // them with every message costs more than all the rest of the page.
  #light(drawn) {
    drawn.litUntil = performance.now() + LIT_MS;
    if (!this.#lit.has(drawn)) drawn.number.dataset.lit = "";
    this.#lit.add(drawn);
    this.#timer ??= setInterval(() => this.#dim(), LIT_MS / 4);
  }

  #dim() {
    const now = performance.now();
    for (const drawn of this.#lit) {
      if (drawn.litUntil > now) continue;
      delete drawn.number.dataset.lit;
      this.#lit.delete(drawn);
    }
    if (this.#lit.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = null;
  }

  #drawSummary(table, view, shown) {
    const all = view.rows.length;
    const from = this.#offset;
    const range = from > 0 ? `${count(from + 1)} to ${count(from + shown.length)}` : count(shown.length);
    const which = all === shown.length ? `${count(all)} ${all === 1 ? "row" : "rows"}` : `${range} of ${count(all)} rows`;
    const since = table.floor > 0 ? `, since ${clock(table.floor * 1000)}` : "";
    const nothing = this.#filter && table.rows.size > 0 ? "No row matches the filter." : "Nothing has been counted yet.";
    const said = all === 0 ? nothing : `${which}, ${count(view.total)} events${since}`;
    // Rows that are missing and rows that do not exist are not the same.
    const missing = table.words && `${table.words[0].toUpperCase()}${table.words.slice(1)}.`;
    setText(byId("windows-summary"), !missing ? said : all === 0 ? missing : `${said}. ${missing}`);
    const more = byId("windows-more");
    const left = all - from - shown.length;
    more.hidden = left <= 0;
    setText(more, this.#limit < MOST ? `Show ${Math.min(left, STEP)} more` : `Show the next ${Math.min(left, MOST)}`);
    byId("windows-less").hidden = from === 0;
  }
}

const length = (seconds) =>
  seconds % 86400 === 0 ? `${seconds / 86400} d`
  : seconds % 3600 === 0 ? `${seconds / 3600} h`
  : seconds % 60 === 0 ? `${seconds / 60} min`
  : `${seconds} s`;

function makeRow({ start, values }, seconds) {
  const ms = start * 1000;
  const text = document.createTextNode("");
  const shown = clock(ms, { seconds });
  const number = el("span", { "data-testid": "window-n" }, text);
  const root = el(
    "tr", { "data-testid": "window-row", "data-start": start },
    el("th", { scope: "row", class: "start" }, el("time", { datetime: stamp(ms), title: utc(ms) }, shown)),
    // NULL counts as '', which is not the same as somebody's "(none)".
    ...values.map((value) => (value === ""
      ? el("td", { class: "none" }, "none")
      : el("td", { title: value }, value))),
    el("td", { class: "number" }, number),
  );
  return { root, text, number, n: null, again: null, dated: shown.length > 8, litUntil: 0 };
}
