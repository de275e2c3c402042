"""The link, between a real client and a real server."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
from aiohttp import web

from bench.link import Link, link_to

BODY = b"x" * 300_000


@asynccontextmanager
async def server() -> AsyncIterator[str]:
    async def answer(_: web.BaseRequest) -> web.Response:
        return web.Response(body=BODY)

    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def got(url: str, times: int) -> float:
    began = time.monotonic()
    async with aiohttp.ClientSession() as http:
        for _ in range(times):
            async with http.get(url) as answer:
                assert await answer.read() == BODY
    return time.monotonic() - began


async def test_the_bytes_that_came_down_and_the_requests_are_counted() -> None:
    async with server() as url, link_to(url, Link()) as link:
        await got(link.url, 3)
        assert link.requests == 3
        assert 3 * len(BODY) < link.bytes_down < 3 * (len(BODY) + 1000)


async def test_each_request_on_one_connection_is_delayed_and_each_answer_paced() -> None:
    async with server() as url, link_to(url, Link(delay=0.1)) as late, link_to(url, Link(rate=3e6)) as slow:
        delayed, paced = await asyncio.gather(got(late.url, 3), got(slow.url, 3))
        assert 0.3 <= delayed < 3
        assert 0.28 <= paced < 3
