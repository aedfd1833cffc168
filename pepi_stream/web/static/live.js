// The live page: what comes over the stream goes into the state, and the state is drawn once a frame.

import { Charts } from "./charts.js";
import { DeadLetterDialog, DeadLetters } from "./dead.js";
import { byId, setText } from "./dom.js";
import { Figures, Health, levelOf, Workers } from "./figures.js";
import { age, clock, si, utc } from "./format.js";
import { LiveState, VERSION } from "./store.js";
import { LiveStream } from "./stream.js";
import { WindowTable } from "./tables.js";

const SLOW_MS = 900;
const state = new LiveState();
const toLogin = () => location.assign("login");
const dialog = new DeadLetterDialog(toLogin);
const figures = new Figures();
const workers = new Workers();
const health = new Health();
const charts = new Charts();
const letters = new DeadLetters((seq) => dialog.open(seq));
const table = new WindowTable();

let silence = null; // {since, seconds, detail} while nothing comes
let firstVersion = null; // of the server that also served this page's code
let frame = 0;
let slowAt = -Infinity;
let lit = false; // whether what will be drawn changed before the viewer's eyes

function receive(kind, message) {
  if (message.v !== VERSION) {
    renewed("The server is of another release than this page, which cannot read it.");
    stream.stop("Reload the page.");
    return false;
  }
  if (kind === "snapshot") {
    lit = state.ready;
    state.replace(message);
    firstVersion ??= state.version;
    if (state.version !== firstVersion) renewed(`pepi_stream ${state.version} is running now; this page is of ${firstVersion}.`);
  } else if (!state.merge(message)) {
    return false;
  } else {
    lit = true;
  }
  figures.sample(state);
  schedule();
  return true;
}

// A hidden page keeps its state and its title, which is what people see of it, and draws nothing.
function schedule() {
  if (document.hidden) drawHealth(false);
  else if (!frame) frame = requestAnimationFrame(draw);
}

function draw() {
  frame = 0;
  if (!state.ready) return;
  drawHealth(true);
  figures.draw(state);
  workers.draw(state);
  // What goes by the minute, or by the second, does not gain from being drawn with every message.
  const now = performance.now();
  if (!lit || now - slowAt > SLOW_MS) {
    slowAt = now;
    charts.draw(state);
    letters.draw(state);
  }
  table.draw(state, lit);
  lit = false;
  setText(byId("queue"), state.queue);
  setText(byId("worker"), state.worker);
  setText(byId("version"), state.version);
}

function drawHealth(visible) {
  const queue = state.ready ? state.queue : "pepi_stream";
  if (silence) {
    const at = clock(silence.since, { seconds: true });
    const words = state.ready ? `Not known since ${at}. Then: ${state.health.words}` : `Nothing has come since ${at}.`;
    health.draw({ level: "stale", words, queue }, visible);
  } else if (state.ready) {
    const { level, words } = state.health;
    health.draw({ level: levelOf(level), words, queue, rate: si(state.figures.rate?.value ?? 0, 1e4) }, visible);
  }
}

function onSilence(now) {
  const changed = Boolean(now) !== Boolean(silence);
  silence = now;
  if (!now && !changed && byId("contact").dataset.state === "live") return;
  document.body.toggleAttribute("data-stale", Boolean(now));
  byId("stale").hidden = !now;
  byId("contact").dataset.state = now ? "stale" : "live";
  setText(byId("contact-words"), now ? "stale" : "live");
  if (now) {
    const at = clock(now.since, { seconds: true });
    const words = state.ready
      ? `Stale: nothing has come for ${age(now.seconds)}. What you see is from ${at}.`
      : `No answer yet, for ${age(now.seconds)}.`;
    setText(byId("stale-words"), `${words} ${now.detail} Trying again by itself.`.replace("  ", " "));
    byId("stale-words").title = utc(now.since);
  }
  drawHealth(!document.hidden);
}

function renewed(words) {
  setText(byId("renewed-words"), words);
  byId("renewed").hidden = false;
}

function chooseTheme() {
  const inputs = [...byId("theme").querySelectorAll("input")];
  const chosen = document.documentElement.dataset.theme ?? "auto";
  for (const input of inputs) {
    input.checked = input.value === chosen;
    input.addEventListener("change", () => {
      const auto = input.value === "auto";
      if (auto) delete document.documentElement.dataset.theme;
      else document.documentElement.dataset.theme = input.value;
      try {
        if (auto) localStorage.removeItem("pepi-theme");
        else localStorage.setItem("pepi-theme", input.value);
      } catch {
        // Then the choice lasts as long as the page.
      }
    });
  }
}

const stream = new LiveStream({ onMessage: receive, onSilence, onLogin: toLogin });
chooseTheme();
byId("stale-retry").addEventListener("click", () => stream.open());
byId("renewed-reload").addEventListener("click", () => location.reload());
document.addEventListener("visibilitychange", () => {
  if (document.hidden) {
    cancelAnimationFrame(frame);
    frame = 0;
  } else {
    lit = false; // catching up is not news
    schedule();
  }
});
stream.start();
