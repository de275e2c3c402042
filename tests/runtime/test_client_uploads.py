"""Uploads that clients put themselves, on a real S3: what their URLs take and what they don't, and what is left when it goes wrong."""

import asyncio
import re
from collections.abc import AsyncIterator
from uuid import uuid4

import httpx
import pytest

from libs.common.domain.failures import Code, Failure
from libs.common.runtime.client_uploads import ClientUploads, SignedRequest, StoredPart
from libs.common.runtime.embedded import LocalServers
from libs.common.runtime.object_store import Bucket, ObjectStore, open_object_store
from libs.common.runtime.settings import CommonSettings, load

MP4 = "video/mp4"


@pytest.fixture(scope="module")
async def store(servers: dict[str, str]) -> AsyncIterator[ObjectStore]:
    async with open_object_store(load(CommonSettings, {"DATABASE_URL": "unused", "NATS_URL": "unused", **servers})) as opened:
        await opened.ensure_buckets()
        yield opened


@pytest.fixture
def bucket(store: ObjectStore) -> Bucket:
    return store.sources


@pytest.fixture
def uploads(bucket: Bucket) -> ClientUploads:
    return bucket.client_uploads


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(timeout=30) as client:
        yield client


def new_key() -> str:
    return f"uploads/{uuid4()}/talk.mp4"


async def put(http: httpx.AsyncClient, signed: SignedRequest, body: bytes, **headers: str) -> tuple[int, str]:
    """The status and S3's own code, if it refuses."""
    answer = await http.request(signed.method, signed.url, content=body, headers={**signed.headers, **headers})
    named = re.search("<Code>(.*)</Code>", answer.text)
    return answer.status_code, named[1] if named else ""


async def put_url(http: httpx.AsyncClient, url: str, body: bytes, content_type: str = MP4) -> int:
    return (await http.put(url, content=body, headers={"Content-Type": content_type})).status_code


async def test_a_parts_url_takes_exactly_what_it_was_signed_for(bucket: Bucket, uploads: ClientUploads, http: httpx.AsyncClient) -> None:
    key = new_key()
    upload_id = await uploads.begin(key, MP4)
    signed = await uploads.signed_part(key, upload_id, 1, size=5, content_type=MP4, ttl=60)
    wrong = {
        "longer": await put_url(http, signed.url, b"123456"),
        "shorter": await put_url(http, signed.url, b"1234"),
        "another type": await put_url(http, signed.url, b"12345", "text/html"),
        "another key": await put_url(http, signed.url.replace("talk.mp4", "other.mp4"), b"12345"),
        "another part": await put_url(http, signed.url.replace("partNumber=1", "partNumber=2"), b"12345"),
        "another upload": await put_url(http, signed.url.replace(upload_id, await uploads.begin(key, MP4)), b"12345"),
        "the plain object": await put_url(http, re.sub("uploadId=[^&]*&partNumber=1&", "", signed.url), b"12345"),
    }
    assert wrong == dict.fromkeys(wrong, 403)
    assert await uploads.parts(key, upload_id) == ()
    assert await put(http, signed, b"12345") == (200, "")
    [part] = await uploads.parts(key, upload_id) or ()
    assert (part.number, part.size) == (1, 5)
    assert await bucket.head(key) is None
    assert "Signature" not in repr(signed)


async def test_a_url_that_is_late_is_refused(uploads: ClientUploads, http: httpx.AsyncClient) -> None:
    key = new_key()
    upload_id = await uploads.begin(key, MP4)
    signed = await uploads.signed_part(key, upload_id, 1, size=1, content_type=MP4, ttl=1)
    async with asyncio.timeout(20):
        while (answer := await put(http, signed, b"1"))[0] == 200:
            await asyncio.sleep(0.1)
    assert answer == (400, "AccessDenied")  # Amazon says 403


async def test_once_complete_an_upload_takes_nothing_any_more(bucket: Bucket, uploads: ClientUploads, http: httpx.AsyncClient) -> None:
    key = new_key()
    upload_id = await uploads.begin(key, MP4)
    first, second = [await uploads.signed_part(key, upload_id, number, size=5, content_type=MP4, ttl=60) for number in (1, 2)]
    for signed, body in ((second, b"world"), (first, b"hello")):
        assert await put(http, signed, body) == (200, "")
    parts = await uploads.parts(key, upload_id)
    assert parts
    assert [part.number for part in parts] == [1, 2]
    assert await uploads.complete(key, upload_id, parts)
    pinned = await bucket.head(key)
    for signed in (first, second):
        assert await put(http, signed, b"HELLO") == (404, "NoSuchUpload")
    assert not await uploads.complete(key, upload_id, parts)
    assert await uploads.parts(key, upload_id) is None
    await uploads.abort(key, upload_id)
    assert await bucket.head(key) == pinned
    assert await bucket.read(key, 0, 20) == b"helloworld"
    kind = await bucket._client.head_object(Bucket=bucket.name, Key=key)
    assert kind["ContentType"] == MP4


async def test_an_aborted_upload_leaves_nothing_and_is_aborted_again_without_harm(
    bucket: Bucket, uploads: ClientUploads, http: httpx.AsyncClient
) -> None:
    key = new_key()
    upload_id = await uploads.begin(key, MP4)
    signed = await uploads.signed_part(key, upload_id, 1, size=5, content_type=MP4, ttl=60)
    await put(http, signed, b"12345")
    assert (key, upload_id) in [(each.key, each.upload_id) async for each in uploads.unfinished()]
    for _ in range(2):
        await uploads.abort(key, upload_id)
    assert await put(http, signed, b"12345") == (404, "NoSuchUpload")
    assert key not in [each.key async for each in uploads.unfinished()]
    assert await bucket.head(key) is None


async def test_a_part_that_is_not_the_one_we_saw_is_worth_another_try(uploads: ClientUploads, http: httpx.AsyncClient) -> None:
    key = new_key()
    upload_id = await uploads.begin(key, MP4)
    await put(http, await uploads.signed_part(key, upload_id, 1, size=5, content_type=MP4, ttl=60), b"12345")
    with pytest.raises(Failure) as raised:
        await uploads.complete(key, upload_id, [StoredPart(1, 5, "0" * 32)])
    assert raised.value.code is Code.RETRYABLE_ERROR


async def test_more_parts_than_a_page_holds_are_all_told(uploads: ClientUploads, monkeypatch: pytest.MonkeyPatch) -> None:
    key = new_key()
    upload_id = await uploads.begin(key, MP4)
    client = uploads.client
    for number in range(1, 6):
        await client.upload_part(**uploads._of(key, upload_id), PartNumber=number, Body=b"x")
    list_parts = client.list_parts
    monkeypatch.setattr(client, "list_parts", lambda **asked: list_parts(**asked, MaxParts=2), raising=False)
    parts = await uploads.parts(key, upload_id)
    assert parts
    assert [part.number for part in parts] == [1, 2, 3, 4, 5]


async def test_an_upload_that_a_restart_lost_is_told_as_none(uploads: ClientUploads, local: LocalServers) -> None:
    """rclone keeps them in memory; a true S3 keeps them for good."""
    key = new_key()
    upload_id = await uploads.begin(key, MP4)
    await local.s3.kill()
    await local.s3.start()
    assert await uploads.parts(key, upload_id) is None
    assert [each async for each in uploads.unfinished()] == []
