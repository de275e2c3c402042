// The operator's page: who looks, when it looks again, and the numbers. Dead letters are in operator_letters.js.

import { ApiError, call, faultOf, sentence } from "./api.js";
import { element, find, plain, show } from "./dom.js";
import { advice, letters } from "./operator_letters.js";
import { session } from "./storage.js";
import { ago } from "./times.js";

const KEY = "clipstream.operator";
const EVERY = 5;
const LONGEST = 60;
const NOW = ["queued", "processing"];

const board = { timer: 0, failures: 0, measuredAt: null, turn: Promise.resolve() };
const key = () => session.getItem(KEY) ?? "";

/** A call in the operator's name. Raises ApiError. */
function ask(path, { more = {}, ...options } = {}) {
  return call(path, { ...options, more: { ...more, "x-api-key": key() } });
}

/** One look after the other: who asks for one gets what was asked for just now. */
const refresh = () => (board.turn = board.turn.then(look, look));

async function look() {
  clearTimeout(board.timer);
  if (!key() || document.hidden) return;
  try {
    showOverview(await ask("/api/admin/overview"));
    await letters.refresh();
    board.failures = 0;
  } catch (error) {
    failed(error);
  }
  freshen();
  wait();
}

function wait() {
  clearTimeout(board.timer);
  if (key() && !document.hidden) board.timer = setTimeout(refresh, delay() * 1000);
}

const delay = () => Math.min(LONGEST, EVERY * 2 ** board.failures);

function failed(error) {
  if (!(error instanceof ApiError)) throw error;
  if (error.status === 401 || error.status === 403) return locked(`${error.message} ${error.hint}`);
  board.failures += 1;
  say(`${error.message} Trying again in ${delay()} seconds.`);
}

/** In the page's head; told to screen readers only when it changes. */
function say(text) {
  if (find("state").textContent !== text) find("state").textContent = text;
  find("state").classList.toggle("trouble", board.failures > 0);
}

function freshen() {
  if (board.failures === 0 && key()) say(`Live: looks again every ${EVERY} seconds.`);
  find("board").classList.toggle("stale", board.failures > 0);
  show(find("measured"), board.failures > 0 && board.measuredAt !== null);
  for (const time of document.querySelectorAll("time[datetime]")) time.textContent = ago(time.dateTime);
}

function locked(problem = "") {
  session.removeItem(KEY);
  clearTimeout(board.timer);
  say("");
  show(find("board"), false);
  show(find("forget"), false);
  show(find("key-form"), true);
  find("key-problem").textContent = problem;
  find("key").focus();
}

function unlocked() {
  show(find("key-form"), false);
  show(find("forget"), true);
}

function showOverview(seen) {
  board.measuredAt = find("measured-at").dateTime = seen.measuredAt;
  unlocked();
  show(find("board"), true);
  for (const part of ["queues", "jobs", "failures"]) {
    show(find(part), part in seen);
    show(find(`${part}-unknown`), seen.unknown.includes(part));
  }
  if (seen.queues) showQueues(seen.queues);
  if (seen.jobs) showJobs(seen.jobs);
  showFailures(seen.failures);
  find("letters-count").textContent = seen.deadLetters ? `(${number(seen.deadLetters)})` : "";
}

const number = (count) => count.toLocaleString("en");

/** Makes anew what a node holds, only when it is something else than before. */
function renewed(node, value, make) {
  const now = JSON.stringify(value);
  if (node.dataset.shown === now) return;
  node.dataset.shown = now;
  node.replaceChildren(...make(value));
}

function showQueues(queues) {
  const most = Math.max(1, ...queues.map((queue) => queue.pending + queue.ackPending));
  renewed(find("queue-rows"), queues, () => queues.map((queue, at) => queueRow(queue, queues[at - 1]?.stage !== queue.stage, most)));
  for (const bar of document.querySelectorAll(".load span")) bar.style.width = `${bar.dataset.percent}%`;
}

function queueRow(queue, first, most) {
  const depth = queue.pending + queue.ackPending;
  const bar = element("span", { "data-percent": depth ? Math.max(1, (100 * depth) / most) : 0 });
  return element(
    "tr",
    { class: `${first ? "first" : ""} ${depth ? "" : "empty"}`.trim() || undefined },
    element("th", { scope: "row" }, element("span", { class: first ? undefined : "repeated" }, queue.stage)),
    element("td", {}, queue.lane),
    element("td", { class: "number" }, number(queue.pending)),
    element("td", { class: "number" }, number(queue.ackPending)),
    element("td", { class: "number" }, depth ? age(queue.oldestSeconds) : "–"),
    element("td", { class: "load", "aria-hidden": "true" }, bar),
  );
}

/** "1 h 5 min": of a duration in seconds. */
export function age(seconds) {
  const [minutes, hours, days] = [seconds / 60, seconds / 3600, seconds / 86400].map(Math.floor);
  if (days) return `${days} d ${hours % 24} h`;
  if (hours) return `${hours} h ${minutes % 60} min`;
  return minutes ? `${minutes} min` : `${Math.floor(seconds)} s`;
}

function showJobs({ byStatus, byStage }) {
  const some = (wanted) => Object.entries(byStatus).filter(([status]) => NOW.includes(status) === wanted);
  renewed(find("jobs-now"), some(true), counts);
  renewed(find("jobs-ended"), some(false), counts);
  renewed(find("jobs-stages"), Object.entries(byStage), counts);
}

const counts = (found) => found.map(([name, count]) => element("div", { class: count ? name : "none" }, element("dt", {}, name), element("dd", {}, number(count))));

function showFailures(failures) {
  show(find("failures-none"), failures?.length === 0);
  show(find("failures"), failures?.length > 0);
  renewed(find("failure-rows"), failures ?? [], (found) => found.map(failureRow));
}

function failureRow({ code, count, hint }) {
  return element(
    "tr",
    {},
    element("th", { scope: "row" }, plain(code)),
    element("td", { class: "number", "data-label": "Jobs" }, number(count)),
    element("td", { class: "long", "data-label": "Clients are told" }, hint),
    element("td", { class: "long", "data-label": "You" }, advice(code)),
  );
}

find("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const written = find("key").value.trim();
  find("key-problem").textContent = faultOf(written);
  if (faultOf(written)) return;
  session.setItem(KEY, written);
  find("key").value = "";
  board.failures = 0;
  refresh();
});
find("forget").addEventListener("click", () => locked());
document.addEventListener("visibilitychange", refresh);
letters.begin({ ask, refresh, tell: (text) => (find("told").textContent = sentence(text)), lock: locked });
if (key()) refresh();
else locked();
