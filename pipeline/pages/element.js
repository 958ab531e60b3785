// Elements made from text only. Names of blobs are anything a stranger likes: they never meet an HTML parser.
export function element(kind, attributes = {}, ...children) {
  const made = document.createElement(kind);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "onclick") made.addEventListener("click", value);
    else if (name === "checked" || name === "value" || name === "max") made[name] = value;
    else made.setAttribute(name, value === true ? "" : String(value));
  }
  for (const child of children) {
    if (child !== undefined && child !== null) made.append(child instanceof Node ? child : shown(String(child)));
  }
  return made;
}

// Control and direction-changing characters as escapes: a name must not look like another one.
export function shown(text) {
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

// Text of several lines, as a program printed it: lines and tabs stay, nothing else that moves the reader.
export function lines(text) {
  const made = document.createElement("pre");
  made.textContent = text.split("\n").map((line) => line.split("\t").map(shown).join("\t")).join("\n");
  return made;
}

export function fill(parent, children) {
  parent.replaceChildren(...children);
}

// Replaces rows only where they changed, and keeps the focus where it was: a page that redraws itself under the
// keyboard is no use to anyone who has no mouse.
export function rows(parent, items, keyOf, make) {
  const old = new Map([...parent.children].map((row) => [row.dataset.key, row]));
  const focused = document.activeElement;
  const inside = parent.contains(focused) ? [focused.closest("[data-key]")?.dataset.key, focused.dataset.role] : null;
  fill(parent, items.map((item) => {
    const key = keyOf(item);
    const content = JSON.stringify(item);
    const known = old.get(key);
    if (known && known.dataset.content === content) return known;
    const row = make(item);
    row.dataset.key = key;
    row.dataset.content = content;
    return row;
  }));
  if (inside && document.activeElement !== focused) {
    const again = [...parent.children].find((row) => row.dataset.key === inside[0]);
    (again?.querySelector(`[data-role="${inside[1]}"]`) || parent.closest("[tabindex]"))?.focus();
  }
}

export function number(value) {
  return value === null || value === undefined ? "–" : Number(value).toLocaleString("en");
}

export function span(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172800) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86400)} d`;
}

export function ago(time) {
  const at = Date.parse(time || "");
  return Number.isNaN(at) ? "–" : `${span(Math.max(0, (Date.now() - at) / 1000))} ago`;
}

export function bytes(value) {
  if (value < 1000) return `${value} B`;
  if (value < 1e6) return `${(value / 1e3).toFixed(0)} kB`;
  if (value < 1e9) return `${(value / 1e6).toFixed(1)} MB`;
  return `${(value / 1e9).toFixed(1)} GB`;
}
