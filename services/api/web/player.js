// The source on the screen: play, seek, step by frames, loop a range. Knows nothing of marks; tells what happens by events.

import { find, show } from "./dom.js";
import { format, rounded } from "./times.js";

const USUAL_FRAME = 1 / 25;
const PATIENCE = 10000;
/* Milliseconds for a source to say what it is. */
const INSIDE = 0.0004;
/* Seconds past a frame's own time: a seek to the time itself may show the frame before it. */

export class Player extends EventTarget {
  #video = find("video");
  #wanted = null;
  #asked = null;
  #loop = null;
  #seen = null;
  #loading = new AbortController();

  constructor() {
    super();
    this.frame = USUAL_FRAME;
    this.duration = 0;
    this.playable = false;
    const video = this.#video;
    for (const name of ["play", "pause"]) video.addEventListener(name, () => this.#playing());
    video.addEventListener("seeked", () => this.#settle());
    video.addEventListener("click", () => this.toggle());
    video.addEventListener("timeupdate", () => this.#moved());
    find("play").addEventListener("click", () => this.toggle());
    find("step-back").addEventListener("click", () => this.step(-1));
    find("step-on").addEventListener("click", () => this.step(1));
    find("mute").addEventListener("click", () => this.mute());
  }

  /** Plays what is at this address; false where the browser can't. `frameRate` where somebody knows it. */
  async load(url, frameRate) {
    this.clear();
    this.frame = frameRate ? 1 / frameRate : USUAL_FRAME;
    const video = this.#video;
    video.src = url;
    const { signal } = (this.#loading = new AbortController());
    this.playable = await happened(video, "loadedmetadata", signal);
    if (video.duration === Infinity) await this.#findEnd(signal);
    if (signal.aborted) return false;
    this.playable &&= Number.isFinite(video.duration);
    this.duration = this.playable ? video.duration : 0;
    this.#shown(this.playable, video.videoWidth === 0);
    if (this.playable && !frameRate) this.#measure();
    this.#moved();
    return this.playable;
  }

  /** What a page or a camera recorded as it went says nowhere how long it is: only a look beyond its end tells. */
  async #findEnd(signal) {
    const video = this.#video;
    const told = happened(video, "durationchange", signal);
    video.currentTime = Number.MAX_SAFE_INTEGER;
    await told;
    video.currentTime = 0;
  }

  clear() {
    this.#loading.abort();
    this.#video.pause();
    this.#video.removeAttribute("src");
    this.#video.load();
    this.#wanted = this.#loop = this.#seen = null;
    this.playable = false;
    this.duration = 0;
    this.#shown(false, false);
  }

  #shown(playable, isSound) {
    for (const part of ["screen", "controls"]) show(find(part), playable);
    find("screen").classList.toggle("sound", isSound);
  }

  get time() {
    return this.#wanted ?? rounded(this.#video.currentTime);
  }

  /** At once, or as soon as the seek under way is over: a dragged handle asks faster than films can be sought. */
  seek(seconds) {
    const wanted = rounded(Math.max(0, Math.min(seconds, this.duration)));
    this.#loop = null;
    this.#wanted = wanted;
    if (!this.#video.seeking) this.#go(wanted);
    this.#moved();
  }

  #go(seconds) {
    this.#asked = seconds;
    this.#video.currentTime = seconds + INSIDE;
  }

  #settle() {
    const wanted = this.#wanted;
    if (wanted !== null && wanted !== this.#asked) return this.#go(wanted);
    this.#wanted = null;
    this.#moved();
  }

  step(frames) {
    if (!this.playable) return;
    this.#video.pause();
    this.seek((Math.floor(this.time / this.frame + 0.02) + frames) * this.frame);
  }

  jump(seconds) {
    if (this.playable) this.seek(this.time + seconds);
  }

  toggle() {
    this.#loop = null;
    if (this.#video.paused) this.play();
    else this.#video.pause();
  }

  play() {
    if (this.playable) this.#video.play().catch(() => {}); // a browser may want a click first
  }

  pause() {
    this.#video.pause();
  }

  mute() {
    this.#video.muted = !this.#video.muted;
    find("controls").classList.toggle("muted", this.#video.muted);
    find("mute").setAttribute("aria-pressed", this.#video.muted);
  }

  /** Again and again from `start` to `end`, until somebody does anything else. */
  playRange(start, end) {
    this.seek(start);
    this.#loop = { start, end };
    this.play();
  }

  #playing() {
    const { paused } = this.#video;
    find("controls").classList.toggle("playing", !paused);
    find("play").setAttribute("aria-label", paused ? "Play" : "Pause");
    if (!paused) requestAnimationFrame(() => this.#tick());
  }

  #tick() {
    if (this.#video.paused) return;
    const loop = this.#loop;
    if (loop && this.time >= loop.end) {
      this.seek(loop.start);
      this.#loop = loop;
    }
    this.#moved();
    requestAnimationFrame(() => this.#tick());
  }

  #moved() {
    find("clock").textContent = `${format(this.time, { digits: 2 })} / ${format(this.duration, { digits: 2 })}`;
    this.dispatchEvent(new Event("moved"));
  }

  /** The shortest time between two pictures that were shown one after the other is a frame's. */
  #measure() {
    this.#video.requestVideoFrameCallback?.((_, { mediaTime, presentedFrames }) => {
      const before = this.#seen;
      this.#seen = { mediaTime, presentedFrames };
      const step = before && presentedFrames === before.presentedFrames + 1 ? mediaTime - before.mediaTime : 0;
      if (!this.#video.paused && step > 1 / 130 && step < 1 / 9) this.frame = step;
      if (this.playable) this.#measure();
    });
  }
}

/** False for an error, for what takes too long, and once `signal` says that nobody wants it any more. */
function happened(video, name, signal) {
  return new Promise((resolve) => {
    const over = new AbortController();
    const end = (answer) => (over.abort(), resolve(answer));
    video.addEventListener(name, () => end(true), over);
    video.addEventListener("error", () => end(false), over);
    signal.addEventListener("abort", () => end(false), over);
    setTimeout(() => end(false), PATIENCE);
  });
}
