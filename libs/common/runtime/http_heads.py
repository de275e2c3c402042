"""The heads of HTTP/1 messages that pass the egress proxy (RFC 9112): read into values, written anew. Pure."""

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from http import HTTPStatus

from libs.common.domain.failures import Code, Failure
from libs.common.domain.source_urls import DEFAULT_PORTS, host_and_port

_HOP_BY_HOP = frozenset(
    {b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"proxy-connection", b"te", b"upgrade"}
)
_REQUEST = re.compile(r"([A-Z]{1,20}) (\S+) HTTP/1\.([01])")
_ABSOLUTE = re.compile(r"http://([^/?#]*)(/[^#]*|\?[^#]*|)(?:#.*)?", re.IGNORECASE)
_STATUS = re.compile(rb"HTTP/1\.[01] ([1-5][0-9]{2})(?: .*)?")

REFUSED = {
    Code.VALIDATION_FAILED: HTTPStatus.BAD_REQUEST,
    Code.SSRF_BLOCKED: HTTPStatus.FORBIDDEN,
    Code.INPUT_TOO_LARGE: HTTPStatus.FORBIDDEN,
}


@dataclass(frozen=True, slots=True)
class ProxyRequest:
    """What a client asks of a proxy: `head` and then `body_bytes` of its own go to the host; a tunnel has no head and no end."""

    host: str
    port: int
    is_tunnel: bool
    head: bytes
    body_bytes: int
    authorization: bytes = field(repr=False)


def proxy_request(lines: Sequence[bytes]) -> ProxyRequest:
    """The request that a head's lines make, in absolute form or CONNECT. Raises Failure for anything else."""
    parts = _REQUEST.fullmatch(lines[0].decode("latin-1")) if lines else None
    if parts is None:
        raise _malformed("the request line is not one of HTTP/1.1")
    method, target, minor = parts.groups()
    fields = lines[1:]
    authorization = _value(fields, b"proxy-authorization") or b""
    if method == "CONNECT":
        host, port = host_and_port(target, DEFAULT_PORTS["https"])
        return ProxyRequest(host, port, is_tunnel=True, head=b"", body_bytes=sys.maxsize, authorization=authorization)
    absolute = _ABSOLUTE.fullmatch(target)
    if absolute is None:
        raise _malformed("a proxy is asked by CONNECT or for a whole http:// URL")
    host, port = host_and_port(absolute[1], DEFAULT_PORTS["http"])
    path = absolute[2] if absolute[2].startswith("/") else f"/{absolute[2]}"
    head = [f"{method} {path} HTTP/1.{minor}".encode("latin-1"), f"Host: {absolute[1]}".encode("latin-1")]
    head += _onward(fields, {b"host"})
    return ProxyRequest(host, port, is_tunnel=False, head=_written(head), body_bytes=_body_bytes(fields), authorization=authorization)


def answer_head(lines: Sequence[bytes]) -> tuple[int, bytes]:
    """The status of an answer, and its head as a proxy passes it on that closes after one answer. Raises Failure."""
    status = _status(lines)
    interim = status < HTTPStatus.OK
    return status, b"\r\n".join([*lines, b"", b""]) if interim else _written([lines[0], *_onward(lines[1:], frozenset())])


def _status(lines: Sequence[bytes]) -> int:
    parts = _STATUS.fullmatch(lines[0]) if lines else None
    if parts is None:
        raise Failure(Code.SOURCE_UNREADABLE, "the site does not speak HTTP")
    return int(parts[1])


def is_tunnel_open(lines: Sequence[bytes]) -> bool:
    """Whether a proxy's answer to CONNECT says that the tunnel stands. Raises Failure when it is no answer."""
    return HTTPStatus.OK <= _status(lines) < HTTPStatus.MULTIPLE_CHOICES


def connect_head(address: str, port: int, authorization: str | None) -> bytes:
    """What asks another proxy for a tunnel to this address."""
    authority = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
    lines = [f"CONNECT {authority} HTTP/1.1", f"Host: {authority}"]
    lines += [f"Proxy-Authorization: {authorization}"] if authorization else []
    return "\r\n".join([*lines, "", ""]).encode("ascii")


def refusal(failure: Failure) -> bytes:
    """A proxy's answer to what it does not do. The failure's code is the reason, which clients of a tunnel show, its text the body."""
    status = REFUSED.get(failure.code, HTTPStatus.BAD_GATEWAY)
    return _told(f"{status.value} {failure.code}", failure.message)


def wrong_credentials() -> bytes:
    return _told("407 Proxy Authentication Required", "this proxy belongs to a job", 'Proxy-Authenticate: Basic realm="job"')


def too_many() -> bytes:
    return _told("503 Too Many Connections", "this job has too many connections open")


def _told(status: str, text: str, *fields: str) -> bytes:
    body = f"{text}\n".encode()
    lines = [f"HTTP/1.1 {status}", "Content-Type: text/plain; charset=utf-8", f"Content-Length: {len(body)}", "Connection: close", *fields]
    return "\r\n".join([*lines, "", ""]).encode("ascii") + body


def _onward(fields: Sequence[bytes], dropped: set[bytes] | frozenset[bytes]) -> list[bytes]:
    """The fields that are meant for the other end (RFC 9110, 7.6.1)."""
    named = {option.strip().lower() for option in (_value(fields, b"connection") or b"").split(b",")}
    return [line for line in fields if _name(line) not in _HOP_BY_HOP | named | dropped]


def _written(lines: Sequence[bytes]) -> bytes:
    return b"\r\n".join([*lines, b"Connection: close", b"", b""])


def _body_bytes(fields: Sequence[bytes]) -> int:
    if _value(fields, b"transfer-encoding") is not None:
        raise _malformed("a request's body must say its Content-Length")
    length = _value(fields, b"content-length") or b"0"
    if not re.fullmatch(rb"[0-9]{1,18}", length):
        raise _malformed("the request's Content-Length is not a number")
    return int(length)


def _value(fields: Sequence[bytes], name: bytes) -> bytes | None:
    return next((line.partition(b":")[2].strip() for line in fields if _name(line) == name), None)


def _name(line: bytes) -> bytes:
    return line.partition(b":")[0].strip().lower()


def _malformed(message: str) -> Failure:
    return Failure(Code.VALIDATION_FAILED, message)
