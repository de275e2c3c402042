// Small pictures along the timeline, drawn from a second, silent video of the same file; what is not wanted any more is given up.

import { find } from "./dom.js";

const PATIENCE = 4000;
/* Milliseconds for one picture. */

export class Thumbnails {
  #canvas = find("thumbnails");
  #video = document.createElement("video");
  #working = new AbortController();

  constructor() {
    this.#video.muted = true;
    this.#video.preload = "auto";
  }

  /** Of a file that lies here: what is elsewhere would be fetched once more. */
  load(url) {
    this.clear();
    this.#video.src = url;
  }

  clear() {
    this.#working.abort();
    this.#video.removeAttribute("src");
    this.#video.load();
    this.#canvas.width = this.#canvas.width; // which empties it
  }

  /** Draws from `from` to `to` seconds; a call ends the one before. */
  async draw({ from, to }) {
    this.#working.abort();
    this.#working = new AbortController();
    const { signal } = this.#working;
    if (!this.#video.src) return;
    await happened(this.#video, "loadeddata", signal, this.#video.readyState >= 2);
    if (signal.aborted || !this.#video.videoWidth) return;
    await this.#row(from, to, signal);
  }

  async #row(from, to, signal) {
    const video = this.#video;
    const { clientWidth, clientHeight } = this.#canvas;
    const ratio = Math.min(window.devicePixelRatio || 1, 2);
    Object.assign(this.#canvas, { width: clientWidth * ratio, height: clientHeight * ratio });
    const count = Math.max(1, Math.ceil(clientWidth / ((clientHeight * video.videoWidth) / video.videoHeight)));
    const width = this.#canvas.width / count;
    for (let index = 0; index < count && !signal.aborted; index += 1) {
      video.currentTime = from + ((index + 0.5) / count) * (to - from);
      await happened(video, "seeked", signal);
      if (!signal.aborted) this.#paint(index * width, width);
    }
  }

  /** The middle of the picture, as much as there is room for. */
  #paint(left, width) {
    const { videoWidth, videoHeight } = this.#video;
    const { height } = this.#canvas;
    const part = Math.min(videoWidth, (width / height) * videoHeight);
    this.#canvas.getContext("2d").drawImage(this.#video, (videoWidth - part) / 2, 0, part, videoHeight, left, 0, width, height);
  }
}

function happened(node, name, signal, already = false) {
  if (already || signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, PATIENCE);
    const done = () => (clearTimeout(timer), resolve());
    node.addEventListener(name, done, { once: true, signal });
    signal.addEventListener("abort", done, { once: true });
  });
}
