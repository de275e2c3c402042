// Where the clip begins and ends: the two fields, the buttons, the timeline's handles and the keys all say it here, and it is checked here.

import { facts, find } from "./dom.js";
import { format, parse, rounded } from "./times.js";

const FIRST_LENGTH = 10;
const HOW = "Write it like 1:02:03.5, 90 or 1m30s.";

/** Events: "changed". `range` is what is marked, null while something is wrong with it. */
export class Marks extends EventTarget {
  #fields = { start: find("start"), end: find("end") };

  constructor(player, timeline) {
    super();
    Object.assign(this, { player, timeline, duration: 0, values: { start: 0, end: 0 } });
    for (const [which, field] of Object.entries(this.#fields)) {
      field.addEventListener("input", () => this.#typed(which));
      field.addEventListener("change", () => this.#tidy(which));
    }
    find("set-in").addEventListener("click", () => this.setIn());
    find("set-out").addEventListener("click", () => this.setOut());
    find("play-range").addEventListener("click", () => this.play());
    timeline.addEventListener("range", ({ detail }) => this.#dragged(detail));
    timeline.addEventListener("seek", ({ detail }) => player.seek(detail));
    player.addEventListener("moved", () => timeline.set({ time: player.time }));
  }

  /** A new source; its length in seconds, 0 where nobody knows. */
  begin(duration, start = 0) {
    this.duration = duration;
    const end = rounded(Math.min(duration || Infinity, start + Math.min(FIRST_LENGTH, facts.maxClipSeconds)));
    this.timeline.set({ duration, time: 0 });
    this.#put({ start, end });
  }

  /** The clip from here on, as long as it was where its end lies before that. */
  setIn() {
    const { start, end } = this.#numbers();
    const now = this.player.time;
    const length = end > start ? end - start : FIRST_LENGTH;
    this.#put({ start: now, end: end > now ? end : rounded(Math.min(this.duration, now + length)) });
  }

  setOut() {
    const { start, end } = this.#numbers();
    const now = this.player.time;
    const length = end > start ? end - start : FIRST_LENGTH;
    this.#put({ start: start < now ? start : rounded(Math.max(0, now - length)), end: now });
  }

  play() {
    if (this.range) this.player.playRange(this.range.start, this.range.end);
  }

  get range() {
    return this.#wrong() ? null : this.#numbers();
  }

  /** Says what is wrong, beside its field and with the focus there; true where nothing is. */
  insist() {
    const wrong = this.#wrong();
    if (wrong) this.#fields[wrong.field].focus();
    return !wrong;
  }

  #numbers() {
    return { start: this.values.start ?? 0, end: this.values.end ?? 0 };
  }

  #dragged({ start, end, which }) {
    this.#put({ start, end });
    this.#look(which);
  }

  /** Shows the clip's first picture, or its last. */
  #look(which) {
    const { start, end } = this.#numbers();
    if (this.player.playable) this.player.seek(which === "start" ? start : Math.max(start, end - this.player.frame));
  }

  #put(values) {
    this.values = values;
    for (const [which, field] of Object.entries(this.#fields)) field.value = format(values[which]);
    this.#changed();
  }

  #typed(which) {
    this.values = { ...this.values, [which]: parse(this.#fields[which].value) };
    this.#changed();
  }

  #tidy(which) {
    if (this.values[which] === null) return;
    this.#fields[which].value = format(this.values[which]);
    this.#look(which);
  }

  #changed() {
    const wrong = this.#wrong();
    for (const [which, field] of Object.entries(this.#fields)) field.setAttribute("aria-invalid", wrong?.field === which);
    const said = wrong?.message ?? "";
    if (find("range-error").textContent !== said) find("range-error").textContent = said;
    const { start, end } = this.#numbers();
    find("length").textContent = end > start ? seconds(end - start) : "–";
    find("longest").textContent = `of at most ${seconds(facts.maxClipSeconds)}`;
    if (this.values.start !== null && this.values.end !== null && end >= start) this.timeline.set({ start, end });
    this.dispatchEvent(new Event("changed"));
  }

  #wrong() {
    const { start, end } = this.values;
    const { maxClipSeconds: most, minClipSeconds: least } = facts;
    if (start === null) return { field: "start", message: `The start is no time. ${HOW}` };
    if (end === null) return { field: "end", message: `The end is no time. ${HOW}` };
    if (this.duration && start >= this.duration) return { field: "start", message: `The video is only ${seconds(this.duration)} long.` };
    if (end <= start) return { field: "end", message: "The end must come after the start." };
    if (this.duration && end > this.duration + 0.05) return { field: "end", message: `The video is only ${seconds(this.duration)} long.` };
    if (end - start > most + 0.0005) return { field: "end", message: `A clip can be ${seconds(most)} long at most; this is ${seconds(end - start)}.` };
    if (this.duration && this.duration < least) return { field: "end", message: `The video is only ${seconds(this.duration)} long; a clip must be ${seconds(least)} long at least.` };
    if (end - start < least - 0.0005) return { field: "end", message: `A clip must be ${seconds(least)} long at least.` };
    return null;
  }
}

/** A length: "4.2 s", "1:05.2". */
const seconds = (length) => (length < 60 ? `${rounded(length)} s` : format(length));
