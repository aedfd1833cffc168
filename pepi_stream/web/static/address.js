// What the viewer has chosen to see, in the page's address: a reload, a bookmark and a colleague get the same.
// It stands after the "#", which is sent to no server: a recipient in the filter is in nobody's access log.

export const NEWEST = Object.freeze({ column: "start", descending: true });

// Returns {window, dimension, filter, sort: {column, descending}}, defaults for what is not said; null for an
// anchor in the page ("#main"), which says nothing of this.
export function choiceIn(hash) {
  if (hash.length > 1 && !hash.includes("=")) return null;
  const said = new URLSearchParams(hash.slice(1));
  const sort = said.get("sort") ?? "";
  return {
    window: said.get("window"),
    dimension: said.get("by") ?? "*",
    filter: said.get("filter") ?? "",
    sort: sort ? { column: sort.replace(/^-/, ""), descending: sort.startsWith("-") } : NEWEST,
  };
}

export function keepInAddress({ window, dimension, filter, sort }) {
  const said = new URLSearchParams();
  if (window) said.set("window", window);
  if (dimension !== "*") said.set("by", dimension);
  if (filter) said.set("filter", filter);
  if (sort.column !== NEWEST.column || !sort.descending) said.set("sort", `${sort.descending ? "-" : ""}${sort.column}`);
  try {
    history.replaceState(null, "", said.size > 0 ? `#${said}` : location.pathname + location.search);
  } catch {
    // Some browsers allow a hundred of these in half a minute; the next one will do.
  }
}
