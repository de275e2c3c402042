// How a file gets there: straight into the storage where that lets this page in, else through the API together with the job.

import { call, headers, refusal, unreachable } from "./api.js";
import { isClosed, stored } from "./storing.js";
import { Broken, transfer } from "./transfer.js";

const sent = new WeakMap();
/* Upload keys by file: another clip of it needs no second upload. */

/** The job made of `file` and `fields`, as POST /api/jobs answers it. `onprogress` gets bytes. Raises ApiError, AbortError. */
export async function makeOf(file, fields, { idempotencyKey, signal, onprogress }) {
  const before = sent.get(file);
  const uploadKey = before ?? (isClosed() ? null : await stored(file, { signal, onprogress }));
  if (!uploadKey) return through(file, fields, { idempotencyKey, signal, onprogress });
  sent.set(file, uploadKey);
  onprogress(file.size);
  try {
    return await create({ sourceType: "upload", uploadKey, ...fields }, { idempotencyKey, signal });
  } catch (error) {
    if (error.field !== "uploadKey") throw error;
    sent.delete(file);
    if (!before) throw error; // else it has expired meanwhile
    return makeOf(file, fields, { idempotencyKey: crypto.getRandomValues(new Uint32Array(4)).join("-"), signal, onprogress });
  }
}

export const create = (body, { idempotencyKey, signal }) =>
  call("/api/jobs", { method: "POST", body, signal, more: { "idempotency-key": idempotencyKey } });

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
