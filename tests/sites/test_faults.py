"""That the faults go wrong as they say, and that what is counted is what was sent; read with sockets alone."""

import asyncio
import gzip
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.sites.faults import TERABYTE
from tests.sites.files import COOKIE
from tests.sites.films import hour_film
from tests.sites.site import CANARY_HOST, Site, open_canary

LONG = 1 << 30
BRIEF = 0.3
"""Seconds in which a reader sees that nothing comes."""


class Reader:
    """One request on a connection of its own: `head` lower case, `body` the connection's rest."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self.head = ""

    @classmethod
    async def of(cls, url: str, **headers: str) -> "Reader":
        parts = urlsplit(url)
        result = cls(*await asyncio.open_connection(parts.hostname, parts.port))
        asked = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
        path = f"{parts.path}?{parts.query}"
        result._writer.write(f"GET {path} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n{asked}\r\n".encode())
        return result

    async def status(self) -> int:
        self.head = (await self._reader.readuntil(b"\r\n\r\n")).decode().lower()
        return int(self.head.split()[1])

    async def body(self, amount: int = LONG) -> bytes:
        try:
            return await self._reader.readexactly(amount)
        except asyncio.IncompleteReadError as ended:
            return ended.partial

    async def is_still(self) -> bool:
        try:
            async with asyncio.timeout(BRIEF):
                await self._reader.read(1)
            return False
        except TimeoutError:
            return True

    def close(self) -> None:
        self._writer.close()


async def whole(url: str, **headers: str) -> tuple[int, bytes]:
    reader = await Reader.of(url, **headers)
    status, body = await reader.status(), await reader.body()
    reader.close()
    return status, body


async def test_a_range_is_sent_and_counted_to_the_byte(site: Site, film: Path) -> None:
    data, url = film.read_bytes(), site.file(film)
    assert await whole(url, Range="bytes=1000-1999") == (206, data[1000:2000])
    assert await whole(url, Range="bytes=-500") == (206, data[-500:])
    assert await whole(url, Range=f"bytes={len(data)}-") == (416, b"")
    assert await whole(url, Range="bytes=0-9", If_Range='"other"') == (200, data)
    assert [(exchange.range, exchange.sent) for exchange in site.requests][:3] == [
        ("bytes=1000-1999", 1000),
        ("bytes=-500", 500),
        (f"bytes={len(data)}-", 0),
    ]
    assert (site.sent, site.connections) == (1500 + len(data), 4)
    assert site.sent_by_path == {f"/files/{film.name}": 1500 + len(data)}


async def test_a_reader_that_hangs_up_is_sent_little_more_than_it_read(site: Site, films: Path) -> None:
    reader = await Reader.of(site.file(hour_film(films)))
    assert await reader.status() == 200
    await reader.body(100_000)
    reader.close()
    assert await whole(site.url("/page/empty")) == (200, b"")
    assert 100_000 <= site.sent < 2_000_000


async def test_without_ranges_everything_is_sent(site: Site, film: Path) -> None:
    assert await whole(site.file(film, how="whole"), Range="bytes=0-9") == (200, film.read_bytes())


async def test_some_files_are_for_the_known_and_the_referred(site: Site, film: Path) -> None:
    cookies, referred = site.file(film, how="cookies"), site.file(film, how="referred")
    assert [(await whole(url))[0] for url in (cookies, referred)] == [403, 403]
    assert (await whole(cookies, Cookie="=".join(COOKIE)))[0] == 200
    assert (await whole(referred, Referer=site.url("/page/video")))[0] == 200
    assert (await whole(site.file(film).replace(film.name, "../../etc/passwd")))[0] == 404


@pytest.mark.parametrize(("fault", "before"), [("slow-headers", 1), ("slow-body", 0), ("stall", 100_000)])
async def test_slow_sites_keep_their_reader_waiting(site: Site, film: Path, fault: str, before: int) -> None:
    reader = await Reader.of(site.file(film, how=f"faults/{fault}", after=100_000))
    if fault != "slow-headers":
        assert await reader.status() == 200
        before = before or 1
    assert len(await reader.body(before)) == before
    assert await reader.is_still()
    reader.close()


@pytest.mark.parametrize(
    ("fault", "says"),
    [("terabyte", lambda _size: TERABYTE), ("short-length", lambda size: size // 2), ("long-length", lambda size: size * 2)],
)
async def test_lengths_lie(site: Site, film: Path, fault: str, says: Callable[[int], int]) -> None:
    reader, data = await Reader.of(site.file(film, how=f"faults/{fault}")), film.read_bytes()
    await reader.status()
    assert f"content-length: {says(len(data))}\r\n" in reader.head
    assert await reader.body() == data
    reader.close()


async def test_a_terabyte_has_ranges_and_begins_with_the_film(site: Site, film: Path) -> None:
    url, data = site.file(film, how="faults/terabyte-range"), film.read_bytes()
    assert await whole(url, Range=f"bytes={len(data) - 10}-{len(data) + 9}") == (206, data[-10:] + bytes(10))
    assert await whole(url, Range="bytes=500000000000-500000020000") == (206, bytes(20_001))


async def test_an_endless_file_goes_on_until_its_reader_hangs_up(site: Site, film: Path) -> None:
    reader = await Reader.of(site.file(film, how="faults/endless"))
    assert await reader.status() == 200
    assert "content-length" not in reader.head
    assert len(await reader.body(20 << 20)) == 20 << 20
    reader.close()


async def test_a_reset_loses_the_rest(site: Site, film: Path) -> None:
    reader = await Reader.of(site.file(film, how="faults/reset", after=50_000))
    with pytest.raises(ConnectionResetError):
        await reader.body()


async def test_a_file_in_chunks_has_no_length(site: Site, film: Path) -> None:
    reader = await Reader.of(site.file(film, how="faults/chunked"))
    assert await reader.status() == 200
    assert "transfer-encoding: chunked" in reader.head
    assert "content-length" not in reader.head


async def test_another_range_is_given_and_a_file_changes(site: Site, film: Path) -> None:
    size = film.stat().st_size
    other = await Reader.of(site.file(film, how="faults/other-range"), Range="bytes=0-99")
    assert await other.status() == 206
    assert f"content-range: bytes {size // 3}-" in other.head
    for look in (1, 2):
        changing = await Reader.of(site.file(film, how="faults/changing"), Range="bytes=0-99")
        assert await changing.status() == 206
        assert f"/{size - look}\r\n" in changing.head
        assert f'etag: "{look}"' in changing.head


async def test_the_second_look_is_served(site: Site, film: Path) -> None:
    url = site.file(film, how="faults/once")
    assert [(await whole(url))[0] for _ in range(2)] == [503, 200]


async def test_pages_are_bombs_and_huge(site: Site, film: Path) -> None:
    bomb = await Reader.of(site.file(film, how="faults/gzip-bomb"))
    assert await bomb.status() == 200
    assert "content-encoding: gzip" in bomb.head
    bomb.close()
    assert len(gzip.compress(b" " * (1 << 20))) < 2000
    huge = await Reader.of(site.file(film, how="faults/huge-page"))
    assert await huge.status() == 200
    assert len(await huge.body(200 << 20)) == 200 << 20
    headers = await Reader.of(site.file(film, how="faults/many-headers"))
    assert len(await headers.body(10 << 20)) == 10 << 20
    headers.close()


async def test_a_canary_counts_who_comes() -> None:
    async with open_canary() as canary:
        assert canary.connections == 0
        assert await whole(canary.url()) == (200, b"secret")
        assert (canary.host, canary.connections, canary.received[0][:13]) == (CANARY_HOST, 1, b"GET /film.mp4")
