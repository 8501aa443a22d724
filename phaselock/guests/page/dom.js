// Small help with the document. Texts only ever become text nodes.

export const $ = (id) => document.getElementById(id);

// A new element. `children` are elements, or strings that become text.
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const name of Object.keys(attributes)) element.setAttribute(name, attributes[name]);
  for (const child of children) element.append(child);
  return element;
}

export function icon(name) {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  svg.setAttribute("focusable", "false");
  const use = document.createElementNS(space, "use");
  use.setAttribute("href", `#i-${name}`);
  svg.append(use);
  return svg;
}

// Set a text only if it differs, so that a screen reader does not read it again.
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export const still = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

// Show `items` as the rows of a list. Rows are kept by key, so that focus and screen reader stay where they are; a row
// that moves glides to its place. `create(item)` makes a row, `update(row, item)` shows the item in it.
export function showRows(list, items, key, create, update) {
  const old = new Map();
  for (const row of list.children) old.set(row.dataset.key, { row, top: row.offsetTop });
  const focused = list.contains(document.activeElement) ? document.activeElement : null;
  const rows = items.map((item) => {
    const name = String(key(item));
    const found = old.get(name);
    const row = found ? found.row : create(item);
    row.dataset.key = name;
    update(row, item);
    return row;
  });
  const wanted = new Set(rows);
  for (const { row } of old.values()) if (!wanted.has(row)) row.remove();
  rows.forEach((row, at) => {
    if (list.children[at] !== row) list.insertBefore(row, list.children[at] || null);
  });
  // A browser takes the focus from an element that moves.
  if (focused && focused !== document.activeElement && list.contains(focused)) focused.focus({ preventScroll: true });
  if (still() || !list.offsetParent || typeof list.animate !== "function") return;
  for (const { row, top } of old.values()) {
    const moved = wanted.has(row) ? top - row.offsetTop : 0;
    if (moved) row.animate([{ transform: `translateY(${moved}px)` }, { transform: "none" }], { duration: 250, easing: "ease" });
  }
}

const SHOWN_MS = 6000;

// Show a sentence for a while, and have it read aloud.
export function tell(sentence, close) {
  const button = make("button", { type: "button", class: "bare", "aria-label": close }, icon("close"));
  const toast = make("div", { class: "toast" }, make("p", {}, sentence), button);
  button.addEventListener("click", () => toast.remove());
  const place = $("told");
  while (place.children.length > 2) place.firstChild.remove();
  place.append(toast);
  setTimeout(() => toast.remove(), SHOWN_MS + 50 * sentence.length);
}

// Read a sentence aloud only.
export function announce(sentence) {
  setText($("announce"), sentence);
}

// 128 random bits as the text of a UUID. crypto.randomUUID needs a secure context, which a home network has not.
export function uuid() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}
