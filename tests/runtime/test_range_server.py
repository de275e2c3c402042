"""The range server, read by raw HTTP and by real ffmpeg and ffprobe, on a real S3 that may go away."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.domain.failures import Code, Failure
from libs.common.runtime import range_server
from libs.common.runtime.embedded import LocalServers
from libs.common.runtime.object_store import Bucket, ObjectInfo, open_object_store
from libs.common.runtime.range_server import range_of, served
from tests.runtime.test_object_store import settings

MIB = 1 << 20
BODY = random.Random(1).randbytes(3 * MIB)


@pytest.fixture(scope="module")
async def bucket(servers: dict[str, str]) -> AsyncIterator[Bucket]:
    async with open_object_store(settings(servers)) as store:
        await store.ensure_buckets()
        yield store.sources


async def stored(bucket: Bucket, body: bytes) -> ObjectInfo:
    key = f"uploads/{uuid4()}/file.bin"
    await bucket.put(key, body, "application/octet-stream")
    info = await bucket.head(key)
    assert info is not None
    return info


@pytest.fixture(scope="module")
async def body(bucket: Bucket) -> ObjectInfo:
    return await stored(bucket, BODY)


@pytest.fixture(scope="module")
async def film(bucket: Bucket, tmp_path_factory: pytest.TempPathFactory) -> ObjectInfo:
    """Two minutes of noise at some 10 Mbit/s, as long in bytes as a real film, with its index in front."""
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    source = ("-f", "lavfi", "-i", "nullsrc=s=320x240:r=25:d=10,geq=lum='random(1)*255':cb=128:cr=128")
    await ran("ffmpeg", "-v", "error", *source, *("-c:v", "mpeg4", "-q:v", "2", "-g", "25", str(path.with_suffix(".short.mp4"))))
    loop = ("-stream_loop", "11", "-i", str(path.with_suffix(".short.mp4")), "-c", "copy", "-movflags", "+faststart")
    await ran("ffmpeg", "-v", "error", *loop, str(path))
    key = f"uploads/{uuid4()}/film.mp4"
    await bucket.upload(key, path, "video/mp4")
    info = await bucket.head(key)
    assert info is not None
    return info


async def ran(*argv: str) -> bytes:
    process = await asyncio.create_subprocess_exec(*argv, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE)
    out, error = await process.communicate()
    assert process.returncode == 0, error[-2000:]
    return out


@asynccontextmanager
async def asked(method: str, url: str, byte_range: str | None = None) -> AsyncIterator[aiohttp.ClientResponse]:
    headers = {"Range": byte_range} if byte_range else {}
    async with aiohttp.ClientSession() as client, client.request(method, url, headers=headers) as answer:
        yield answer


@pytest.mark.parametrize(
    ("byte_range", "status", "expected"),
    [
        (None, 200, BODY),
        ("bytes=0-", 206, BODY),
        (f"bytes={2 * MIB}-", 206, BODY[2 * MIB :]),
        ("bytes=10-19", 206, BODY[10:20]),
        (f"bytes={3 * MIB - 1}-{9 * MIB}", 206, BODY[-1:]),
        ("bytes=-7", 206, BODY[-7:]),
    ],
)
async def test_a_range_is_answered_with_those_bytes(
    bucket: Bucket, body: ObjectInfo, byte_range: str | None, status: int, expected: bytes
) -> None:
    async with served(bucket, body) as source, asked("GET", source.url, byte_range) as answer:
        assert (answer.status, await answer.read()) == (status, expected)
        assert answer.headers["Accept-Ranges"] == "bytes"
        assert source.bytes_read == len(expected)


async def test_a_partial_answer_says_where_it_stands(bucket: Bucket, body: ObjectInfo) -> None:
    async with served(bucket, body) as source, asked("GET", source.url, "bytes=10-19") as answer:
        assert answer.headers["Content-Range"] == f"bytes 10-19/{3 * MIB}"


async def test_a_range_outside_the_object_is_not_satisfiable(bucket: Bucket, body: ObjectInfo) -> None:
    async with served(bucket, body) as source, asked("GET", source.url, f"bytes={3 * MIB}-") as answer:
        assert (answer.status, answer.headers["Content-Range"]) == (416, f"bytes */{3 * MIB}")


async def test_head_tells_the_size_without_reading(bucket: Bucket, body: ObjectInfo) -> None:
    async with served(bucket, body) as source, asked("HEAD", source.url) as answer:
        assert (answer.status, answer.headers["Content-Length"]) == (200, str(3 * MIB))
        assert source.bytes_read == 0


@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE", "OPTIONS"])
async def test_nothing_can_be_done_but_reading(bucket: Bucket, body: ObjectInfo, method: str) -> None:
    async with served(bucket, body) as source, asked(method, source.url) as answer:
        assert answer.status == 405


@pytest.mark.parametrize("path", ["", "/", "/guess", "/%C3%BC"])
async def test_another_path_finds_nothing(bucket: Bucket, body: ObjectInfo, path: str) -> None:
    async with served(bucket, body) as source, asked("GET", source.url.rpartition("/")[0] + path) as answer:
        assert answer.status == 404
        assert source.url not in repr(source)


async def test_the_server_is_gone_with_its_job_and_breaks_off_what_is_still_read(bucket: Bucket, film: ObjectInfo) -> None:
    async with aiohttp.ClientSession() as client:
        async with served(bucket, film) as source:
            answer = await client.get(source.url)
            await answer.content.readexactly(1000)
        with pytest.raises(aiohttp.ClientError):
            await answer.read()
        with pytest.raises(aiohttp.ClientError):
            await client.get(source.url)


async def test_a_reader_that_stops_reading_costs_little(bucket: Bucket, film: ObjectInfo) -> None:
    async with served(bucket, film) as source:
        address, _, path = source.url.removeprefix("http://").partition("/")
        reader, writer = await asyncio.open_connection(*address.split(":"), limit=1024)
        writer.write(f"GET /{path} HTTP/1.1\r\nHost: {address}\r\n\r\n".encode())
        await reader.readexactly(1000)
        before = -1
        while before != source.bytes_read:  # until nothing moves any more
            before = source.bytes_read
            await asyncio.sleep(0.2)
        writer.close()
        assert 0 < source.bytes_read < film.size / 20
    assert source.failure is None


async def test_an_object_that_is_replaced_is_not_mixed_with_the_new_one(bucket: Bucket) -> None:
    info = await stored(bucket, b"the first")
    await bucket.put(info.key, b"the other", "application/octet-stream")
    with pytest.raises(Failure) as raised:
        async with served(bucket, info) as source, asked("GET", source.url) as answer:
            with pytest.raises(aiohttp.ClientPayloadError):
                await answer.read()
    assert raised.value.code is Code.RETRYABLE_ERROR


async def test_s3_going_away_breaks_off_the_answer_and_is_raised_instead_of_the_reader_s_complaint(
    bucket: Bucket, film: ObjectInfo, local: LocalServers
) -> None:
    async def complaint(url: str) -> None:
        async with asked("GET", url) as answer:
            await answer.content.readexactly(1000)
            await local.s3.kill()
            with pytest.raises(aiohttp.ClientPayloadError):
                await answer.read()
        raise Failure(Code.SOURCE_UNREADABLE, "as ffprobe would say")

    try:
        with pytest.raises(Failure) as raised:
            async with served(bucket, film) as source:
                await complaint(source.url)
    finally:
        await local.s3.start()
    assert (raised.value.code, raised.value.outage) == (Code.STORAGE_UNAVAILABLE, "s3")


async def test_ffprobe_reads_a_film_by_its_index_alone(bucket: Bucket, film: ObjectInfo) -> None:
    async with served(bucket, film) as source:
        told = await ran("ffprobe", "-v", "error", "-f", "mov", "-show_entries", "format=duration", "-of", "csv=p=0", source.url)
    assert float(told) == pytest.approx(120, abs=0.5)
    assert source.bytes_read < film.size * 0.05


async def test_ffmpeg_reads_a_clip_from_the_middle_for_the_bytes_of_the_clip(bucket: Bucket, film: ObjectInfo, tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    async with served(bucket, film) as source:
        await ran("ffmpeg", "-v", "error", "-f", "mov", "-ss", "60", "-i", source.url, "-t", "2", "-c", "copy", str(clip))
    assert clip.stat().st_size > 0.01 * film.size
    assert source.bytes_read < 0.06 * film.size


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**6))
def test_a_range_is_never_outside_the_object(size: int, first: int, last: int) -> None:
    for header in (f"bytes={first}-", f"bytes={first}-{last}", f"bytes=-{last}"):
        wanted = range_of(header, size)
        assert wanted is None or 0 <= wanted.start < wanted.stop <= size
    assert range_of(None, size) == range(size)


@given(st.text(max_size=30))
def test_what_is_no_range_is_not_satisfiable(header: str) -> None:
    wanted = range_of(header, 100)
    assert wanted is None or header.startswith("bytes=")


async def test_a_reader_that_is_led_in_circles_is_broken_off_and_the_file_is_to_blame(
    bucket: Bucket, body: ObjectInfo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(range_server, "SLACK_BYTES", 0)
    with pytest.raises(Failure) as raised:
        async with served(bucket, body) as source, aiohttp.ClientSession() as client:
            for _ in range(range_server.READ_AGAIN):
                async with client.get(source.url) as answer:
                    assert len(await answer.read()) == body.size
            async with client.get(source.url) as answer:
                with pytest.raises(aiohttp.ClientPayloadError):
                    await answer.read()
    assert raised.value.code is Code.SOURCE_UNREADABLE
