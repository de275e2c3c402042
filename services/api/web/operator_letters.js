// Dead letters on the operator's page: listed, opened, put back to work, discarded. Names from the wire are only ever text.

import { ApiError, sentence } from "./api.js";
import { element, find, plain, show } from "./dom.js";
import { session } from "./storage.js";
import { ago } from "./times.js";

const PATH = "/api/admin/dlq";
const NAME = "clipstream.operator-name";
const STEP = 20;
const MOST = 200;

/** What the page's table of codes says; a code that it doesn't know is a bug's. */
export function advice(code) {
  const term = find(`code-${code}`) ?? find("code-INTERNAL");
  return term.nextElementSibling.textContent;
}

const rows = new Map();
const view = { limit: STEP, opened: null, sure: null, busy: false };
let page;

const count = (many, one = "dead letter") => `${many} ${one}${many === 1 ? "" : "s"}`;
const chosen = () => find("stage").value;

async function refresh() {
  const query = new URLSearchParams({ limit: view.limit, ...(chosen() && { stage: chosen() }) });
  try {
    const { letters, nextCursor } = await page.ask(`${PATH}?${query}`);
    known(letters, nextCursor);
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 503) throw error;
    unknown(error);
  }
}

function known(letters, nextCursor) {
  show(find("letters-unknown"), false);
  show(find("letters"), letters.length > 0);
  show(find("letters-none"), letters.length === 0);
  show(find("more"), nextCursor !== undefined && view.limit < MOST);
  show(find("letters-most"), nextCursor !== undefined && view.limit >= MOST);
  find("replay-many").disabled = view.busy || !letters.some((letter) => letter.replayable);
  find("replay-many").textContent = chosen() ? `Replay all of ${chosen()}` : "Replay all";
  fill(letters);
}

/** What is known no more is not shown: what one would do to it could not be done. */
function unknown(error) {
  find("letters-unknown").textContent = `${error.message} ${error.hint}`;
  show(find("letters-unknown"), true);
  for (const id of ["letters", "letters-none", "more", "letters-most"]) show(find(id), false);
  find("replay-many").disabled = true;
}

/** Rows that stay the same stay in their place, so that nobody's focus is lost. */
function fill(letters) {
  const body = find("letter-rows");
  const there = new Set(letters.map((letter) => letter.seq));
  for (const [seq, { row }] of rows) if (!there.has(seq)) (row.remove(), rows.delete(seq));
  letters.forEach((letter, at) => {
    const row = rowOf(letter);
    if (body.children[at] !== row) body.insertBefore(row, body.children[at] ?? null);
  });
}

function rowOf(letter) {
  const text = JSON.stringify(letter);
  const before = rows.get(letter.seq);
  if (before?.text === text) return before.row;
  before?.row.remove();
  const row = made(letter);
  rows.set(letter.seq, { text, row });
  return row;
}

function made(letter) {
  const { seq, at, stage, code, message, attempts, jobId, job } = letter;
  const known = find(`code-${code}`);
  return element(
    "tr",
    {},
    element("td", { "data-label": "When" }, element("time", { datetime: at, title: new Date(at).toLocaleString() }, ago(at))),
    element("td", { "data-label": "Stage" }, plain(stage)),
    element("td", { "data-label": "Why", class: "long" }, known ? element("a", { href: `#code-${code}` }, code) : element("b", {}, plain(code)), element("br"), sentence(plain(message, 300))),
    element("td", { "data-label": "Attempts", class: "number" }, attempts),
    element("td", { "data-label": "Job" }, jobId ? element("a", { href: `/#job=${encodeURIComponent(jobId)}`, title: jobId }, jobId.slice(0, 8)) : "", ` ${plain(job)}`),
    element("td", { class: "tools" }, button("Open", `Open dead letter ${seq}`, () => open(seq)), again(letter), button("Discard…", `Discard dead letter ${seq}`, () => discard(letter), "danger")),
  );
}

const button = (text, label, act, kind) => element("button", { type: "button", class: kind, "aria-label": label, onclick: act }, text);

function again({ seq, replayable, whyNot }) {
  const made = button("Replay", `Replay dead letter ${seq}`, () => replayOne(seq));
  made.disabled = !replayable;
  if (whyNot) made.title = sentence(plain(whyNot, 300));
  return made;
}

/** One thing at a time; what came of it is told, and the page looks again. */
async function acting(what) {
  if (view.busy || !find("name").reportValidity()) return;
  view.busy = true;
  page.tell("");
  find("problem").textContent = "";
  try {
    page.tell(await what());
    if (view.opened) find("letter").close();
  } catch (error) {
    told(error);
  } finally {
    view.busy = false;
  }
  await page.refresh();
  if (document.activeElement === document.body) find("letters-heading").focus();
}

function told(error) {
  if (!(error instanceof ApiError)) throw error;
  if (find("letter").open) find("letter").close();
  if (error.status === 401) return page.lock(`${error.message} ${error.hint}`);
  find("problem").textContent = [error.message, error.hint].filter(Boolean).join(" ");
  find("problem").scrollIntoView({ block: "nearest" });
}

function named() {
  const name = find("name").value.trim();
  session.setItem(NAME, name);
  return name ? { "x-operator": name } : {};
}

const order = (path, method, body) => page.ask(`${PATH}${path}`, { method, body, more: named() });

const replayOne = (seq) =>
  acting(async () => {
    const { replayed } = await order(`/${seq}/replay`, "POST");
    return `${count(replayed.length)} put back to work: number ${seq}, at the ${replayed[0]?.stage ?? "stage that failed"}`;
  });

async function replayMany() {
  const stage = chosen();
  const whose = stage ? `all dead letters of ${stage}` : "all dead letters";
  if (!(await sure("Replay them?", `This puts ${whose} back to work, also those that the page doesn't show. What fails again comes back.`, "Replay"))) return;
  await acting(async () => {
    const done = { replayed: 0, refused: [] };
    try {
      await replayed(stage ? { stage } : { all: true }, done);
    } catch (error) {
      if (done.replayed) page.tell(`${count(done.replayed)} put back to work before it stopped`);
      throw error;
    }
    return `${count(done.replayed)} put back to work${kept(done.refused)}`;
  });
}

/** The API takes them by the hundred, and says each time what is left. */
async function replayed(first, done) {
  for (let wish = first; wish; ) {
    const answer = await order("/replay", "POST", wish);
    done.replayed += answer.replayed.length;
    done.refused.push(...answer.refused);
    wish = answer.next;
  }
}

const kept = (refused) => (refused.length ? `; ${refused.length} can't run again and stayed, such as number ${refused[0].seq}: ${plain(refused[0].reason, 300)}` : "");

async function discard({ seq, code }) {
  if (!(await sure(`Discard number ${seq}?`, `The letter (${plain(code)}) is deleted for good. Its job stays as it is.`, "Discard", "danger"))) return;
  await acting(async () => {
    const { discarded } = await order(`/${seq}`, "DELETE");
    return `Dead letter ${seq} is deleted${discarded.inHistory ? "; its job's history tells of it" : ""}`;
  });
}

/** What a person answered in the dialog; Escape is no. */
function sure(heading, text, yes, kind = "") {
  const dialog = find("sure");
  find("sure-heading").textContent = heading;
  find("sure-text").textContent = text;
  find("sure-yes").textContent = yes;
  find("sure-yes").className = kind;
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((answer) => dialog.addEventListener("close", () => answer(dialog.returnValue === "yes"), { once: true }));
}

async function open(seq) {
  find("problem").textContent = "";
  try {
    showLetter(await page.ask(`${PATH}/${seq}`));
  } catch (error) {
    told(error);
  }
}

function showLetter({ letter, headers, body, bodySize }) {
  view.opened = letter;
  find("letter-heading").textContent = `Dead letter ${letter.seq}`;
  find("letter-why").textContent = `${plain(letter.code)} at the ${plain(letter.stage)}, ${new Date(letter.at).toLocaleString()}: ${sentence(plain(letter.message, 500))}`;
  find("letter-advice").textContent = letter.replayable ? advice(letter.code) : `It can't run again: ${sentence(plain(letter.whyNot, 500))}`;
  find("letter-headers").replaceChildren(...Object.entries(headers).map(([name, value]) => element("tr", {}, element("th", { scope: "row" }, plain(name)), element("td", {}, plain(value, 500)))));
  find("body-heading").textContent = `Body, ${bodySize.toLocaleString("en")} bytes`;
  find("letter-body").textContent = readable(typeof body === "string" ? body : JSON.stringify(body, null, 2));
  find("letter-replay").disabled = !letter.replayable;
  find("letter").showModal();
}

/** As it is, but for what steers a terminal or the direction of text. */
const readable = (text) => text.replace(/[^\P{C}\n\t]/gu, "\uFFFD");

function begin(around) {
  page = around;
  find("name").value = session.getItem(NAME) ?? "";
  find("letters-tools").addEventListener("submit", (event) => event.preventDefault());
  find("stage").addEventListener("change", () => ((view.limit = STEP), page.refresh()));
  find("more").addEventListener("click", () => ((view.limit = Math.min(MOST, view.limit + STEP)), page.refresh()));
  find("replay-many").addEventListener("click", replayMany);
  find("letter").addEventListener("close", () => (view.opened = null));
  find("letter-close").addEventListener("click", () => find("letter").close());
  find("letter-replay").addEventListener("click", () => replayOne(view.opened.seq));
  find("letter-discard").addEventListener("click", () => discard(view.opened));
}

export const letters = { begin, refresh };
