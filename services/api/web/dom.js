// The few ways in which this page makes and finds elements. Text is only ever text: nothing here parses HTML.

export const find = (id) => document.getElementById(id);

/** An element with attributes; a property that begins with "on" is a listener. Children are nodes or text. */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value !== undefined && value !== false) made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

/** Where the keyboard's focus would go with what is hidden, it goes to the heading of what is seen. */
export function show(node, visible) {
  const loses = !visible && node.contains(document.activeElement);
  node.hidden = !visible;
  if (loses) rest();
}

/** Puts the focus where one reads on, when what had it is gone. */
export const rest = () => document.querySelector("main > section:not([hidden]) h1[tabindex]")?.focus({ preventScroll: true });

/** A name from elsewhere, fit to be shown: no control characters, none that turn the direction of what follows. */
export function plain(text, most = 120) {
  const clean = String(text ?? "").replace(/[\p{Cc}\p{Cf}\p{Co}\p{Cs}]/gu, " ").trim();
  return clean.length > most ? `${clean.slice(0, most - 1)}…` : clean;
}

export function size(bytes) {
  if (bytes < 1000) return `${bytes} B`;
  const step = Math.min(3, Math.floor(Math.log10(bytes) / 3));
  return `${(bytes / 1000 ** step).toFixed(step > 1 ? 1 : 0)} ${["B", "kB", "MB", "GB"][step]}`;
}

/** What this service told the page of itself: limits and languages. */
export const facts = JSON.parse(document.querySelector("meta[name=clipstream]").content);
