// A finished clip: played with its subtitles, its files to download, links to pass on. Signed URLs end, so they are fetched anew when old.

import { call } from "./api.js";
import { element, find, plain } from "./dom.js";
import { session } from "./storage.js";

const FRESH = 240000;
/* Milliseconds: signed URLs live ten minutes, unless the operator says otherwise. */
const YOUNG = 20000;
const CLOSED = "clipstream.resultsClosed";
const FILES = [
  ["video", "Clip", "MP4"],
  ["burnedVideo", "Clip, subtitles burned in", "MP4"],
  ["srt", "Subtitles", "SRT"],
  ["vtt", "Subtitles", "WebVTT"],
  ["text", "Transcript", "Text"],
  ["json", "Word times", "JSON"],
  ["thumbnail", "Picture", "JPEG"],
];
const RENDITIONS = { "720p": "720p", "1080p": "1080p", vertical: "Vertical", audio: "Sound only", gif: "Moving picture" };

const extension = (file) => file.key.split(".").pop().toUpperCase();
const listed = (result) => [
  ...FILES.filter(([name]) => result[name]).map(([name, title, kind]) => ({ title, kind, pick: (newer) => newer[name] })),
  ...Object.entries(result.renditions ?? {}).map(([preset, file]) => ({ title: RENDITIONS[preset] ?? preset, kind: extension(file), pick: (newer) => newer.renditions[preset] })),
];

/** Shows the result of a job that is done. Raises ApiError. */
export async function showResult(job, signal) {
  const source = await Signed.of(job.id, signal);
  const { result } = source;
  const video = element("video", { controls: true, playsinline: true, preload: "metadata", "aria-label": "The clip" });
  const cues = result.vtt ? await subtitles(result.vtt.url, signal) : null;
  const note = element("p", { class: "hint", role: "status" });
  find("result").replaceChildren(
    element("div", { class: "finished" }, element("div", { class: "stage" }, element("div", { class: "screen" }, video), choice(source, video, cues), note), files(source, note)),
    ...warnings(job),
  );
  play(video, result.video, result.thumbnail, cues);
  video.addEventListener("error", () => refreshed(source, video, note));
  return find("result");
}

class Signed {
  static async of(id, signal) {
    const signed = new Signed(id);
    await signed.renew(signal);
    return signed;
  }

  constructor(id) {
    this.id = id;
  }

  async renew(signal) {
    this.result = (await call(`/api/jobs/${this.id}/result`, { signal })).result;
    this.since = Date.now();
  }

  async url(pick) {
    if (Date.now() - this.since > FRESH) await this.renew();
    return pick(this.result).url;
  }
}

function play(video, file, thumbnail, cues) {
  video.poster = thumbnail?.url ?? "";
  video.src = file.url;
  video.replaceChildren(...(cues ? [cues()] : []));
}

/** Goes on where the old address ended; one that is new and does not play is none for this browser. */
async function refreshed(source, video, note) {
  if (Date.now() - source.since < YOUNG) return (note.textContent = "This browser can't play it. Download it to watch it.");
  const at = video.currentTime;
  await source.renew().catch(() => {});
  video.src = (video.hasAttribute("data-burned") ? source.result.burnedVideo : source.result.video).url;
  video.currentTime = at;
}

/** Makes the track, or null where the storage lets no page read: then the files are there, and the burned video. */
async function subtitles(url, signal) {
  if (session.getItem(CLOSED)) return null;
  try {
    const answer = await fetch(url, { signal, credentials: "omit" });
    if (!answer.ok) return null;
    const held = URL.createObjectURL(new Blob([await answer.text()], { type: "text/vtt" }));
    signal.addEventListener("abort", () => URL.revokeObjectURL(held), { once: true });
    return () => element("track", { kind: "subtitles", label: "Subtitles", src: held, default: true });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    session.setItem(CLOSED, "yes");
    return null;
  }
}

function choice({ result }, video, cues) {
  if (!result.burnedVideo) return null;
  const show = (burned) => {
    video.toggleAttribute("data-burned", burned);
    play(video, burned ? result.burnedVideo : result.video, result.thumbnail, burned ? null : cues);
  };
  const one = (label, burned) =>
    element("label", {}, element("input", { type: "radio", name: "shown", checked: !burned, onchange: () => show(burned) }), element("span", {}, label));
  return element("fieldset", { class: "chips" }, element("legend", {}, "Show"), one(cues ? "Switchable subtitles" : "Without subtitles", false), one("Burned-in subtitles", true));
}

function files(source, note) {
  const rows = listed(source.result).map((file, index) => row(source, file, note, index === 0));
  return element("div", { class: "card" }, element("h2", {}, "Files"), element("ul", { class: "files" }, ...rows));
}

function row(source, { title, kind, pick }, note, isFirst) {
  const download = element("a", { class: isFirst ? "button primary" : "button", href: pick(source.result).url, download: true, rel: "noreferrer" }, "Download");
  download.append(element("span", { class: "away" }, ` ${title}, ${kind}`));
  const renew = () => source.url(pick).then((url) => (download.href = url)).catch(() => {});
  for (const name of ["pointerdown", "focus"]) download.addEventListener(name, renew);
  const copy = element("button", { type: "button", onclick: () => copied(source, pick, note) }, "Copy link");
  copy.append(element("span", { class: "away" }, ` to ${title}, ${kind}`));
  return element("li", {}, element("span", { class: "name" }, title, element("small", {}, kind)), download, copy);
}

async function copied(source, pick, note) {
  try {
    await write(await source.url(pick));
    note.textContent = "Link copied. Whoever has it can download the file for the next minutes.";
  } catch {
    note.textContent = "The link could not be copied. Use your browser's own “copy link” on Download.";
  }
}

/** navigator.clipboard is there on https and on this machine only. */
async function write(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const field = element("textarea", { class: "away" });
  document.body.append(field);
  field.value = text;
  field.select();
  const done = document.execCommand("copy");
  field.remove();
  if (!done) throw new Error("not copied");
}

const warnings = (job) => (job.warnings ?? []).map(({ message }) => element("p", { class: "note" }, plain(message, 500)));
