// Making and changing elements. All data is hostile: it only ever becomes text or an attribute value.

const SVG = "http://www.w3.org/2000/svg";

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

export const el = (tag, attributes = {}, ...children) =>
  fill(document.createElement(tag), attributes, children);

export const svg = (tag, attributes = {}, ...children) =>
  fill(document.createElementNS(SVG, tag), attributes, children);

// Both write only what differs: an equal write would still cost a layout.
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export function setAttribute(node, name, value) {
  if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value);
}

// An icon of the page's own sprite (live.html): ok, warn, bad, stale.
export function icon(name) {
  return svg("svg", { class: "icon", "aria-hidden": "true" }, svg("use", { href: `#icon-${name}` }));
}

export const byId = (id) => document.getElementById(id);

// What the viewer chose (theme, legend, scale) outlives the tab; without storage it just does not.
export function recall(key, fallback) {
  try {
    const kept = JSON.parse(localStorage.getItem(`pepi-${key}`));
    return kept ?? fallback;
  } catch {
    return fallback;
  }
}

export function keep(key, value) {
  try {
    localStorage.setItem(`pepi-${key}`, JSON.stringify(value));
  } catch {
    // Private windows may refuse.
  }
}
