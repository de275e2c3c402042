"""HTTP/1.1 on the wire: what is refused before any route sees it, and what is not."""

import asyncio
from contextlib import suppress

import httpx
import pytest

from services.api.protocol import MOST_HELD
from tests.api.conftest import Running

GET = b"GET /healthz HTTP/1.1\r\nHost: x\r\n"
LAST = b"Connection: close\r\n\r\n"
CHUNKED = b"POST /api/uploads HTTP/1.1\r\nHost: x\r\nX-Request-Id: mine\r\nTransfer-Encoding: chunked\r\n"


async def told(api: Running, *sent: bytes) -> list[httpx.Response]:
    """All answers on one connection, which the server closes."""
    reader, writer = await asyncio.open_connection(api.http.base_url.host, api.http.base_url.port)
    for part in sent:
        writer.write(part)
        await writer.drain()
    rest, answers = await asyncio.wait_for(reader.read(), 10), []
    writer.close()
    while rest:
        head, _, rest = rest.partition(b"\r\n\r\n")
        status, *lines = head.split(b"\r\n")
        headers = httpx.Headers([tuple(line.split(b": ", 1)) for line in lines])
        length = int(headers["content-length"])
        answers.append(httpx.Response(int(status.split()[1]), headers=headers, content=rest[:length]))
        rest = rest[length:]
    return answers


def codes(answers: list[httpx.Response]) -> list[object]:
    return [answer.status_code if answer.is_success else (answer.status_code, answer.json()["error"]["code"]) for answer in answers]


async def test_requests_that_follow_each_other_at_once_are_answered_in_turn(api: Running) -> None:
    answers = await told(api, GET + b"X-Request-Id: one\r\n\r\n" + GET + b"X-Request-Id: two\r\n" + LAST)
    assert [(answer.status_code, answer.headers["x-correlation-id"]) for answer in answers] == [(200, "one"), (200, "two")]


@pytest.mark.parametrize("host", [b"", b"Host: x\r\nHost: y\r\n"])
async def test_a_request_without_one_host_is_refused(api: Running, host: bytes) -> None:
    assert codes(await told(api, b"GET /healthz HTTP/1.1\r\n" + host + LAST)) == [(400, "BAD_REQUEST")]


async def test_a_host_that_can_be_none_is_refused(api: Running) -> None:
    assert codes(await told(api, b"GET /healthz HTTP/1.1\r\nHost: a b\r\n" + LAST)) == [(400, "BAD_REQUEST")]


@pytest.mark.parametrize(
    "endless",
    [
        GET + b"X-Long: " + b"x" * (8 * MOST_HELD),
        GET + b"X-Many: x\r\n" * (MOST_HELD // 5),
        b"GET /" + b"x" * (8 * MOST_HELD),
        CHUNKED + b"\r\n0\r\nX-Long: " + b"x" * (8 * MOST_HELD),
        CHUNKED + b"\r\n1;" + b"x" * (8 * MOST_HELD),
    ],
)
async def test_what_never_becomes_a_request_is_not_held(api: Running, endless: bytes) -> None:
    """Who still sends while the connection is closed may see it reset, and not the answer."""
    before = await api.counted("clip_http_problems_total", code="BAD_REQUEST")
    reader, writer = await asyncio.open_connection(api.http.base_url.host, api.http.base_url.port)
    with suppress(ConnectionError):
        writer.write(endless)
        await asyncio.wait_for(reader.read(), 10)
    writer.close()
    assert await api.counted("clip_http_problems_total", code="BAD_REQUEST") == before + 1


async def test_trailers_change_nothing(api: Running) -> None:
    [answer] = await told(api, CHUNKED + LAST + b"1\r\n{\r\n0\r\nX-Request-Id: theirs\r\n\r\n")
    assert (answer.status_code, answer.headers["x-correlation-id"]) == (400, "mine")


async def test_a_method_that_nobody_knows_is_the_applications_to_refuse_also_behind_others(api: Running) -> None:
    first = await told(api, b"BREW /api/jobs HTTP/1.1\r\nHost: x\r\n\r\n" + GET + LAST)
    assert codes(first) == [(405, "METHOD_NOT_ALLOWED"), 200]


async def test_a_body_is_never_taken_for_a_request_of_such_a_method(api: Running) -> None:
    """The answer goes out before the body is there; what follows is still the body, then no request."""
    refused = b"POST /nothing HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 40\r\n\r\n"
    reader, writer = await asyncio.open_connection(api.http.base_url.host, api.http.base_url.port)
    writer.write(refused)
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length"))
    await reader.readexactly(length)
    writer.write(b"DELETE /api/jobs/x HTTP/1.1\r\nHost: x\r\n\r\n" + b"BREW / HTTP/1.1\r\nHost: x\r\n\r\n")
    rest = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    assert rest.count(b"HTTP/1.1 ") == 1
    assert rest.startswith(b"HTTP/1.1 400 ")


async def test_an_upgrade_that_is_not_spoken_is_answered_as_if_it_had_not_been_asked_for(api: Running) -> None:
    upgrade = b"Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
    assert codes(await told(api, GET + upgrade, GET + LAST)) == [200, 200]
