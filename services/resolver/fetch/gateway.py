"""A loopback HTTP server, the only one that libav reads from: it gives files of other servers by ranges, and streams of pieces.

Little is read ahead: what libav does not take stays where it is.
"""

import re
import secrets
import socket
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import NamedTuple

from libs.common.domain.failures import Failure
from services.resolver.fetch.outside import Chunks

SEND_BUFFER_BYTES = 32 << 10
RECEIVE_BUFFER_BYTES = 32 << 10
"""For libav's end of the connection."""
IDLE_SECONDS = 300
_RANGE = re.compile(r"bytes=(\d{1,18})-(\d{0,18})", re.ASCII)


class Resource(NamedTuple):
    """`size` None: not known, and not seekable. `chunks` gives the bytes from a place on; raises Failure."""

    size: int | None
    chunks: Callable[[int], Chunks]


class Gateway(ThreadingHTTPServer):
    """`failure` is the first that another server answered with: libav itself only sees a connection that breaks."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, listening: socket.socket) -> None:
        super().__init__(listening.getsockname(), _Reading, bind_and_activate=False)
        self.socket.close()
        self.socket = listening
        self.failure: Failure | None = None
        self._resources: dict[str, Resource] = {}

    def add(self, resource: Resource) -> str:
        """The URL at which it is now."""
        path = f"/{secrets.token_urlsafe(24)}"
        self._resources[path] = resource
        return f"http://127.0.0.1:{self.socket.getsockname()[1]}{path}"

    def at(self, path: str) -> Resource | None:
        """A stream of pieces can be had once."""
        resource = self._resources.get(path)
        if resource and resource.size is None:
            del self._resources[path]
        return resource

    def check(self) -> None:
        """Raises the Failure that explains why libav could not read on."""
        if self.failure:
            raise self.failure

    @contextmanager
    def explaining(self) -> Iterator[None]:
        """Other servers' Failure, of this block, in place of what libav made of it."""
        self.failure = None
        try:
            yield
        except Failure:
            self.check()
            raise

    def handle_error(self, request: object, client_address: object) -> None:
        """Connections that break are what libav's seeks look like."""


class _Reading(BaseHTTPRequestHandler):
    server: Gateway
    protocol_version = "HTTP/1.1"
    timeout = IDLE_SECONDS

    def do_GET(self) -> None:
        resource = self.server.at(self.path)
        wanted = _range(self.headers.get("Range"), resource.size) if resource else None
        if resource is None or wanted is None:
            self.send_error(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE if resource else HTTPStatus.NOT_FOUND)
            return
        self._head(wanted, resource.size)
        try:
            with closing(resource.chunks(wanted.start)) as chunks:
                self._whole(chunks) if resource.size is None else self._part(chunks, len(wanted))
        except Failure as failure:
            self.server.failure = self.server.failure or failure

    def _head(self, wanted: range, size: int | None) -> None:
        self.send_response(HTTPStatus.OK if size is None else HTTPStatus.PARTIAL_CONTENT)
        self.send_header("Connection", "close")
        if size is None:
            self.send_header("Transfer-Encoding", "chunked")
        else:
            self.send_header("Content-Length", str(len(wanted)))
            self.send_header("Content-Range", f"bytes {wanted.start}-{wanted.stop - 1}/{size}")
        self.end_headers()

    def _part(self, chunks: Chunks, left: int) -> None:
        for chunk in chunks:
            self.wfile.write(chunk[:left])
            left -= len(chunk)
            if left <= 0:
                break

    def _whole(self, chunks: Chunks) -> None:
        """In HTTP's own chunks (RFC 9112, 7.1): the last one tells an end from a connection that broke."""
        for chunk in filter(None, chunks):
            self.wfile.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the library's name
        """Nothing: these are libav's own steps."""


def _range(header: str | None, size: int | None) -> range | None:
    """Of the one form that libav sends; None when it lies outside."""
    if size is None:
        return range(1 << 62)
    asked = _RANGE.fullmatch(header or "bytes=0-")
    if not asked:
        return None
    last = min(int(asked[2]), size - 1) if asked[2] else size - 1
    return range(int(asked[1]), last + 1) or None


def listen() -> socket.socket:
    listening = socket.create_server(("127.0.0.1", 0))
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
    return listening


@contextmanager
def open_gateway(listening: socket.socket | None = None) -> Iterator[Gateway]:
    """Raises the Failure that another server answered with, in place of what libav made of it."""
    gateway = Gateway(listening or listen())
    Thread(target=gateway.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield gateway
    finally:
        gateway.shutdown()
        gateway.server_close()
