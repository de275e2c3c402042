// A job as it goes on: its event stream, resumed where it broke off, and a plain look at the job where streams don't get through.

import { call, send } from "./api.js";
import { pause } from "./pause.js";

const SILENCE = 40000;
/* Milliseconds: the service says something every 15 s, so a stream that says nothing for longer is dead. */
const PAUSE = 2000;
const LONGEST_PAUSE = 15000;
export const isOver = ({ status }) => !["queued", "processing"].includes(status);

export const readJob = async (id, signal) => (await call(`/api/jobs/${id}`, { signal })).job;

/** Yields {status, stage, progress} as they change, and {lost: true} while nobody answers; ends with the job. Raises ApiError, AbortError. */
export async function* moments(id, signal) {
  const place = { last: null };
  for (let pauses = 0; ; pauses += 1) {
    try {
      for await (const moment of stream(id, place, signal)) {
        pauses = 0;
        yield moment;
        if (isOver(moment)) return;
      }
    } catch (error) {
      if (!isPassing(error)) throw error;
    }
    const job = yield* look(id, signal);
    if (job && isOver(job)) return;
    await pause(Math.min(PAUSE * 1.5 ** pauses, LONGEST_PAUSE), signal);
  }
}

async function* look(id, signal) {
  try {
    const job = await readJob(id, signal);
    yield job;
    return job;
  } catch (error) {
    if (!isPassing(error)) throw error;
    yield { lost: true };
    return null;
  }
}

const isPassing = (error) => error.name === "StreamBroke" || Boolean(error.retryable);

function broke() {
  return Object.assign(new Error("the stream broke"), { name: "StreamBroke" });
}

/** The `job` of each event. Server-Sent Events by fetch: EventSource can't send a key. */
async function* stream(id, place, signal) {
  const silence = new AbortController();
  const answer = await send(`/api/jobs/${id}/events`, {
    signal: AbortSignal.any([signal, silence.signal]),
    more: { accept: "text/event-stream", ...(place.last && { "last-event-id": place.last }) },
  });
  if (answer.status === 204) return;
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const { value, done } = await heard(reader, silence);
      if (done) return;
      const frames = (rest + value).split("\n\n");
      rest = frames.pop();
      for (const frame of frames) yield* told(frame, place);
    }
  } catch (error) {
    throw signal.aborted ? error : broke();
  } finally {
    silence.abort();
  }
}

async function heard(reader, silence) {
  const timer = setTimeout(() => silence.abort(), SILENCE);
  try {
    return await reader.read();
  } finally {
    clearTimeout(timer);
  }
}

function* told(frame, place) {
  const lines = frame.split("\n").map((line) => [line.slice(0, Math.max(0, line.indexOf(":"))), line.slice(line.indexOf(":") + 1).replace(/^ /, "")]);
  const fields = Object.fromEntries(lines);
  if (fields.id) place.last = fields.id;
  if (fields.data) yield JSON.parse(fields.data).job;
}
