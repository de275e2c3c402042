"""A small site of files on loopback, and the OpenUrl that the lead's code gives: here on urllib. Counts the bytes of bodies sent."""

import re
import threading
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPResponse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.error import HTTPError, URLError

from libs.common.domain.failures import Code, Failure


@dataclass
class Asked:
    path: str
    range: range | None


@dataclass
class Site:
    """What lies in `folder`. `faults` by path: without_ranges, wrong_range, breaks_off, grows, missing."""

    folder: Path
    origin: str = ""
    asked: list[Asked] = field(default_factory=list)
    sent: int = 0
    faults: dict[str, str] = field(default_factory=dict)

    def url(self, name: str) -> str:
        return f"{self.origin}/{name}"


@contextmanager
def open_site(folder: Path) -> Iterator[Site]:
    site = Site(folder)

    class Handler(_Handler):
        pass

    Handler.site = site
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads, server.block_on_close = True, False
    server.handle_error = lambda *_: None  # readers that go away are what is tested
    site.origin = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    site: Site

    def do_GET(self) -> None:
        name = self.path.lstrip("/").split("?")[0]
        fault = self.site.faults.get(name)
        if name.startswith("moved/"):
            self.send_response(302)
            self.send_header("Location", f"/{name.removeprefix('moved/')}")
            self.end_headers()
            return
        if fault == "missing" or not (self.site.folder / name).is_file():
            self.site.asked.append(Asked(name, None))
            self.send_error(404)
            return
        data = (self.site.folder / name).read_bytes()
        told = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range") or "")
        wanted = range(int(told[1]), min(int(told[2]) + 1, len(data))) if told and fault != "without_ranges" else None
        self.site.asked.append(Asked(name, wanted))
        self._answer(data, wanted, fault)

    def _answer(self, data: bytes, wanted: range | None, fault: str | None) -> None:
        body = data[wanted.start : wanted.stop] if wanted else data
        self.send_response(206 if wanted else 200)
        self.send_header("Content-Length", str(len(body)))
        if wanted:
            first = wanted.start + (fault == "wrong_range" and wanted.start > 0)
            size = len(data) + (len(self.site.asked) if fault == "grows" else 0)
            self.send_header("Content-Range", f"bytes {first}-{wanted.stop - 1}/{size}")
        self.end_headers()
        if fault == "breaks_off" and len(body) > 100_000:
            body = body[: len(body) * 2 // 3]
        for at in range(0, len(body), 16 << 10):
            self.wfile.write(body[at : at + (16 << 10)])
            self.site.sent += len(body[at : at + (16 << 10)])

    def log_message(self, *_: object) -> None: ...


class Answered:
    """urllib's answer as the Answer of tracks.py."""

    def __init__(self, answer: HTTPResponse) -> None:
        self._answer = answer
        self.url = answer.url
        self.status = answer.status
        self.headers = dict(answer.headers)

    def read(self, amount: int) -> bytes:
        return self._answer.read(amount)

    def close(self) -> None:
        self._answer.close()


def open_url(url: str, headers: Mapping[str, str]) -> Answered:
    try:
        return Answered(urllib.request.urlopen(urllib.request.Request(url, headers=dict(headers)), timeout=10))  # noqa: S310  # our own site
    except HTTPError as error:
        raise Failure(Code.SOURCE_FORBIDDEN if error.code == 403 else Code.NOT_FOUND, f"the site answered {error.code}") from None
    except URLError:
        raise Failure(Code.RETRYABLE_ERROR, "the site is down") from None
