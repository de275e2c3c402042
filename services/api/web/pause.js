// Time that passes, unless the visitor goes elsewhere.

import { cancelled } from "./api.js";

/** Raises AbortError once `signal` says so. */
export function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const done = () => (signal?.removeEventListener("abort", stop), resolve());
    const timer = setTimeout(done, milliseconds);
    const stop = () => (clearTimeout(timer), reject(cancelled()));
    if (signal?.aborted) stop();
    else signal?.addEventListener("abort", stop, { once: true });
  });
}
