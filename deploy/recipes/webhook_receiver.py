"""Fetches each clip as soon as it is done: a server for a job's callbackUrl. WEBHOOK_SECRET, PORT; the clips go to clips/.

Where Clipstream is, and the key: CLIPSTREAM_URL, CLIPSTREAM_API_KEY.
"""
# ruff: noqa: INP001, T201  a script: it is in no package, and prints

import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from clipstream import Clipstream, WebhookRefused, verify_webhook

LARGEST = 1 << 20


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(min(int(self.headers.get("content-length", 0)), LARGEST))
        try:
            event = verify_webhook(body, dict(self.headers), os.environ["WEBHOOK_SECRET"])
        except WebhookRefused:
            return self.answer(401)
        self.answer(204)  # first: a receiver that takes long is asked again
        if event.type == "job.done":
            with Clipstream() as service:
                print(*service.download(event.job.id, "clips", only=["video"]).values(), flush=True)

    def answer(self, status: int) -> None:
        self.send_response(status)
        self.end_headers()


ThreadingHTTPServer(("", int(os.environ.get("PORT", "8000"))), Receiver).serve_forever()
