// The headline figures, the workers, and the sentence on top.

import { byId, el, icon, setAttribute, setText, svg } from "./dom.js";
import { age, count, duration, si, utc } from "./format.js";

const seconds = (value) => duration(value).split(" ");
const FIGURES = {
  rate: { show: (value) => [si(value), "per second"], trend: true },
  backlog: { show: (value) => [si(value), ""], trend: true },
  oldest: { show: seconds, trend: true, also: ["event to now"] },
  pipeline_p99: { show: seconds, trend: true, also: ["claim to commit; median", "pipeline_p50"] },
  lag_p99: { show: seconds, trend: true, also: ["event to commit; median", "lag_p50"] },
  claims: { show: (value) => [si(value), ""] },
  dead: { show: (value) => [si(value), ""] },
  workers: { show: (value) => [si(value), "alive"] },
};
const LEVELS = { ok: "", warn: "Warning: ", bad: "Problem: " };
export const levelOf = (level) => (Object.hasOwn(LEVELS, level) ? level : "warn");
const TREND_MS = 300_000;
const TREND_STEP_MS = 1000;

export class Figures {
  #figures = new Map();

  constructor() {
    for (const [name, kind] of Object.entries(FIGURES)) {
      const root = byId(`figure-${name}`);
      root.dataset.testid = `figure-${name}`;
      const value = el("span", { class: "value", "data-testid": `figure-${name}-value` }, "–");
      const unit = el("span", { class: "unit" });
      const words = el("span", { "data-testid": `figure-${name}-words` });
      const level = el("span", { class: "visually-hidden" });
      const mark = el("span", { class: "mark" });
      const because = el("p", { class: "words" }, mark, level, words);
      const also = el("p", { class: "also", "data-testid": `figure-${name}-also` });
      root.querySelector("h3").after(el("p", { class: "number" }, value, " ", unit), ...(kind.also ? [also] : []), because);
      const line = svg("path", { class: "line" });
      const area = svg("path", { class: "area" });
      if (kind.trend) {
        root.append(svg("svg", {
          class: "trend", viewBox: "0 0 100 32", preserveAspectRatio: "none", "aria-hidden": "true",
        }, area, line));
      }
      this.#figures.set(name, { root, value, unit, also, words, level, mark, line, area, kind, past: [] });
    }
  }

  // Sample the trends; called for every message, also while the page is hidden.
  sample(state) {
    for (const [name, { kind, past }] of this.#figures) {
      const value = state.figures[name]?.value;
      if (!kind.trend || typeof value !== "number") continue;
      if (past.length && state.at - past.at(-1).at < TREND_STEP_MS) continue;
      past.push({ at: state.at, value });
      while (past[0].at < state.at - TREND_MS) past.shift();
    }
  }

  draw(state) {
    for (const [name, figure] of this.#figures) {
      const { value = null, level = "ok", words = "" } = state.figures[name] ?? {};
      const known = typeof value === "number";
      const [text, unit = ""] = known ? figure.kind.show(value) : ["–"];
      setText(figure.value, text);
      setText(figure.unit, unit);
      setAttribute(figure.value, "title", known ? `${Number(value.toPrecision(12))}` : "not known");
      const shown = levelOf(level);
      if (figure.root.dataset.level !== shown) {
        figure.root.dataset.level = shown;
        figure.mark.replaceChildren(...(shown === "ok" ? [] : [icon(shown)]));
        setText(figure.level, LEVELS[shown]);
      }
      setText(figure.words, words);
      if (figure.kind.also) {
        const [label, other] = figure.kind.also;
        const median = state.figures[other]?.value;
        setText(figure.also, typeof median === "number" ? `${label} ${duration(median)}` : label.split(";")[0]);
      }
      if (figure.kind.trend) drawTrend(figure, state.at);
    }
  }
}

function drawTrend({ past, line, area }, now) {
  if (past.length < 8) return; // a few seconds are no trend
  const top = Math.max(...past.map(({ value }) => value)) || 1;
  const span = Math.max(30_000, now - past[0].at);
  const x = (at) => (100 - ((now - at) / span) * 100).toFixed(2);
  let path = "";
  past.forEach(({ at, value }, i) => {
    // A pause in what was heard is a gap, not a slope.
    const pen = i === 0 || at - past[i - 1].at > 10000 ? "M" : "L";
    path += `${pen}${x(at)} ${(31 - (value / top) * 28).toFixed(2)}`;
  });
  setAttribute(line, "d", path);
  const whole = path.lastIndexOf("M") === 0;
  setAttribute(area, "d", whole ? `${path}V32H${x(past[0].at)}Z` : "");
}

export class Workers {
  #items = new Map();

  draw(state) {
    const list = byId("workers");
    const top = Math.max(1, ...state.workers.map(({ rate }) => rate));
    const ids = new Set(state.workers.map(({ id }) => id));
    for (const [id, { root }] of this.#items) {
      if (ids.has(id)) continue;
      root.remove();
      this.#items.delete(id);
    }
    const sorted = [...state.workers].sort((a, b) => (a.id < b.id ? -1 : 1));
    sorted.forEach((worker, i) => {
      let item = this.#items.get(worker.id);
      if (!item) {
        const [rate, facts, bar] = [el("span", { class: "rate" }), el("p", { class: "facts" }), el("span", { class: "bar" })];
        const name = el("bdi", { class: "name", title: worker.id }, worker.id);
        item = { rate, facts, bar, root: el("li", { "data-testid": "worker" }, el("p", { class: "head" }, name, rate), bar, facts) };
        this.#items.set(worker.id, item);
      }
      if (list.children[i] !== item.root) list.insertBefore(item.root, list.children[i] ?? null);
      setText(item.rate, `${count(worker.rate)}/s`);
      setText(item.facts, [
        `${si(worker.rows)} rows`,
        worker.dead > 0 ? `${si(worker.dead)} dead` : "",
        `holds ${count(worker.held)}`,
        `up ${duration((state.at - worker.since) / 1000)}`,
        state.at - worker.seen > 3000 ? `heard ${age((state.at - worker.seen) / 1000)} ago` : "",
      ].filter(Boolean).join(" · "));
      setAttribute(item.facts, "title", `Counted since it started at ${utc(worker.since)}`);
      item.bar.style.setProperty("--part", (worker.rate / top).toFixed(3));
    });
  }
}

const MARKS = { ok: "✓", warn: "⚠", bad: "✖", stale: "◌" };

// The sentence, the title, the favicon, and, only when the level changes, the screen reader.
export class Health {
  #announced = "none";

  // shown: {level: ok | warn | bad | stale, words}; rate: text for the title when all is well
  draw({ level, words, queue, rate }, visible = true) {
    const title = level === "ok" ? `${rate}/s · ${queue}` : `${words} · ${queue}`;
    const whole = `${MARKS[level]} ${title}`;
    if (document.title !== whole) document.title = whole;
    if (this.#announced !== level) {
      this.#announced = level;
      setAttribute(byId("favicon"), "href", level === "ok" ? "static/favicon.svg" : `static/favicon-${level}.svg`);
      setText(byId("announcer"), `${LEVELS[level] ?? ""}${words}`);
    }
    if (!visible) return;
    const root = byId("health");
    if (root.dataset.level !== level) {
      root.dataset.level = level;
      document.body.dataset.level = level;
      setAttribute(byId("health-icon"), "href", `#icon-${level}`);
      setText(byId("health-level"), LEVELS[level] ?? "");
    }
    setText(byId("health-words"), words);
  }
}
