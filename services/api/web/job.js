// One job on the page: how far it is, what it said, what came of it. The same place shows the upload before there is a job.

import { call, sentence } from "./api.js";
import { element, find, plain, rest, show, size } from "./dom.js";
import { isOver, moments, readJob } from "./follow.js";
import { showResult } from "./result.js";
import { roughly } from "./times.js";
import { nameOf, rangeOf, stageWord, stagesOf, statusWord } from "./words.js";

const LOOK = 3000;
/* Milliseconds between looks at the place in the queue, which the stream does not tell. */

export class JobPage {
  #job = null;
  #leaving = new AbortController();
  #stage = "";
  #upload = null;
  #seen = null;

  /** `tell` shows an error in an element; `again` gives the buttons for what to do next; `ended` hears of a job that is over. */
  constructor({ tell, again, ended }) {
    Object.assign(this, { tell, again, ended, stopUpload: null });
    find("cancel").addEventListener("click", () => this.#cancel());
  }

  leave() {
    this.#leaving.abort();
    this.#job = this.#seen = null;
    document.title = "Clipstream";
  }

  #begin() {
    this.leave();
    this.#leaving = new AbortController();
    this.#stage = "";
    if (find("job").contains(document.activeElement)) rest();
    find("result").replaceChildren();
    find("after").replaceChildren();
    for (const part of ["result", "failure"]) show(find(part), false);
    find("cancel").disabled = false;
    return this.#leaving.signal;
  }

  /** Before there is a job. Returns what to call with the bytes sent. */
  uploading(name, range, fields, bytes, stop) {
    const job = { ...fields, ...range, status: "processing", stage: "uploading", progress: 0, sourceType: "upload", metadata: { title: name }, uploads: bytes > 0 };
    const upload = (this.#upload = { job, stop, bytes, sent: 0, lost: false });
    this.showUpload();
    return (sent, lost = false) => {
      Object.assign(upload, { sent, lost });
      if (this.#seen === upload) this.#drawUpload();
    };
  }

  /** The upload under way, also for who comes back to it. */
  showUpload() {
    this.#begin();
    this.#seen = this.#upload;
    this.stopUpload = this.#upload.stop;
    this.#drawUpload();
  }

  #drawUpload() {
    const { job, bytes, sent, lost } = this.#upload;
    this.#draw({ ...job, progress: bytes ? (100 * sent) / bytes : 0 });
    const far = !bytes ? "" : sent < bytes ? `${size(sent)} of ${size(bytes)}` : "All of it is there; one moment.";
    find("outlook").textContent = lost ? "The connection is lost; the upload goes on by itself when it is back." : far;
  }

  /** Shows the job, follows it to its end, and then what came of it. */
  async open(id) {
    const signal = this.#begin();
    this.stopUpload = null;
    const looking = setInterval(() => this.#look(id, signal), LOOK);
    signal.addEventListener("abort", () => clearInterval(looking), { once: true });
    try {
      this.#draw(await readJob(id, signal));
      if (!isOver(this.#job)) await this.#follow(id, signal);
      clearInterval(looking);
      await this.#ended(await readJob(id, signal), signal);
    } catch (error) {
      clearInterval(looking);
      if (error.name !== "AbortError") this.#broken(error, id);
    }
  }

  async #follow(id, signal) {
    for await (const moment of moments(id, signal)) {
      if (moment.lost) find("outlook").textContent = "The connection is lost; trying again. Your clip goes on being made.";
      else this.#draw({ ...this.#job, ...moment });
    }
  }

  async #look(id, signal) {
    if (this.#job?.status !== "queued") return;
    const job = await readJob(id, signal).catch(() => null);
    if (job && !signal.aborted && this.#job?.status === "queued") this.#draw(job);
  }

  #draw(job) {
    this.#job = job;
    const percent = job.status === "queued" ? 0 : Math.floor(job.progress);
    find("job-title").textContent = plain(nameOf(job));
    find("job-about").textContent = rangeOf(job);
    chip(job);
    steps(job);
    show(find("progress"), !isOver(job));
    find("percent-words").textContent = stageWord(job.stage);
    find("percent").textContent = `${percent} %`;
    find("meter").value = percent;
    find("outlook").textContent = outlook(job);
    document.title = isOver(job) ? `${statusWord(job.status)} · Clipstream` : `${percent} % · Clipstream`;
    this.#announce(isOver(job) ? statusWord(job.status) : stageWord(job.stage));
  }

  /** Once a stage, not every percent. */
  #announce(said) {
    if (said === this.#stage) return;
    this.#stage = said;
    find("told").textContent = said;
  }

  async #ended(job, signal) {
    this.#draw(job);
    if (job.status === "done") {
      const shown = await showResult(job, signal);
      if (signal.aborted) return;
      show(shown, true);
    }
    if (job.status === "failed") this.tell(find("failure"), { ...job.error, message: sentence(job.error.message) });
    find("after").replaceChildren(...this.#next(job));
    this.ended();
  }

  #next(job) {
    const retry = job.status === "failed" ? [button("Try again", () => this.#retry(job.id), "primary")] : [];
    return [...retry, ...this.again(job)];
  }

  #broken(error, id) {
    show(find("progress"), false);
    this.tell(find("failure"), error);
    const retry = error.retryable ? [button("Try again", () => this.open(id), "primary")] : [];
    find("after").replaceChildren(...retry, ...this.again(null));
  }

  async #retry(id) {
    try {
      await call(`/api/jobs/${id}/retry`, { method: "POST" });
      await this.open(id);
    } catch (error) {
      this.tell(find("failure"), error);
    }
  }

  async #cancel() {
    if (this.stopUpload) return this.stopUpload();
    find("cancel").disabled = true;
    try {
      await call(`/api/jobs/${this.#job.id}`, { method: "DELETE" });
    } catch (error) {
      find("cancel").disabled = false;
      this.tell(find("failure"), error);
    }
  }
}

export const button = (label, act, kind) => element("button", { type: "button", class: kind, onclick: act }, label);

function chip(job) {
  find("job-chip").textContent = statusWord(job.status);
  find("job-chip").className = `chip ${job.status}`;
}

function steps(job) {
  const stages = stagesOf(job);
  const current = stages.indexOf(job.stage);
  const step = (stage, index) => element("li", { class: index < current ? "done" : "", "aria-current": index === current && "step" }, stageWord(stage));
  find("steps").replaceChildren(...stages.map(step));
}

function outlook({ status, queuePosition, estimatedSeconds }) {
  if (status !== "queued") return "";
  const place = queuePosition > 1 ? [`${queuePosition - 1} before yours`] : queuePosition === 1 ? ["Yours is next"] : [];
  const time = estimatedSeconds === undefined ? [] : [`${roughly(estimatedSeconds)} until it is done`];
  return [...place, ...time].join(", ");
}
