// The two charts of the last hour: events by minute as lines, and five rates, each on a scale of its own.

import { byId, el, keep, recall, setAttribute, setText, svg } from "./dom.js";
import { clock, count, percent, si, tick, utc } from "./format.js";
import { ratesOf } from "./rates.js";
import { minutesOf, seriesOf } from "./store.js";

// The minute both charts point at, so that one look explains the other.
class Cursor {
  start = null;
  #listeners = [];

  listen(listener) {
    this.#listeners.push(listener);
  }

  set(start) {
    if (start === this.start) return;
    this.start = start;
    for (const listener of this.#listeners) listener();
  }
}

// A drawing of a fixed frame over which a minute is picked, by pointer or arrow keys.
class Plot {
  constructor(host, { label, height, cursor, redraw, describe }) {
    Object.assign(this, { host, cursor, describe, height, minutes: [] });
    this.width = 0;
    this.margin = { left: 44, right: 12, top: 10, bottom: 24 };
    this.svg = svg("svg", { class: "drawing", height, "aria-hidden": "true", focusable: "false" });
    this.tip = el("div", { class: "tip", hidden: "" });
    // A slider is what a minute picker is; assistive software then reads its value text aloud.
    this.picker = el("div", {
      class: "picker", role: "slider", tabindex: "0", "aria-label": label, "aria-valuemin": 0, "aria-valuemax": 59,
    });
    host.append(this.svg, this.picker, this.tip);
    this.hair = svg("line", { class: "hair", y1: 0 });
    new ResizeObserver(([{ contentRect }]) => {
      this.width = Math.round(contentRect.width);
      setAttribute(this.svg, "width", this.width);
      redraw();
    }).observe(host);
    cursor.listen(() => this.point());
    this.picker.addEventListener("pointermove", (event) => this.#follow(event));
    this.picker.addEventListener("pointerdown", (event) => this.#follow(event));
    this.picker.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && cursor.set(null));
    this.picker.addEventListener("blur", () => cursor.set(null));
    this.picker.addEventListener("focus", () => {
      if (this.picker.matches(":focus-visible") && cursor.start === null) this.#step(0);
    });
    this.picker.addEventListener("keydown", (event) => this.#key(event));
  }

  get inner() {
    return {
      width: Math.max(10, this.width - this.margin.left - this.margin.right),
      height: this.height - this.margin.top - this.margin.bottom,
    };
  }

  x(index) {
    return this.margin.left + (this.inner.width * index) / Math.max(1, this.minutes.length - 1);
  }

  #index() {
    return this.minutes.findIndex(({ start }) => start === this.cursor.start);
  }

  #pick(index) {
    const last = this.minutes.length - 1;
    this.cursor.set(this.minutes[Math.max(0, Math.min(last, index))]?.start ?? null);
  }

  #follow(event) {
    const at = event.clientX - this.host.getBoundingClientRect().left - this.margin.left;
    this.#pick(Math.round((at / this.inner.width) * (this.minutes.length - 1)));
  }

  #step(by) {
    const now = this.#index();
    this.#pick(now < 0 ? this.minutes.length - 1 : now + by);
  }

  #key(event) {
    const moves = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -10, PageUp: 10 };
    if (Object.hasOwn(moves, event.key)) this.#step(moves[event.key]);
    else if (event.key === "Home") this.#pick(0);
    else if (event.key === "End") this.#pick(this.minutes.length - 1);
    else if (event.key === "Escape") this.cursor.set(null);
    else return;
    event.preventDefault();
  }

  // Show what the cursor's minute holds.
  point() {
    const index = this.#index();
    this.hair.toggleAttribute("hidden", index < 0);
    this.svg.classList.toggle("pointed", index >= 0);
    this.tip.hidden = index < 0 || !this.#isActive();
    const shown = index < 0 ? this.minutes.length - 1 : index;
    const minute = this.minutes[shown];
    if (!minute) return;
    const { rows, text } = this.describe(shown);
    const running = shown === this.minutes.length - 1;
    const when = `${clock(minute.start * 1000)}${running ? ", still counting" : ""}`;
    setAttribute(this.picker, "aria-valuenow", shown);
    // Only the focused picker would be read, and it should not be read again with every message.
    if (index >= 0 || !this.picker.hasAttribute("aria-valuetext")) {
      setAttribute(this.picker, "aria-valuetext", `${when}: ${text}`);
    }
    if (index < 0) return;
    const x = this.x(index);
    setAttribute(this.hair, "x1", x);
    setAttribute(this.hair, "x2", x);
    setAttribute(this.hair, "y2", this.height - this.margin.bottom);
    if (this.tip.hidden) return;
    this.tip.replaceChildren(
      el("p", { title: utc(minute.start * 1000) }, when),
      ...rows.map(({ swatch, name, value }) => el("div", { class: "line" }, el("i", { class: swatch }), el("bdi", {}, name), el("b", {}, value))),
    );
    const { offsetWidth } = this.tip;
    const left = x + 14 + offsetWidth > this.width ? x - 14 - offsetWidth : x + 14;
    this.tip.style.transform = `translate(${Math.max(0, Math.min(left, this.width - offsetWidth))}px, ${this.margin.top}px)`;
  }

  // Both charts draw the hair; only the one in use spells the minute out.
  #isActive() {
    return this.picker.matches(":hover, :focus-visible");
  }

  // Times under the axis, at whole quarters of the hour (or what fits), and the running minute's shade.
  timeAxis() {
    const parts = [];
    const bottom = this.height - this.margin.bottom;
    const every = this.inner.width > 420 ? 10 : 20;
    this.minutes.forEach(({ start }, index) => {
      if (new Date(start * 1000).getMinutes() % every !== 0) return;
      const x = this.x(index);
      parts.push(svg("line", { class: "tick", x1: x, x2: x, y1: bottom, y2: bottom + 4 }));
      if (x < this.width - 16) parts.push(svg("text", { class: "axis x", x, y: bottom + 16 }, document.createTextNode(clock(start * 1000).slice(-5))));
    });
    return parts;
  }
}

// Segments of a line: whole minutes solid, the step into the running minute dashed. null is a gap.
function trace(values, x, y) {
  let solid = "";
  let pen = false;
  for (let i = 0; i < values.length - 1; i += 1) {
    if (values[i] === null) {
      pen = false;
      continue;
    }
    solid += `${pen ? "L" : "M"}${x(i).toFixed(1)} ${y(values[i]).toFixed(1)}`;
    // A lonely minute still shows: round caps make a dot of a line without length.
    if (!pen && (values[i + 1] ?? null) === null) solid += "h0";
    pen = true;
  }
  const last = values.length - 1;
  const [before, now] = [values[last - 1] ?? null, values[last] ?? null];
  let dashed = "";
  if (now !== null) {
    const here = `${x(last).toFixed(1)} ${y(now).toFixed(1)}`;
    dashed = before === null ? `M${here}h0` : `M${x(last - 1).toFixed(1)} ${y(before).toFixed(1)}L${here}`;
  }
  return { solid, dashed };
}

const NICE = [1, 2, 2.5, 5, 10];
const FINE = [1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10];

// The smallest round number that is not below value.
function roundUp(value, steps = NICE) {
  if (!(value > 0)) return 1;
  const size = 10 ** Math.floor(Math.log10(value));
  return size * steps.find((step) => step * size >= value * 0.99999);
}

function linearTicks(top) {
  const step = roundUp(top / 4);
  const ticks = [];
  for (let value = 0; value < top + step * 0.999; value += step) ticks.push(value);
  return ticks;
}

function logTicks(top) {
  const ticks = [0, 1];
  while (ticks.at(-1) < top) ticks.push(ticks.at(-1) * 10);
  return ticks;
}

export class Charts {
  #scale = recall("scale", "log") === "linear" ? "linear" : "log";
  #hidden = new Set([recall("hidden", [])].flat());
  #lines = new Map();
  #buttons = new Map();
  #bands = [];
  #series = [];
  #rates = null;

  constructor() {
    const cursor = new Cursor();
    const redraw = () => this.state && this.draw(this.state);
    this.events = new Plot(byId("events-plot"), {
      label: "Events per minute: read minutes with the arrow keys", height: 300, cursor, redraw,
      describe: (index) => this.#describeEvents(index),
    });
    this.rates = new Plot(byId("rates-plot"), {
      label: "Rates per minute: read minutes with the arrow keys", height: 372, cursor, redraw,
      describe: (index) => this.#describeRates(index),
    });
    this.rates.margin = { left: 116, right: 48, top: 6, bottom: 24 };
    for (const plot of [this.events, this.rates]) {
      plot.grid = svg("g", { class: "grid" });
      plot.lines = svg("g", { class: "lines" });
      plot.svg.append(plot.grid, plot.lines, plot.hair);
      plot.hair.setAttribute("hidden", "");
    }
    const help = byId("rates-help");
    help.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || !help.open) return;
      help.open = false;
      help.querySelector("summary").focus();
    });
    for (const input of byId("scale").querySelectorAll("input")) {
      input.checked = input.value === this.#scale;
      input.addEventListener("change", () => {
        this.#scale = input.value;
        keep("scale", this.#scale);
        redraw();
      });
    }
  }

  draw(state) {
    this.state = state;
    const empty = state.series.window === null;
    byId("events-plot").hidden = empty;
    byId("events-empty").hidden = !empty;
    setText(byId("events-empty"), empty ? state.series.words : "");
    byId("rates-panel").hidden = empty;
    byId("legend").hidden = empty;
    byId("scale").hidden = empty;
    if (empty) return;
    const minutes = minutesOf(state);
    this.events.minutes = minutes;
    this.rates.minutes = minutes;
    this.#series = seriesOf(minutes);
    this.#rates = ratesOf(minutes);
    this.#drawLegend();
    if (this.events.width) this.#drawEvents();
    if (this.rates.width) this.#drawRates();
  }

  #isShown({ name }) {
    return !this.#hidden.has(name);
  }

  #drawLegend() {
    const legend = byId("legend");
    const keys = new Set(this.#series.map(({ name }) => name));
    for (const [name, { button }] of this.#buttons) {
      if (keys.has(name)) continue;
      button.remove();
      this.#buttons.delete(name);
    }
    this.#series.forEach((series, i) => {
      let entry = this.#buttons.get(series.name);
      if (!entry) {
        const [total, label] = [el("span", { class: "total" }), el("bdi", {})];
        const swatch = el("i", { "aria-hidden": "true" });
        const button = el("button", { type: "button", "data-testid": "legend-entry", "data-name": series.name ?? "" }, swatch, label, total);
        button.addEventListener("click", () => {
          if (!this.#hidden.delete(series.name)) this.#hidden.add(series.name);
          keep("hidden", [...this.#hidden]);
          this.draw(this.state);
        });
        entry = { button, total, label, swatch };
        this.#buttons.set(series.name, entry);
      }
      if (legend.children[i] !== entry.button) legend.insertBefore(entry.button, legend.children[i] ?? null);
      setAttribute(entry.swatch, "class", `c${series.colour}`);
      setText(entry.label, series.label);
      setText(entry.total, si(series.total, 1e4));
      setAttribute(entry.button, "title", `${series.label}: ${count(series.total)} in the hour`);
      setAttribute(entry.button, "aria-pressed", this.#isShown(series));
    });
  }

  #drawEvents() {
    const plot = this.events;
    const shown = this.#series.filter((series) => this.#isShown(series));
    const top = Math.max(1, ...shown.flatMap(({ values }) => values));
    const log = this.#scale === "log";
    // log(1 + n), so that a minute without an event is at the bottom and not nowhere.
    const level = log ? (value) => Math.log10(1 + value) : (value) => value;
    const ticks = log ? logTicks(top) : linearTicks(top);
    const ceiling = log ? level(roundUp(top)) : ticks.at(-1);
    const { margin } = plot;
    const named = plot.width > 560;
    margin.right = named ? 104 : 12;
    const y = (value) => margin.top + plot.inner.height * (1 - level(value) / ceiling);
    const right = plot.width - margin.right;
    const grid = ticks.filter((value) => level(value) <= ceiling * 1.0001).flatMap((value) => [
      svg("line", { x1: margin.left, x2: right, y1: y(value), y2: y(value), class: value === 0 ? "base" : "rule" }),
      svg("text", { class: "axis y", x: margin.left - 8, y: y(value) + 4 }, document.createTextNode(tick(value))),
    ]);
    plot.grid.replaceChildren(...grid, ...plot.timeAxis());
    const names = new Set(shown.map(({ name }) => name));
    for (const [name, { root }] of this.#lines) {
      if (names.has(name)) continue;
      root.remove();
      this.#lines.delete(name);
    }
    for (const series of shown) {
      let line = this.#lines.get(series.name);
      if (!line) {
        const [solid, dashed, label] = [svg("path", {}), svg("path", { class: "running" }), svg("text", { class: "label" })];
        line = { solid, dashed, label, root: svg("g", {}, solid, dashed, label) };
        this.#lines.set(series.name, line);
        plot.lines.append(line.root);
      }
      setAttribute(line.root, "class", `c${series.colour}`);
      const { solid, dashed } = trace(series.values, (i) => plot.x(i), y);
      setAttribute(line.solid, "d", solid);
      setAttribute(line.dashed, "d", dashed);
      setText(line.label, named ? shorten(series.label) : "");
    }
    if (named) this.#placeLabels(shown, y, right + 8);
    plot.point();
  }

  // Names at the lines' ends, pushed apart: colour is then never what tells lines from each other.
  #placeLabels(shown, y, x) {
    const gap = 13;
    const ends = shown
      .map(({ name, values }) => ({ name, at: y(values.at(-2) ?? 0) + 4 }))
      .sort((a, b) => a.at - b.at);
    const floor = this.events.height - this.events.margin.bottom + 4;
    ends.forEach((end, i) => {
      if (i > 0) end.at = Math.max(end.at, ends[i - 1].at + gap);
    });
    for (let i = ends.length - 1; i >= 0; i -= 1) {
      ends[i].at = Math.min(ends[i].at, floor - (ends.length - 1 - i) * gap, ends[i + 1] ? ends[i + 1].at - gap : floor);
    }
    for (const { name, at } of ends) {
      const { label } = this.#lines.get(name);
      setAttribute(label, "x", x);
      setAttribute(label, "y", at.toFixed(1));
    }
  }

  #describeEvents(index) {
    const shown = this.#series
      .filter((series) => this.#isShown(series))
      .map((series) => ({ swatch: `c${series.colour}`, name: series.label, n: series.values[index] }))
      .sort((a, b) => b.n - a.n);
    const rows = shown.map(({ swatch, name, n }) => ({ swatch, name, value: count(n) }));
    return { rows, text: rows.map(({ name, value }) => `${name} ${value}`).join(", ") || "nothing shown" };
  }

  #drawRates() {
    const plot = this.rates;
    const { rates, attempted, delivered } = this.#rates;
    setText(byId("attempted"), attempted);
    setText(byId("delivered"), delivered);
    plot.margin.left = plot.width > 400 ? 116 : 96;
    const { margin } = plot;
    const [left, right] = [margin.left, plot.width - margin.right];
    const band = plot.inner.height / rates.length;
    const grid = [];
    rates.forEach((rate, i) => {
      const lines = (this.#bands[i] ??= this.#makeBand(rate, i));
      const [top, bottom] = [margin.top + band * i + 8, margin.top + band * (i + 1) - 8];
      // The running minute has too few events to set the scale.
      const known = rate.values.slice(0, -1).filter((value) => value !== null);
      const highest = Math.max(0, ...known);
      // Delivery lives near 100 % and is shown from there down; the others from 0 up.
      const high = rate.name === "delivery" ? Math.max(1, roundUp(highest, FINE)) : roundUp(highest || 0.01, FINE);
      const low = rate.name === "delivery" ? Math.max(0, 1 - roundUp(1 - Math.min(0.99, ...known), FINE)) : 0;
      const y = (value) => bottom - ((Math.max(low, Math.min(high, value)) - low) / (high - low)) * (bottom - top);
      for (const [value, y1, inside] of [[high, top, 8], [low, bottom, 0]]) {
        grid.push(
          svg("line", { x1: left, x2: right, y1, y2: y1, class: value === low ? "base" : "rule" }),
          svg("text", { class: "axis end", x: right + 6, y: y1 + inside }, document.createTextNode(`${Number((value * 100).toFixed(3))} %`)),
        );
      }
      const { solid, dashed } = trace(rate.values, (index) => plot.x(index), y);
      setAttribute(lines.solid, "d", solid);
      setAttribute(lines.dashed, "d", dashed);
      setAttribute(lines.name, "y", top + 8);
      setAttribute(lines.hour, "y", top + 30);
      setText(lines.hour, percent(rate.hour));
    });
    plot.grid.replaceChildren(...grid, ...plot.timeAxis());
    plot.point();
  }

  #makeBand({ name, label, of }, i) {
    const parts = {
      solid: svg("path", {}),
      dashed: svg("path", { class: "running" }),
      name: svg("text", { class: "rate-name", x: 0 }, document.createTextNode(label)),
      hour: svg("text", { class: "rate-hour", x: 0 }),
    };
    this.rates.lines.append(svg("g", { class: `r${i}`, "data-testid": `rate-${name}` },
      svg("title", {}, document.createTextNode(`${label}: ${of}`)), parts.solid, parts.dashed, parts.name, parts.hour));
    return parts;
  }

  #describeRates(index) {
    const rows = this.#rates.rates.map(({ label, values }, i) => ({
      swatch: `r${i}`, name: label, value: percent(values[index]),
    }));
    return { rows, text: rows.map(({ name, value }) => `${name} ${value}`).join(", ") };
  }
}

function shorten(label) {
  const letters = [...label];
  return letters.length > 14 ? `${letters.slice(0, 13).join("")}…` : label;
}
