"""HTTP/1.1 as uvicorn speaks it with httptools, but for what httptools does not bound, check or know.

What is no HTTP request is refused in our envelope too. Methods are the application's to judge, so one that httptools has not heard of
goes to h11, which takes any. It costs four times as much, and the connection stays with it.
"""

from uuid import uuid4

import h11
import httptools
import msgspec
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from libs.common.domain.failures import Code, Failure
from services.api.problems import HTTP_PROBLEMS, error_answer
from services.api.security_headers import ALWAYS

MOST_HELD = 64 * 1024
"""Bytes that the parser may hold: of a head that has no end yet, of trailers, of a chunk's extensions."""


class EnvelopeProtocol(HttpToolsProtocol):
    """One connection."""

    _held = 0
    """Bytes that came since the parser last passed something on."""
    _has_passed = False
    """Whether it has, of what came last."""
    _is_between = True
    """Whether the next byte begins a request."""

    def data_received(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        self._has_passed, was_between = False, self._is_between
        try:
            self._feed(data)
        except httptools.HttpParserInvalidMethodError:
            if was_between and not self._is_answering:
                self._hand_over(data)
            else:
                self.send_400_response("")
        except httptools.HttpParserError:
            self.send_400_response("")
        else:
            self._held = 0 if self._has_passed else self._held + len(data)
            if self._held > MOST_HELD:
                self.send_400_response("")

    def _feed(self, data: bytes) -> None:
        """A request that asks for another protocol is answered as if it had not, and the parser goes on behind it."""
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as asked:
            if rest := data[asked.args[0] :]:
                self._feed(rest)

    @property
    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _hand_over(self, data: bytes) -> None:
        other = AnyMethodProtocol(self.config, self.server_state, self.app_state)
        self.connections.discard(self)
        other.connection_made(self.transport)
        self.transport.set_protocol(other)
        other.data_received(data)

    def on_message_begin(self) -> None:
        self._is_between = False
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Trailers are not taken: the application has the headers by then."""
        if "method" not in self.scope:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """RFC 9112 section 3.2: a request of HTTP/1.1 names one host."""
        self._has_passed = True
        if self.parser.get_http_version() != "1.0" and [name for name, _ in self.headers].count(b"host") != 1:
            raise ValueError("not one Host")
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._has_passed = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._is_between = self._has_passed = True
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002  uvicorn's words
        if not self._is_answering or not self.cycle.response_started:
            self.transport.write(_refusal())
        self.transport.close()


class AnyMethodProtocol(H11Protocol):
    """One connection on which a request came whose method httptools does not know."""

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002  uvicorn's words
        """A peer that broke off in the middle of an exchange has no answer to get."""
        if self.conn.our_state in {h11.IDLE, h11.SEND_RESPONSE}:
            self.transport.write(_refusal())
        self.transport.close()


def _refusal() -> bytes:
    """A whole answer."""
    correlation_id = str(uuid4())
    HTTP_PROBLEMS.labels(Code.BAD_REQUEST).inc()
    body = msgspec.json.encode(error_answer(Failure(Code.BAD_REQUEST, "this is not an HTTP request"), correlation_id))
    headers = {
        **ALWAYS,
        b"content-type": b"application/json",
        b"content-length": str(len(body)).encode(),
        b"x-correlation-id": correlation_id.encode(),
        b"connection": b"close",
    }
    return b"HTTP/1.1 400 Bad Request\r\n" + b"".join(b"%b: %b\r\n" % header for header in headers.items()) + b"\r\n" + body
