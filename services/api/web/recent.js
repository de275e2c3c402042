// The list of this visitor's jobs, newest first, a page at a time.

import { call } from "./api.js";
import { element, find, plain, show } from "./dom.js";
import { ago } from "./times.js";
import { nameOf, rangeOf, statusWord } from "./words.js";

const PAGE = 8;

export class Recent {
  #cursor = null;

  constructor(tell) {
    this.tell = tell;
    find("recent-more").addEventListener("click", () => this.#load(this.#cursor));
  }

  /** From the newest on. */
  load() {
    return this.#load(null);
  }

  async #load(cursor) {
    try {
      const page = await call(`/api/jobs?limit=${PAGE}${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ""}`);
      this.#cursor = page.nextCursor ?? null;
      this.#list(page.jobs.map(row), cursor !== null);
      show(find("recent-error"), false);
    } catch (error) {
      show(find("recent-none"), false);
      if (error.status === 401) this.#forget(); // the key is being asked for
      else this.tell(find("recent-error"), error);
    }
  }

  /** What another key may have shown. */
  #forget() {
    find("recent-list").replaceChildren();
    for (const part of ["recent-more", "recent-error"]) show(find(part), false);
  }

  #list(rows, isMore) {
    const list = find("recent-list");
    if (isMore) list.append(...rows);
    else list.replaceChildren(...rows);
    if (isMore) rows[0]?.querySelector("a").focus();
    show(find("recent-none"), list.children.length === 0);
    show(find("recent-more"), this.#cursor !== null);
  }
}

function row(job) {
  return element(
    "li",
    {},
    element(
      "a",
      { href: `#job=${job.id}` },
      element("bdi", {}, plain(nameOf(job))),
      element("small", {}, `${rangeOf(job)} · ${ago(job.createdAt)}`),
      element("span", { class: `chip ${job.status}` }, job.status === "processing" ? `${Math.round(job.progress)} %` : statusWord(job.status)),
    ),
  );
}
