"""An egress proxy for a test, and a client that speaks to it byte by byte."""

import asyncio
import base64
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from libs.common.runtime.egress_connections import Upstream
from libs.common.runtime.egress_proxy import Allowance, EgressProxy, egress_proxy
from tests.dns_stub import Answer
from tests.runtime.outside import INSIDE, OUTSIDE, Site, guarding

MIB = 1 << 20
PLENTY = Allowance(64 * MIB)


@asynccontextmanager
async def proxying(
    *sites: Site, allowance: Allowance = PLENTY, answers: Mapping[str, Sequence[Answer]] | None = None, upstream: Upstream | None = None
) -> AsyncIterator[EgressProxy]:
    answers = {"video.test": [[OUTSIDE]], "secure.test": [[OUTSIDE]], "inside.test": [[INSIDE]], **(answers or {})}
    async with guarding(*sites, answers=answers) as (guard, _), egress_proxy(guard, allowance, upstream) as proxy:
        yield proxy


@asynccontextmanager
async def connection(proxy: EgressProxy) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection(INSIDE, proxy.port)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


def credentials(proxy: EgressProxy) -> str:
    return "Proxy-Authorization: Basic " + base64.b64encode(urlsplit(proxy.url).netloc.rpartition("@")[0].encode()).decode()


def request(proxy: EgressProxy, line: str, *fields: str) -> bytes:
    return "\r\n".join([line, credentials(proxy), *fields, "", ""]).encode()


async def told(proxy: EgressProxy, line: str, *fields: str) -> bytes:
    """All that the proxy says to a request."""
    async with asyncio.timeout(40), connection(proxy) as (reader, writer):
        writer.write(request(proxy, line, *fields))
        return await reader.read()


@asynccontextmanager
async def tunnel(proxy: EgressProxy, port: int, host: str = "video.test"):
    async with connection(proxy) as (reader, writer):
        writer.write(request(proxy, f"CONNECT {host}:{port} HTTP/1.1"))
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
        yield reader, writer
