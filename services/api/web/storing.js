// A file's way straight into the storage: in parts, two at a time, each tried again, going on where it broke off for as long as the page lives.

import { call, refusal, unreachable } from "./api.js";
import { pause } from "./pause.js";
import { session } from "./storage.js";
import { Broken, transfer } from "./transfer.js";

const CLOSED = "clipstream.storageClosed";
const TRIES = 4;
const AT_ONCE = 2;
const MEDIA_TYPE = /^[\w.+-]+\/[\w.+-]+$/;
const OLD = 30000;
/* Milliseconds: URLs younger than this have not ended, so what refuses them refuses them all. */
const begun = new WeakMap();
/* Keys of uploads that are not complete, by file. */
let letsIn = false;

export const isClosed = () => session.getItem(CLOSED) !== null;

/** The key of the file, once all of it is there; null, and remembered, where the storage does not answer pages of this origin. */
export async function stored(file, given) {
  try {
    await sendAll(file, given);
    const uploadKey = begun.get(file);
    begun.delete(file);
    return uploadKey;
  } catch (error) {
    if (!error.retryable) await forget(begun.get(file));
    if (!(error instanceof Broken)) throw error;
    session.setItem(CLOSED, "yes");
    return null;
  } finally {
    if (given.signal.aborted || isClosed()) begun.delete(file);
  }
}

async function sendAll(file, given) {
  for (;;) {
    const ticket = await ticketOf(file, given.signal);
    const since = Date.now();
    try {
      return await putAll(file, ticket, given);
    } catch (error) {
      if (error.status !== 403 || Date.now() - since < OLD) throw error;
    }
  }
}

/** What is still to be sent, each part with a fresh URL. */
async function ticketOf(file, signal) {
  const left = begun.has(file) ? await call(path(begun.get(file)), { signal }).catch(gone) : null;
  if (left) return left;
  const contentType = MEDIA_TYPE.test(file.type) ? file.type : "application/octet-stream";
  const ticket = await call("/api/uploads", { method: "POST", body: { size: file.size, filename: file.name.slice(0, 200), contentType }, signal });
  begun.set(file, ticket.uploadKey);
  return { partSize: file.size, parts: [{ ...ticket, number: 1, size: file.size }], ...(ticket.parts && { partSize: ticket.partSize, parts: ticket.parts }) };
}

function gone(error) {
  if (![404, 409, 410].includes(error.status)) throw error;
  return null;
}

/** The first failure ends them all. */
async function putAll(file, { parts, partSize }, { signal, onprogress }) {
  const waiting = [...parts];
  const bytes = new Map(parts.map(({ number }) => [number, 0]));
  const there = file.size - parts.reduce((sum, { size }) => sum + size, 0);
  const halt = new AbortController();
  const told = (number) => (sent, lost) => {
    bytes.set(number, sent);
    onprogress(there + [...bytes.values()].reduce((sum, one) => sum + one, 0), lost);
  };
  const one = async () => {
    const part = waiting.shift();
    const begin = (part.number - 1) * partSize;
    await put(file.slice(begin, begin + part.size), part, { signal: AbortSignal.any([signal, halt.signal]), onprogress: told(part.number) });
  };
  const line = async () => {
    while (waiting.length) await one();
  };
  try {
    if (!letsIn && waiting.length) await one(); // which tells whether pages may write there at all
    await Promise.all(Array.from({ length: AT_ONCE }, line));
  } finally {
    halt.abort();
  }
}

/** Raises Broken where nothing ever got there: then pages may not write there at all. */
async function put(content, part, { signal, onprogress }) {
  const type = Object.entries(part.headers).filter(([name]) => name.toLowerCase() === "content-type");
  for (let tries = 1; ; tries += 1) {
    try {
      const answer = await transfer("PUT", part.url, content, { headers: Object.fromEntries(type), signal, onprogress });
      letsIn = true;
      if (answer.status < 300) return onprogress(content.size);
      if (answer.status < 500 || tries === TRIES) throw refusal(answer.status, "");
    } catch (error) {
      if (!(error instanceof Broken)) throw error;
      if (!letsIn && error.sent === 0 && navigator.onLine) throw error;
      if (tries === TRIES) throw unreachable(" What was sent is kept.");
    }
    onprogress(0, true);
    await online(signal);
    await pause(500 * 2 ** tries, signal);
  }
}

/** A device without any network is waited for, however long that takes. */
async function online(signal) {
  while (!navigator.onLine) await pause(1000, signal);
}

const path = (uploadKey) => `/api/uploads/${uploadKey.split("/")[1]}`;

/** An upload that nobody will use; what is left behind the service sweeps. */
const forget = (uploadKey) => uploadKey && call(path(uploadKey), { method: "DELETE" }).catch(() => {});
