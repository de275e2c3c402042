// What is to be cut: a file of this device or a video by its address; looked at, played where the browser can.

import { call, sentence } from "./api.js";
import { find, plain, show, size } from "./dom.js";
import { format } from "./times.js";

const MEDIA = /\.(mp4|m4v|mov|webm|mkv|ogv|mp3|m4a|wav|ogg)$/i;
let held = "";

/** {file | url, name, duration, start}: seconds, 0 where nobody knows. */
export async function fromFile(file, { player, thumbnails }) {
  URL.revokeObjectURL(held);
  const url = (held = URL.createObjectURL(file));
  const playable = await player.load(url);
  if (playable && !find("screen").classList.contains("sound")) thumbnails.load(url);
  else thumbnails.clear();
  tell(file.name, [size(file.size), playable && format(player.duration, { digits: 1 })]);
  say(playable ? "" : "This browser can't play this video, but it can be cut all the same: type the times below.");
  return { file, name: plain(file.name), duration: player.duration, start: 0 };
}

/** Asks the service what is there. Raises ApiError. */
export async function fromUrl(url, { player, thumbnails, signal }) {
  const { probe } = await call("/api/probe", { method: "POST", body: { sourceType: "youtube", youtubeUrl: url }, signal });
  if (!probe.accepted) throw Object.assign(new Error(), probe.refusal, { message: sentence(probe.refusal.message) });
  thumbnails.clear();
  const playable = isMedia(url) ? await player.load(url, probe.video?.frameRate) : (player.clear(), false);
  if (!playable && probe.video) player.frame = 1 / (probe.video.frameRate || 25);
  const duration = probe.duration ?? player.duration;
  const name = plain(probe.title || new URL(url).hostname);
  tell(name, [duration && format(duration, { digits: 1 }), probe.video && `${probe.video.width} × ${probe.video.height}`]);
  say(playable ? "" : `This video can't be played here${duration ? ": move the handles, or type the times" : ": type the times below"}.`);
  return { url, name, duration, start: startIn(url) };
}

const isMedia = (url) => MEDIA.test(new URL(url).pathname);

/** Seconds of a `t=` in the address. */
function startIn(url) {
  const written = new URL(url).searchParams.get("t") ?? "";
  return /^\d+s?$/.test(written) ? parseInt(written, 10) : 0;
}

function tell(name, about) {
  find("source-name").textContent = plain(name);
  find("source-about").textContent = about.filter(Boolean).join(" · ");
}

function say(text) {
  find("unplayable").textContent = text;
  show(find("unplayable"), text !== "");
}
