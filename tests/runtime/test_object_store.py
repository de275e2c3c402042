"""The object store on a real S3 server: what it keeps, what it leaves behind when something breaks, and what an outage looks like."""

import asyncio
import time
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from pathlib import Path
from uuid import uuid4

import aiohttp
import pytest

from libs.common.domain.failures import Code, Failure
from libs.common.runtime.embedded import LocalServers
from libs.common.runtime.object_store import Bucket, ObjectStore, open_object_store
from libs.common.runtime.s3_multipart import PART_BYTES
from libs.common.runtime.settings import CommonSettings, Secret, load
from tests.thorough import IS_THOROUGH

PLAIN = "text/plain"
PAGE = 1000 if IS_THOROUGH else 20


def settings(variables: dict[str, str], **changed: str) -> CommonSettings:
    return load(CommonSettings, {"DATABASE_URL": "unused", "NATS_URL": "unused", **variables, **changed})


@pytest.fixture(scope="module")
async def store(servers: dict[str, str]) -> AsyncIterator[ObjectStore]:
    async with open_object_store(settings(servers)) as opened:
        await opened.ensure_buckets()
        yield opened


@pytest.fixture
def bucket(store: ObjectStore) -> Bucket:
    return store.sources


def new_key(name: str = "file.bin") -> str:
    return f"uploads/{uuid4()}/{name}"


async def in_chunks(body: bytes, size: int = 1_000_003) -> AsyncIterator[bytes]:
    for start in range(0, len(body), size):
        yield body[start : start + size]


async def read_on(chunks: AsyncIterator[bytes]) -> int:
    return sum([len(chunk) async for chunk in chunks])


async def unfinished(bucket: Bucket, key: str) -> int:
    """Multipart uploads of this key that are neither complete nor aborted."""
    return len([each async for each in bucket.client_uploads.unfinished() if each.key == key])


async def test_a_key_that_holds_nothing_has_no_head(bucket: Bucket) -> None:
    assert await bucket.head(new_key()) is None
    assert await bucket.begin(new_key(), 100) is None


@pytest.mark.parametrize("size", [1, 100, 5000])
async def test_an_objects_first_bytes_come_with_what_its_head_says(bucket: Bucket, size: int) -> None:
    key, body = new_key(), bytes(n % 251 for n in range(size))
    await bucket.put(key, body, PLAIN)
    begun = await bucket.begin(key, 100)
    assert begun == (await bucket.head(key), body[:100])


async def test_what_is_put_is_read_back_by_half_open_ranges(bucket: Bucket) -> None:
    key = new_key()
    assert await bucket.put(key, b"0123456789", PLAIN) == 10
    assert await bucket.read(key, 2, 5) == b"234"
    assert await bucket.read(key, 8, 500) == b"89"
    assert await bucket.read(key, 0, 0) == b""
    info = await bucket.head(key)
    assert info is not None
    assert (info.key, info.size) == (key, 10)
    assert info.modified.tzinfo is not None


@pytest.mark.parametrize("verb", ["read", "copy", "download"])
async def test_what_is_not_there_is_not_found(bucket: Bucket, tmp_path: Path, verb: str) -> None:
    calls = {
        "read": lambda: bucket.read(new_key(), 0, 3),
        "copy": lambda: bucket.copy(new_key(), new_key()),
        "download": lambda: bucket.download(new_key(), tmp_path / "file"),
    }
    with pytest.raises(Failure) as raised:
        await calls[verb]()
    assert (raised.value.code, raised.value.outage) == (Code.NOT_FOUND, None)


@pytest.mark.parametrize("size", [0, 1, PART_BYTES - 1, PART_BYTES, PART_BYTES + 1, 2 * PART_BYTES + 5])
async def test_a_stream_becomes_an_object_whatever_its_length(bucket: Bucket, tmp_path: Path, size: int) -> None:
    body = (b"%09d\n" * (size // 10 + 1) % tuple(range(size // 10 + 1)))[:size]
    key = new_key()
    assert await bucket.upload_stream(key, in_chunks(body), PLAIN, limit=size) == size
    await bucket.download(key, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == body


async def test_a_stream_is_never_held_in_memory(bucket: Bucket) -> None:
    chunk = bytes(256 * 1024)

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(8 * PART_BYTES // len(chunk)):
            yield chunk

    tracemalloc.start()
    try:
        assert await bucket.upload_stream(new_key(), endless(), PLAIN, limit=1 << 40) == 8 * PART_BYTES
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 * PART_BYTES


@pytest.mark.parametrize("size", [1000, 2 * PART_BYTES])
async def test_a_stream_over_its_limit_is_refused_and_leaves_nothing(bucket: Bucket, size: int) -> None:
    key = new_key()
    with pytest.raises(Failure) as raised:
        await bucket.upload_stream(key, in_chunks(bytes(size)), PLAIN, limit=size - 1)
    assert raised.value.code is Code.INPUT_TOO_LARGE
    assert await bucket.head(key) is None
    assert await unfinished(bucket, key) == 0


async def test_a_stream_that_breaks_raises_its_own_error_and_leaves_nothing(bucket: Bucket) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield bytes(PART_BYTES + 1)
        raise ConnectionResetError("the client went away")

    key = new_key()
    with pytest.raises(ConnectionResetError):
        await bucket.upload_stream(key, broken(), PLAIN, limit=1 << 30)
    assert await bucket.head(key) is None
    assert await unfinished(bucket, key) == 0


async def test_a_cancelled_stream_leaves_nothing(bucket: Bucket) -> None:
    waiting = asyncio.Event()

    async def stalled() -> AsyncIterator[bytes]:
        yield bytes(2 * PART_BYTES)
        waiting.set()
        await asyncio.Event().wait()

    key = new_key()
    upload = asyncio.create_task(bucket.upload_stream(key, stalled(), PLAIN, limit=1 << 30))
    await waiting.wait()
    assert await unfinished(bucket, key) == 1
    upload.cancel()
    await asyncio.wait([upload])
    assert upload.cancelled()
    assert await bucket.head(key) is None
    assert await unfinished(bucket, key) == 0


@pytest.mark.parametrize("megabytes", [1, 65])
async def test_a_file_of_any_size_is_uploaded(bucket: Bucket, tmp_path: Path, megabytes: int) -> None:
    path = tmp_path / "file"
    with path.open("wb") as file:
        file.truncate(megabytes << 20)
        file.write(b"begin")
        file.seek(-3, 2)
        file.write(b"end")
    key = new_key()
    assert await bucket.upload(key, path, "video/mp4") == megabytes << 20
    assert await bucket.read(key, 0, 6) == b"begin\0"
    assert await bucket.read(key, (megabytes << 20) - 4, megabytes << 20) == b"\0end"


async def test_a_copy_is_whole_and_outlives_its_source(bucket: Bucket) -> None:
    key, to = new_key(), f"sources/{uuid4()}/source.mp4"
    await bucket.put(key, b"video", PLAIN)
    await bucket.copy(key, to)
    await bucket.put(key, b"something else", PLAIN)
    assert await bucket.read(to, 0, 100) == b"video"


async def test_an_object_that_was_replaced_is_not_read_as_the_old_one(bucket: Bucket) -> None:
    key = new_key()
    await bucket.put(key, b"first", PLAIN)
    info = await bucket.head(key)
    assert info is not None
    assert await bucket.read(key, 0, 5, if_match=info.etag) == b"first"
    await bucket.put(key, b"other", PLAIN)
    with pytest.raises(Failure) as raised:
        await bucket.read(key, 0, 5, if_match=info.etag)
    assert raised.value.code is Code.RETRYABLE_ERROR


@pytest.fixture
def _small_pages(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    def small(params: dict[str, object], **_: object) -> None:
        params["MaxKeys"] = PAGE

    monkeypatch.setattr("libs.common.runtime.object_store.DELETE_AT_ONCE", PAGE)
    hook = ("before-parameter-build.s3.ListObjectsV2", small)
    bucket._client.meta.events.register(*hook)
    yield
    bucket._client.meta.events.unregister(*hook)


@pytest.mark.usefixtures("_small_pages")
async def test_more_objects_than_a_page_holds_are_listed_and_deleted(bucket: Bucket) -> None:
    prefix = f"results/{uuid4()}/"
    keys = [f"{prefix}{n:04}" for n in range(2 * PAGE + 1)]
    for some in (keys[n : n + 50] for n in range(0, len(keys), 50)):
        await asyncio.gather(*(bucket.put(key, b"x", PLAIN) for key in some))
    assert [info.key async for info in bucket.list(prefix)] == keys
    await bucket.delete([*keys, new_key()])
    assert [info.key async for info in bucket.list(prefix)] == []


@pytest.mark.parametrize("key", ["", "/a", "a/", "a//b", "../a", "a/../b", "a/.b", "a b", "a\nb", "é", "a?x=1", "a" * 600])
async def test_a_key_that_is_not_of_our_making_is_refused(bucket: Bucket, key: str) -> None:
    with pytest.raises(ValueError, match="key"):
        await bucket.put(key, b"x", PLAIN)


async def test_a_signed_get_downloads_under_its_name(bucket: Bucket) -> None:
    key = new_key()
    await bucket.put(key, b"clip", "video/mp4")
    url = await bucket.signed_get(key, ttl=60, filename='clip "ü".mp4')
    async with aiohttp.ClientSession() as client:
        async with client.get(url) as answer:
            assert (answer.status, await answer.read()) == (200, b"clip")
            assert (
                answer.headers["Content-Disposition"] == "attachment; filename=\"clip ___.mp4\"; filename*=UTF-8''clip%20%22%C3%BC%22.mp4"
            )
        async with client.get(url.partition("?")[0]) as unsigned:
            assert unsigned.status in {400, 403}


async def test_urls_are_signed_for_the_address_that_clients_use(servers: dict[str, str]) -> None:
    async with open_object_store(settings(servers, S3_PUBLIC_ENDPOINT_URL="https://files.example.com")) as public:
        key = new_key()
        await public.sources.put(key, b"x", PLAIN)
        assert (await public.sources.signed_get(key, ttl=60, filename="x")).startswith("https://files.example.com/")


async def test_buckets_may_be_made_by_several_processes_at_once(servers: dict[str, str]) -> None:
    names = {"S3_SOURCES_BUCKET": f"s-{uuid4()}", "S3_RESULTS_BUCKET": f"r-{uuid4()}"}
    async with open_object_store(settings(servers, **names)) as fresh:
        await asyncio.gather(*(fresh.ensure_buckets() for _ in range(5)))
        await fresh.ensure_buckets()
        await fresh.results.put("results/x", b"x", PLAIN)


async def test_an_outage_is_noticed_within_seconds_and_over_when_s3_is_back(store: ObjectStore, local: LocalServers) -> None:
    key = new_key()
    await store.sources.put(key, b"x", PLAIN)
    await local.s3.kill()
    try:
        began = time.perf_counter()
        calls = (store.ping(), store.sources.head(key), store.sources.read(key, 0, 1), store.sources.put(key, b"y", PLAIN))
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        assert [(failure.code, failure.outage) for failure in outcomes] == [(Code.STORAGE_UNAVAILABLE, "s3")] * 4
        assert time.perf_counter() - began < 10
    finally:
        await local.s3.start()
    await store.ping()
    assert await store.sources.read(key, 0, 1) == b"x"


async def test_s3_going_away_in_the_middle_of_an_object_is_an_outage(store: ObjectStore, local: LocalServers) -> None:
    key = new_key()
    await store.sources.put(key, bytes(32 << 20), PLAIN)
    try:
        async with aclosing(store.sources.stream(key)) as chunks:
            await anext(chunks)
            await local.s3.kill()
            with pytest.raises(Failure) as raised:
                await read_on(chunks)
    finally:
        await local.s3.start()
    assert raised.value.outage == "s3"


def test_credentials_stay_hidden_in_the_settings(servers: dict[str, str]) -> None:
    given = settings(servers)
    assert isinstance(given.s3_secret_access_key, Secret)
    assert servers["S3_SECRET_ACCESS_KEY"] not in repr(given)
