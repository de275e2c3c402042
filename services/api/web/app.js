// The page: which part of it is seen, and what leads from one to the next. The address says it too: #mark, #job=…, nothing.

import { ApiError, faultOf, key, keyNeeded } from "./api.js";
import { element, facts, find, plain, show, size } from "./dom.js";
import { JobPage, button } from "./job.js";
import { listen } from "./keys.js";
import { Marks } from "./marks.js";
import { fields, prepare } from "./options.js";
import { Player } from "./player.js";
import { Recent } from "./recent.js";
import { fromFile, fromUrl } from "./source.js";
import { Thumbnails } from "./thumbnails.js";
import { Timeline } from "./timeline.js";
import { format } from "./times.js";
import { create, makeOf } from "./upload.js";

const PARTS = ["choose", "work", "job"];
const player = new Player();
const thumbnails = new Thumbnails();
const timeline = new Timeline(() => player.frame);
const marks = new Marks(player, timeline);
const recent = new Recent(tell);
const jobPage = new JobPage({ tell, again: whatNext, ended: () => recent.load() });
let source = null;
let asking = { body: "", key: "" };
let looking = new AbortController();
let uploading = null;
let turn = 0;

/** An error, in a place for it: what happened, and what to do. */
function tell(place, error) {
  const about = error.wait ? ` Try again in ${error.wait} s.` : "";
  const reference = error.status >= 500 && error.reference ? element("small", {}, `Reference: ${error.reference}`) : null;
  place.replaceChildren(element("strong", {}, plain(error.message, 500)), `${plain(error.hint ?? "", 500)}${about}`, ...(reference ? [element("br"), reference] : []));
  show(place, true);
}

function view(name) {
  for (const part of PARTS) show(find(part), part === name);
  show(find("recent"), name !== "work");
  if (name !== "work") player.pause();
  if (name !== "job") jobPage.leave();
  show(find("under-way"), uploading !== null);
  if (name !== "work") recent.load();
}

/** Shows what the address names. */
function route() {
  const { hash } = location;
  const job = /^#job=([0-9a-f-]{36})$/.exec(hash);
  if (job) {
    view("job");
    focus("job-title");
    jobPage.open(job[1]);
  } else if (hash === "#mark" && uploading) {
    view("job");
    jobPage.showUpload();
    focus("job-title");
  } else if (hash === "#mark" && source) {
    view("work");
    focus("source-name");
    timeline.set({});
    draw();
  } else {
    view("choose");
    if (hash === "#recent") find("recent").scrollIntoView();
  }
}

function focus(id) {
  find(id).focus({ preventScroll: true });
  window.scrollTo(0, 0);
}

function go(hash) {
  if (location.hash === hash) route();
  else location.hash = hash;
}

const draw = () => thumbnails.draw(timeline.view);

async function chosen(file) {
  turn += 1;
  const mine = turn;
  show(find("choose-error"), false);
  if (file.size === 0) return refuse("This file is empty.", "Choose another one.");
  if (file.size > facts.maxInputBytes) {
    return refuse(`This file is too large: ${size(file.size)}.`, `At most ${size(facts.maxInputBytes)} can be sent. Cut it down first, or choose another one.`);
  }
  find("browse").textContent = "Opening …";
  const found = await fromFile(file, { player, thumbnails });
  if (mine !== turn) return; // another one was chosen meanwhile
  find("browse").textContent = "Choose a file";
  if (found.duration <= facts.maxSourceSeconds) return take(found);
  refuse(`This file is too long: ${format(found.duration, { digits: 0 })}.`, `At most ${format(facts.maxSourceSeconds)} can be sent. Choose another one.`);
}

/** Also of a file that was dropped while something else was seen. */
function refuse(message, hint) {
  if (!find("work").hidden || !find("job").hidden) go("#");
  tell(find("choose-error"), new ApiError({ message, hint }));
}

async function named(event) {
  event.preventDefault();
  show(find("choose-error"), false);
  looking.abort();
  looking = new AbortController();
  find("url-go").textContent = "Looking …";
  try {
    take(await fromUrl(find("url").value.trim(), { player, thumbnails, signal: looking.signal }));
  } catch (error) {
    if (error.name !== "AbortError") tell(find("choose-error"), error);
  }
  find("url-go").textContent = "Look";
}

function take(found) {
  uploading?.abort();
  source = found;
  show(find("submit-error"), false);
  const known = found.duration > 0;
  for (const part of ["timeline", "ruler"]) show(find(part), known);
  for (const part of ["set-in", "set-out"]) show(find(part), player.playable);
  go("#mark");
  marks.begin(found.duration, found.start < found.duration ? found.start : 0);
}

async function make(event) {
  event.preventDefault();
  if (uploading) return; // a second click on the way
  show(find("submit-error"), false);
  if (!marks.insist()) return;
  player.pause();
  const wanted = { ...marks.range, ...fields(), metadata: { title: source.name } };
  const mine = (uploading = new AbortController());
  view("job");
  const onprogress = jobPage.uploading(source.name, marks.range, wanted, source.file?.size ?? 0, () => mine.abort());
  focus("job-title");
  try {
    const { job } = await ordered(wanted, { signal: mine.signal, onprogress });
    asking = { body: "", key: "" };
    sent(mine, `#job=${job.id}`);
  } catch (error) {
    sent(mine, "#mark");
    if (error.name !== "AbortError") tell(find("submit-error"), error);
    find("submit-error").scrollIntoView({ block: "nearest" });
  }
}

/** Who looks at something else meanwhile is not taken away from it. */
function sent(mine, next) {
  const watched = location.hash === "#mark" && uploading === mine;
  if (uploading === mine) uploading = null;
  if (watched) go(next);
  else if (find("work").hidden && find("job").hidden) view("choose");
}

function ordered(wanted, { signal, onprogress }) {
  const given = { idempotencyKey: keyFor(wanted), signal, onprogress };
  if (source.file) return makeOf(source.file, wanted, given);
  return create({ sourceType: "youtube", youtubeUrl: source.url, ...wanted }, given);
}

/** The same wish sent again, after an answer that got lost, is one job. */
function keyFor(wanted) {
  const body = JSON.stringify([source.name, source.file?.size, source.file?.lastModified, source.url, wanted]);
  if (asking.body !== body) asking = { body, key: Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("") };
  return asking.key;
}

/** What to do after a job that is over; null is one that could not be read. */
function whatNext(job) {
  const again = job?.status === "done" ? ["Cut another from the same video", "primary"] : ["Back to the marks"];
  const same = source ? [button(again[0], () => go("#mark"), again[1])] : [];
  return [...same, button(source ? "Choose another video" : "Cut a clip", () => go("#"))];
}

function askForKey() {
  show(find("key-open"), true);
  show(find("key-form"), true);
  show(find("key-forget"), key.get() !== "");
  find("key-error").textContent = "";
  find("key-field").focus();
}

function keyRefused() {
  askForKey();
  find("key-error").textContent = key.get() ? "This key is not accepted." : "";
}

function useKey(event) {
  event.preventDefault();
  const written = find("key-field").value.trim();
  find("key-error").textContent = faultOf(written);
  if (faultOf(written)) return;
  key.set(written, find("key-remember").checked);
  closeKeyForm();
}

function forgetKey() {
  key.forget();
  show(find("key-open"), false);
  closeKeyForm();
}

/** And looks again, as whoever it is now. */
function closeKeyForm() {
  find("key-field").value = "";
  route();
  show(find("key-form"), false);
}

function dropped(event) {
  event.preventDefault();
  find("drop").classList.remove("over");
  const [file] = event.dataTransfer.files;
  if (file) chosen(file);
}

function connect() {
  find("browse").addEventListener("click", () => find("file").click());
  find("file").addEventListener("change", ({ target }) => {
    if (target.files[0]) chosen(target.files[0]);
    target.value = "";
  });
  find("url-form").addEventListener("submit", named);
  find("options").addEventListener("submit", make);
  find("another").addEventListener("click", () => go("#"));
  find("key-form").addEventListener("submit", useKey);
  find("key-forget").addEventListener("click", forgetKey);
  find("key-open").addEventListener("click", askForKey);
  find("key-form").addEventListener("keydown", ({ key }) => key === "Escape" && show(find("key-form"), false));
  keyNeeded.addEventListener("needed", keyRefused);
  for (const name of ["dragover", "drop"]) document.addEventListener(name, (event) => event.preventDefault());
  document.addEventListener("drop", dropped);
  find("drop").addEventListener("dragenter", () => find("drop").classList.add("over"));
  find("drop").addEventListener("dragleave", ({ target }) => target === find("drop") && find("drop").classList.remove("over"));
  timeline.addEventListener("view", draw);
  new ResizeObserver(() => find("work").hidden || draw()).observe(find("timeline"));
  window.addEventListener("hashchange", route);
  window.addEventListener("beforeunload", (event) => uploading && event.preventDefault());
  listen(() => !find("work").hidden, player, marks);
}

find("most-bytes").textContent = size(facts.maxInputBytes);
show(find("url-form"), facts.urls);
show(find("key-open"), key.get() !== "");
prepare();
connect();
route();
