// The API as this page calls it: same origin, the visitor's key in a header, and every refusal as one ApiError.

import { device, session } from "./storage.js";

const KEY = "clipstream.key";

/* What to do, for who sits before a page, where the API's own hint speaks to programs. */
const HERE = {
  UNAUTHORIZED: "Enter your key above.",
  FORBIDDEN: "Use another key: choose Key at the top.",
  NOT_FOUND: "It may have been deleted, or it belongs to another key.",
  GONE: "Its time is over, and its files are deleted. Make it anew.",
  VALIDATION_FAILED: "Correct it and try again.",
  BAD_REQUEST: "Reload the page and try again.",
  RATE_LIMITED: "",
  BACKPRESSURE: "There is much to do just now.",
  NO_ANSWER: "It may be restarting. Try again in a moment.",
  INTERNAL: "Try again; if it happens again, tell whoever runs this service the reference.",
};

export class ApiError extends Error {
  /** `status` 0: nobody answered. `wait` in seconds, where the service named one. */
  constructor({ status = 0, code = "UNREACHABLE", message, hint = "", field = "", wait = 0, reference = "" }) {
    super(message);
    Object.assign(this, { status, code, hint, field, wait, reference });
  }

  get retryable() {
    return this.status === 0 || this.status === 429 || this.status >= 502;
  }
}

export const unreachable = (more = "") =>
  new ApiError({ message: "The service can't be reached.", hint: `Check your connection; it may also be restarting. Then try again.${more}` });

export const cancelled = () => new DOMException("cancelled by the visitor", "AbortError");

export const key = {
  get: () => session.getItem(KEY) ?? device.getItem(KEY) ?? "",
  set(value, remember) {
    key.forget();
    (remember ? device : session).setItem(KEY, value);
  },
  forget() {
    session.removeItem(KEY);
    device.removeItem(KEY);
  },
};

/** What is wrong with a key as it was typed or pasted; nothing else may go into a header. */
export const faultOf = (written) => (/^[!-~]+$/.test(written) ? "" : "This is no key: keys have no spaces, and only plain letters, digits and signs.");

/** What a caller gets told when a key is missing or wrong; app.js shows the field for it. */
export const keyNeeded = new EventTarget();

export const headers = (more = {}) => ({ ...(key.get() && { "x-api-key": key.get() }), ...more });

/** The answer to one request, still to be read. Raises ApiError, and AbortError for one that was cancelled. */
export async function send(path, { method = "GET", body, signal, more = {} } = {}) {
  const content = body === undefined ? {} : { "content-type": "application/json" };
  let answer;
  try {
    answer = await fetch(path, { method, signal, headers: headers({ ...content, ...more }), body: body && JSON.stringify(body), cache: "no-store" });
  } catch (error) {
    throw error.name === "AbortError" ? error : unreachable();
  }
  if (answer.ok) return answer;
  throw refusal(answer.status, await answer.text(), answer.headers.get("retry-after"));
}

export async function call(path, options) {
  const answer = await send(path, options);
  return answer.status === 204 ? {} : answer.json();
}

/** An error answer, of the API or of something before it that speaks no JSON. */
export function refusal(status, text, wait) {
  const said = read(text)?.error ?? { code: "NO_ANSWER", message: `The service answered ${status}.` };
  const { code, message, correlationId, details = {} } = said;
  if (status === 401) keyNeeded.dispatchEvent(new Event("needed"));
  return new ApiError({ status, code, message: sentence(message), hint: HERE[code] ?? details.hint, field: details.field, wait: Number(wait) || 0, reference: correlationId });
}

function read(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** The API's messages begin small and end without a stop. */
export const sentence = (text) => (text ? `${text[0].toUpperCase()}${text.slice(1)}${/[.!?…]$/.test(text) ? "" : "."}` : "");
