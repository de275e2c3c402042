// One request with a large body, with its progress: fetch tells nothing of what was sent, so this is XMLHttpRequest.

import { cancelled } from "./api.js";

/** Nobody answered. `sent`: bytes that had gone when it broke. */
export class Broken extends Error {
  constructor(sent) {
    super("the connection broke");
    this.sent = sent;
  }
}

/** The answer's status, text and header Retry-After. Raises Broken, and AbortError when `signal` says so. */
export function transfer(method, url, body, { headers = {}, signal, onprogress = () => {} } = {}) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    let sent = 0;
    request.open(method, url);
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.upload.onprogress = ({ loaded }) => onprogress((sent = loaded));
    request.onload = () => resolve({ status: request.status, text: request.responseText, wait: later(request) });
    request.onerror = () => reject(new Broken(sent));
    request.onabort = () => reject(cancelled());
    signal?.addEventListener("abort", () => request.abort(), { once: true });
    if (signal?.aborted) reject(cancelled());
    else request.send(body);
  });
}

const later = (request) => (request.getAllResponseHeaders().includes("retry-after") ? request.getResponseHeader("retry-after") : null);
