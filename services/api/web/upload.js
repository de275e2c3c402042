// How a file gets there: straight into the storage where that lets this page in, else through the API together with the job.

import { call, cancelled, headers, refusal, unreachable } from "./api.js";
import { Broken, transfer } from "./transfer.js";

const CLOSED = "clipstream.storageClosed";
const TRIES = 4;
const MEDIA_TYPE = /^[\w.+-]+\/[\w.+-]+$/;
const sent = new WeakMap();
/* Upload keys by file: another clip of it needs no second upload. */

/** The job made of `file` and `fields`, as POST /api/jobs answers it. `onprogress` gets bytes. Raises ApiError, AbortError. */
export async function makeOf(file, fields, { idempotencyKey, signal, onprogress }) {
  if (!sent.has(file) && !sessionStorage.getItem(CLOSED)) await store(file, { signal, onprogress });
  if (!sent.has(file)) return through(file, fields, { idempotencyKey, signal, onprogress });
  onprogress(file.size);
  try {
    return await create({ sourceType: "upload", uploadKey: sent.get(file), ...fields }, { idempotencyKey, signal });
  } catch (error) {
    if (error.field !== "uploadKey") throw error;
    sent.delete(file); // it has expired meanwhile
    return makeOf(file, fields, { idempotencyKey: crypto.getRandomValues(new Uint32Array(4)).join("-"), signal, onprogress });
  }
}

export const create = (body, { idempotencyKey, signal }) =>
  call("/api/jobs", { method: "POST", body, signal, more: { "idempotency-key": idempotencyKey } });

/** Puts the file into the storage; leaves that be, and remembers it, where the storage does not answer pages of this origin. */
async function store(file, { signal, onprogress }) {
  const contentType = MEDIA_TYPE.test(file.type) ? file.type : "application/octet-stream";
  const ticket = await call("/api/uploads", { method: "POST", body: { size: file.size, filename: file.name.slice(0, 200), contentType }, signal });
  try {
    await putAll(file, ticket, { signal, onprogress });
    sent.set(file, ticket.uploadKey);
  } catch (error) {
    await forget(ticket.uploadKey);
    if (!(error instanceof Broken)) throw error;
    sessionStorage.setItem(CLOSED, "yes");
  }
}

async function putAll(file, ticket, { signal, onprogress }) {
  const parts = ticket.parts ?? [{ number: 1, size: file.size, url: ticket.url, headers: ticket.headers }];
  const each = ticket.partSize ?? file.size;
  for (const part of parts) {
    const begin = (part.number - 1) * each;
    await put(file.slice(begin, begin + part.size), part, { signal, first: begin === 0, onprogress: (bytes) => onprogress(begin + bytes) });
  }
}

/** Raises Broken where the very first request got nowhere: then pages may not write there at all. */
async function put(content, part, { signal, first, onprogress }) {
  const type = Object.entries(part.headers).filter(([name]) => name.toLowerCase() === "content-type");
  for (let tries = 1; ; tries += 1) {
    try {
      const answer = await transfer("PUT", part.url, content, { headers: Object.fromEntries(type), signal, onprogress });
      if (answer.status < 300) return;
      if (answer.status < 500 || tries === TRIES) throw refusal(answer.status, answer.text);
    } catch (error) {
      if (!(error instanceof Broken)) throw error;
      if (first && error.sent === 0 && navigator.onLine) throw error;
      if (tries === TRIES) throw unreachable();
    }
    await pause(500 * 2 ** tries, signal);
  }
}

/** An upload that nobody will use; what is left behind the service sweeps. */
const forget = (uploadKey) => call(`/api/uploads/${uploadKey.split("/")[1]}`, { method: "DELETE" }).catch(() => {});

async function through(file, fields, { idempotencyKey, signal, onprogress }) {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) form.append(name, written(value));
  form.append("file", file, file.name);
  let answer;
  try {
    answer = await transfer("POST", "/api/jobs/upload", form, { headers: headers({ "idempotency-key": idempotencyKey }), signal, onprogress: (bytes) => onprogress(Math.min(bytes, file.size)) });
  } catch (error) {
    throw error instanceof Broken ? unreachable() : error;
  }
  if (answer.status >= 300) throw refusal(answer.status, answer.text, answer.wait);
  return JSON.parse(answer.text);
}

/** As a form's field says it: lists by commas, labels as JSON. */
const written = (value) => (typeof value === "object" && !Array.isArray(value) ? JSON.stringify(value) : String(value));

export const pause = (milliseconds, signal) =>
  new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, milliseconds);
    signal?.addEventListener("abort", () => (clearTimeout(timer), reject(cancelled())), { once: true });
  });
