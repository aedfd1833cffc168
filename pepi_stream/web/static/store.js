// The state behind the page: a snapshot, and the changes merged into it (docs/live.md). No DOM.

export const VERSION = 1;
const DEAD_MAX = 20;
const SERIES_SECONDS = 3600;

// JSON is the one join of hostile strings that no value can forge.
const keyOf = (start, values) => JSON.stringify([start, values]);

function makeRow([start, values, n]) {
  return { key: keyOf(start, values), start, values, n, text: values.join("\n").toLowerCase() };
}

export class LiveState {
  constructor() {
    this.ready = false;
    this.id = null;
  }

  // Take a snapshot: everything that was known before is forgotten.
  replace(snapshot) {
    this.id = snapshot.id;
    this.at = snapshot.at;
    this.queue = snapshot.queue;
    this.worker = snapshot.worker;
    this.version = snapshot.version;
    this.health = snapshot.health;
    this.figures = snapshot.figures;
    this.workers = snapshot.workers;
    this.dead = snapshot.dead.slice(0, DEAD_MAX);
    const { window, seconds, words, points } = snapshot.series;
    this.series = { window, seconds, words, points: new Map() };
    this.#addPoints(points ?? []);
    this.windows = new Map();
    for (const [name, { seconds: length, by, floor, words, rows }] of Object.entries(snapshot.windows)) {
      const table = { name, seconds: length, by, floor, words, rows: new Map() };
      for (const row of rows.map(makeRow)) table.rows.set(row.key, row);
      this.windows.set(name, table);
    }
    this.ready = true;
  }

  // Merge a change. False when one before it is missing, so that only a new snapshot helps.
  merge(change) {
    if (!this.ready || change.id > this.id + 1) return false;
    if (change.id <= this.id) return true;
    this.id = change.id;
    this.at = change.at;
    for (const part of ["health", "workers"]) if (change[part]) this[part] = change[part];
    if (change.figures) this.figures = { ...this.figures, ...change.figures };
    if (change.series?.points) this.#addPoints(change.series.points);
    for (const [name, part] of Object.entries(change.windows ?? {})) this.#mergeWindow(name, part);
    if (change.dead) {
      const fresh = new Set(change.dead.map(({ seq }) => seq));
      const others = this.dead.filter(({ seq }) => !fresh.has(seq));
      this.dead = [...change.dead, ...others].slice(0, DEAD_MAX);
    }
    return true;
  }

  #mergeWindow(name, { floor, words, rows }) {
    const table = this.windows.get(name);
    if (!table) return; // A window this snapshot did not describe: its dimensions are unknown.
    for (const fresh of (rows ?? []).map(makeRow)) {
      const row = table.rows.get(fresh.key);
      if (row) row.n = fresh.n;
      else table.rows.set(fresh.key, fresh);
    }
    if (words !== undefined) table.words = words;
    if (floor !== undefined) {
      table.floor = floor;
      for (const row of table.rows.values()) if (row.start < floor) table.rows.delete(row.key);
    }
  }

  #addPoints(points) {
    const all = this.series.points;
    // A Map, because an event may be called "constructor".
    for (const [start, counts] of points) all.set(start, new Map(Object.entries(counts)));
    const oldest = this.at / 1000 - SERIES_SECONDS - this.series.seconds;
    for (const start of all.keys()) if (start < oldest) all.delete(start);
  }
}

// The hour as the charts draw it: one entry a minute, oldest first, with no minute left out. The last
// one is still being counted.
export function minutesOf(state) {
  const { seconds, points } = state.series;
  const newest = Math.floor(state.at / 1000 / seconds) * seconds;
  const minutes = [];
  for (let start = newest - SERIES_SECONDS + seconds; start <= newest; start += seconds) {
    minutes.push({ start, counts: points.get(start) ?? new Map() });
  }
  return minutes;
}

// The most counted series, known events in their order of life, then others by name; what is beyond
// `most` is one series, so that a producer who makes up names cannot flood the chart.
const ORDER = [
  "queued", "sent", "delivered", "deferred", "dropped", "bounced", "opened", "clicked", "complained",
  "unsubscribed", "subscribed", "other",
];
const STRANGERS = 6; // colours for names that are not in ORDER
const rank = (name) => (ORDER.includes(name) ? ORDER.indexOf(name) : ORDER.length);

export function seriesOf(minutes, most = 12) {
  const totals = new Map();
  for (const { counts } of minutes) {
    for (const [name, n] of counts) totals.set(name, (totals.get(name) ?? 0) + n);
  }
  const byLife = (a, b) => rank(a) - rank(b) || (a < b ? -1 : 1);
  const names = [...totals.keys()].sort((a, b) => totals.get(b) - totals.get(a) || byLife(a, b));
  const shown = names.slice(0, most).sort(byLife);
  let strangers = 0;
  const series = shown.map((name) => ({
    name,
    label: name === "" ? "(no name)" : name,
    // Known events keep their colour, whatever else is counted.
    colour: rank(name) < ORDER.length ? rank(name) : ORDER.length + (strangers++ % STRANGERS),
    total: totals.get(name),
    values: minutes.map(({ counts }) => counts.get(name) ?? 0),
  }));
  const rest = new Set(names.slice(most));
  if (rest.size > 0) {
    const values = minutes.map(({ counts }) => {
      let sum = 0;
      for (const [name, n] of counts) if (rest.has(name)) sum += n;
      return sum;
    });
    const total = values.reduce((sum, n) => sum + n, 0);
    series.push({ name: null, label: `${rest.size} other names`, colour: ORDER.indexOf("other"), total, values });
  }
  return series;
}

// The rows of a window as the table shows them: filtered, then grouped, then sorted.
//   dimension: "*" for all of them, "" for time only, or one name of table.by
//   filter: words that a row's values must all hold
//   sort: {column: name of one, descending}; of what is returned, its index in columns
export function viewOf(table, { dimension, filter, sort }) {
  const all = dimension === "*";
  const at = table.by.indexOf(dimension);
  const columns = ["start", ...(all ? table.by : at < 0 ? [] : [dimension]), "n"];
  const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
  const groups = new Map();
  let total = 0;
  for (const row of table.rows.values()) {
    if (!words.every((word) => row.text.includes(word))) continue;
    total += row.n;
    const values = all ? row.values : at < 0 ? [] : [row.values[at]];
    const key = all ? row.key : keyOf(row.start, values);
    const group = groups.get(key);
    if (group) group.n += row.n;
    else groups.set(key, { key, start: row.start, values, n: row.n });
  }
  const rows = [...groups.values()];
  const found = columns.indexOf(sort.column);
  const column = Math.max(0, found);
  const descending = found < 0 || sort.descending; // an unknown column: the newest first
  rows.sort(comparison(columns, column, descending));
  return { columns, rows, total, sort: { column, descending } };
}

// Ties go newest first, then by name, events as they follow each other in a mail's life: an order that
// stands still while the numbers move.
function comparison(columns, column, descending) {
  const sign = descending ? -1 : 1;
  const text = (a, b) => (a < b ? -1 : a > b ? 1 : 0);
  const event = columns.indexOf("event_name") - 1;
  const names = (a, b) => {
    for (let i = 0; i < a.values.length; i += 1) {
      if (a.values[i] === b.values[i]) continue;
      return (i === event && rank(a.values[i]) - rank(b.values[i])) || text(a.values[i], b.values[i]);
    }
    return 0;
  };
  const chosen =
    column === 0 ? (a, b) => a.start - b.start
    : column === columns.length - 1 ? (a, b) => a.n - b.n
    : (a, b) => text(a.values[column - 1].toLowerCase(), b.values[column - 1].toLowerCase());
  return (a, b) => sign * chosen(a, b) || b.start - a.start || names(a, b);
}
