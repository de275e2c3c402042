"""Heads as a proxy reads and writes them: whatever comes, a value or a Failure, and never a line more than was meant."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from libs.common.domain.failures import Code, Failure
from libs.common.runtime.http_heads import answer_head, connect_head, is_tunnel_open, proxy_request, refusal

LINES = st.lists(st.binary(max_size=60).map(lambda line: line.replace(b"\n", b"")), max_size=6)
NEARLY = st.tuples(
    st.sampled_from([b"GET ", b"CONNECT ", b"POST http://", b"GET HTTP://", b"get "]),
    st.text("abc.:@/?#[]%\\ é1", max_size=20).map(lambda text: text.encode("latin-1")),
    st.sampled_from([b" HTTP/1.1", b" HTTP/1.0", b" HTTP/2", b""]),
).map(lambda parts: [b"".join(parts)])


def refused(failure: Failure, *codes: Code) -> None:
    assert failure.code in codes


@given(LINES | NEARLY)
@example([])
def test_whatever_is_asked_becomes_a_request_or_a_failure(lines: list[bytes]) -> None:
    try:
        made = proxy_request(lines)
    except Failure as failure:
        return refused(failure, Code.VALIDATION_FAILED, Code.SSRF_BLOCKED)
    assert made.host
    assert made.is_tunnel == (made.head == b"")
    assert made.head.count(b"\n") <= len(lines) + 3


@given(LINES)
@example([])
@example([b"HTTP/1.1 200"])
def test_whatever_is_answered_becomes_a_head_or_a_failure(lines: list[bytes]) -> None:
    try:
        status, head = answer_head(lines)
    except Failure as failure:
        return refused(failure, Code.SOURCE_UNREADABLE)
    assert 100 <= status < 600
    assert head.endswith(b"\r\n\r\n")


@pytest.mark.parametrize(
    ("target", "host", "port", "line"),
    [
        ("http://video.test", "video.test", 80, b"GET / HTTP/1.1"),
        ("http://video.test?x", "video.test", 80, b"GET /?x HTTP/1.1"),
        ("HTTP://video.test:81/a//b?c#d", "video.test", 81, b"GET /a//b?c HTTP/1.1"),
        ("http://[2606:4700::1]:81/", "[2606:4700::1]", 81, b"GET / HTTP/1.1"),
    ],
)
def test_a_whole_url_is_taken_apart(target: str, host: str, port: int, line: bytes) -> None:
    made = proxy_request([f"GET {target} HTTP/1.1".encode()])
    assert (made.host, made.port, made.head.split(b"\r\n")[0]) == (host, port, line)


def test_the_host_that_is_connected_to_is_the_one_that_is_told() -> None:
    made = proxy_request([b"GET http://video.test/ HTTP/1.0", b"Host: inside.test", b"Accept: x"])
    assert made.head == b"GET / HTTP/1.0\r\nHost: video.test\r\nAccept: x\r\nConnection: close\r\n\r\n"


def test_the_credentials_of_a_request_do_not_show() -> None:
    made = proxy_request([b"CONNECT video.test:443 HTTP/1.1", b"proxy-authorization:  Basic c2VjcmV0 "])
    assert made.authorization == b"Basic c2VjcmV0"
    assert "c2VjcmV0" not in repr(made)


def test_a_tunnel_is_asked_for_by_address() -> None:
    assert connect_head("2606:4700::1", 443, None) == b"CONNECT [2606:4700::1]:443 HTTP/1.1\r\nHost: [2606:4700::1]:443\r\n\r\n"
    assert is_tunnel_open([b"HTTP/1.0 200"])
    assert not is_tunnel_open([b"HTTP/1.1 301 Moved"])


@pytest.mark.parametrize(
    ("code", "line"),
    [(Code.SSRF_BLOCKED, b"HTTP/1.1 403 SSRF_BLOCKED"), (Code.RETRYABLE_ERROR, b"HTTP/1.1 502 RETRYABLE_ERROR")],
)
def test_a_refusal_names_the_code_and_says_what_to_do(code: Code, line: bytes) -> None:
    head, _, body = refusal(Failure(code, "use another URL")).partition(b"\r\n\r\n")
    assert head.split(b"\r\n")[0] == line
    assert body == b"use another URL\n"
