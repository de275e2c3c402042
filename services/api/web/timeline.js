// The strip beneath the video: the range with its two handles, the playhead, and how they are moved by pointer and keys.

import { find, show } from "./dom.js";
import { format, rounded, spoken } from "./times.js";

const ROOM = 0.35;
/* Of the range's length: what is seen on either side of it when zoomed. */

/** Events: "range" (detail: start, end, which), "seek" (detail: seconds). Times in seconds. */
export class Timeline extends EventTarget {
  #root = find("timeline");
  #handles = { start: find("handle-start"), end: find("handle-end") };
  #zoomed = false;
  #held = false;

  constructor(frame) {
    super();
    this.frame = frame;
    this.state = { duration: 0, start: 0, end: 0, time: 0 };
    this.view = { from: 0, to: 1 };
    for (const [which, handle] of Object.entries(this.#handles)) {
      handle.addEventListener("keydown", (event) => this.#key(event, which));
      handle.addEventListener("pointerdown", (event) => this.#hold(event, handle, (seconds) => this.#move(which, seconds)));
    }
    this.#root.addEventListener("pointerdown", (event) => this.#hold(event, this.#root, (seconds) => this.#tell("seek", seconds)));
    find("zoom").addEventListener("click", () => this.#zoom());
  }

  /** What is known anew: duration, start, end, time. */
  set(known) {
    const before = this.state;
    this.state = { ...before, ...known };
    if (before.duration !== this.state.duration) this.#zoomed = false;
    if (!this.#held) this.#see();
    this.#draw();
  }

  #see() {
    const { duration, start, end } = this.state;
    const room = Math.max((end - start) * ROOM, 0.5);
    const view = this.#zoomed ? { from: Math.max(0, start - room), to: Math.min(duration, end + room) } : { from: 0, to: duration || 1 };
    if (view.from === this.view.from && view.to === this.view.to) return;
    this.view = view;
    this.dispatchEvent(new Event("view"));
  }

  #zoom() {
    this.#zoomed = !this.#zoomed;
    this.set({});
  }

  #draw() {
    const { duration, start, end, time } = this.state;
    const [left, right] = [this.#place(start), this.#place(end)];
    put(find("range"), left, right - left);
    put(find("playhead"), this.#place(time));
    show(find("playhead"), time >= this.view.from && time <= this.view.to);
    for (const [which, at] of Object.entries({ start, end })) {
      const handle = this.#handles[which];
      put(handle, this.#place(at));
      const [least, most] = this.#limits(which);
      Object.entries({ now: at, min: least, max: most, text: spoken(at) }).forEach(([name, value]) => handle.setAttribute(`aria-value${name}`, value));
    }
    find("view-from").textContent = format(this.view.from, { digits: 1 });
    find("view-to").textContent = duration ? format(this.view.to, { digits: 1 }) : "";
    find("zoom").textContent = this.#zoomed ? "Show all of it" : "Zoom to the range";
    find("zoom").setAttribute("aria-pressed", this.#zoomed);
  }

  /** Percent of the strip's width. */
  #place(seconds) {
    const { from, to } = this.view;
    return Math.max(0, Math.min(100, ((seconds - from) / (to - from)) * 100));
  }

  #limits(which) {
    const { start, end, duration } = this.state;
    return which === "start" ? [0, rounded(Math.max(0, end - this.frame()))] : [rounded(Math.min(duration, start + this.frame())), rounded(duration)];
  }

  #move(which, seconds) {
    const [least, most] = this.#limits(which);
    const { start, end } = this.state;
    const moved = { start, end, [which]: rounded(Math.max(least, Math.min(most, seconds))) };
    this.dispatchEvent(new CustomEvent("range", { detail: { ...moved, which } }));
  }

  #key(event, which) {
    const step = event.shiftKey ? 1 : this.frame();
    const at = this.state[which];
    const [least, most] = this.#limits(which);
    const to = { ArrowLeft: at - step, ArrowDown: at - step, ArrowRight: at + step, ArrowUp: at + step, PageUp: at + 10, PageDown: at - 10, Home: least, End: most }[event.key];
    if (to === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    this.#move(which, to);
  }

  /** Follows the pointer until it is let go. */
  #hold(event, node, act) {
    if (event.button !== 0) return;
    event.preventDefault();
    event.stopPropagation();
    if (node !== this.#root) node.focus({ focusVisible: false });
    node.setPointerCapture(event.pointerId);
    this.#held = true;
    const released = new AbortController();
    const follow = (moved) => act(this.#seconds(moved.clientX));
    if (node === this.#root) follow(event);
    node.addEventListener("pointermove", follow, released);
    for (const name of ["pointerup", "pointercancel"]) node.addEventListener(name, () => this.#release(released), released);
  }

  #release(held) {
    held.abort();
    this.#held = false;
    this.set({});
  }

  #seconds(x) {
    const box = this.#root.getBoundingClientRect();
    const { from, to } = this.view;
    return from + Math.max(0, Math.min(1, (x - box.left) / box.width)) * (to - from);
  }

  #tell(name, seconds) {
    this.dispatchEvent(new CustomEvent(name, { detail: seconds }));
  }
}

function put(node, left, width) {
  node.style.setProperty("--left", `${left}%`);
  if (width !== undefined) node.style.setProperty("--width", `${width}%`);
}
