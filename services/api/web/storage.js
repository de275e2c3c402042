// What the browser keeps for these pages: for the session, or on the device. Where a visitor lets it keep nothing, until the page is left.

/** As window.sessionStorage and window.localStorage, whose very mention raises where storage is blocked. */
export const session = usable("sessionStorage");
export const device = usable("localStorage");

function usable(name) {
  try {
    window[name].setItem("clipstream", "");
    window[name].removeItem("clipstream");
    return window[name];
  } catch {
    return memory();
  }
}

function memory() {
  const held = new Map();
  return { getItem: (name) => held.get(name) ?? null, setItem: (name, value) => void held.set(name, String(value)), removeItem: (name) => void held.delete(name) };
}
