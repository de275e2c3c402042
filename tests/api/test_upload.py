"""Multipart uploads: in any order, of any size up to the limit, and nothing left behind of one that is refused or broken off."""

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID

import httpx
import pytest

from libs.common.domain.events import ClipsRequested
from tests.api.conftest import Running, running
from tests.api.forms import BOUNDARY, END, RANGE, TYPE, file, head, part, zeros
from tests.api.test_jobs import code_of

PATH = "/api/jobs/upload"
MIB = 1024 * 1024


async def sent(api: Running, body: bytes | AsyncIterator[bytes]) -> httpx.Response:
    return await api.http.post(PATH, content=body, headers=TYPE)


async def opening(api: Running, answer: httpx.Response) -> ClipsRequested:
    (stored,) = await api.to.store.history(UUID(answer.json()["job"]["id"]))
    assert isinstance(stored.event, ClipsRequested)
    return stored.event


@pytest.mark.parametrize(
    "body",
    [RANGE + part("withSubtitles", "true") + file() + END, file() + part("withSubtitles", "1") + RANGE + END],
    ids=["fields first", "file first"],
)
async def test_a_file_and_its_fields_make_a_job_in_any_order(api: Running, body: bytes) -> None:
    answer = await sent(api, body)
    assert answer.status_code == 202
    assert answer.headers["location"] == f"/api/jobs/{answer.json()['job']['id']}"
    event = await opening(api, answer)
    assert (event.start, event.end, event.with_subtitles) == (1.0, 3.5, True)
    assert event.upload_key
    assert event.upload_key.endswith("/talk.mp4")
    stored = await api.to.objects.sources.read(event.upload_key, 0, 100)
    assert stored == b"moving pictures"


async def test_what_an_ordinary_client_sends_is_taken(api: Running) -> None:
    fields = {"start": "1", "end": "2", "metadata": '{"show":"42"}', "priority": "fast", "sourceType": "upload"}
    answer = await api.http.post(PATH, data=fields, files={"file": ("видео.mp4", b"moving pictures", "video/mp4")})
    event = await opening(api, answer)
    assert event.metadata == {"show": "42"}
    assert event.upload_key
    assert event.upload_key.endswith("/file.mp4")


async def test_a_file_that_looks_like_a_boundary_comes_whole(api: Running) -> None:
    content = b"\r\n--" + BOUNDARY[:-1].encode() + b"\r\n" + bytes(range(256)) * 5000 + b"\r\n\r"
    event = await opening(api, await sent(api, RANGE + file(content) + END))
    assert event.upload_key
    assert await api.to.objects.sources.read(event.upload_key, 0, 10 * MIB) == content


async def test_a_body_that_comes_a_byte_at_a_time_is_read_all_the_same(api: Running) -> None:
    async def bytewise() -> AsyncIterator[bytes]:
        for byte in RANGE + file() + END + b"\r\n":
            yield bytes([byte])

    assert (await sent(api, bytewise())).status_code == 202


REFUSED = {
    "no file": (RANGE + END, (400, "VALIDATION_FAILED", "file")),
    "an empty file": (RANGE + file(b"") + END, (400, "VALIDATION_FAILED", "file")),
    "two files": (RANGE + file() + file() + END, (400, "VALIDATION_FAILED", "file")),
    "a field twice": (RANGE + part("start", "2") + file() + END, (400, "VALIDATION_FAILED", "start")),
    "an unknown field": (file() + RANGE + part("colour", "red") + END, (400, "VALIDATION_FAILED", "colour")),
    "a wrong field after the file": (file() + RANGE + part("withSubtitles", "maybe") + END, (400, "VALIDATION_FAILED", "withSubtitles")),
    "a range that makes no sense": (file() + part("start", "9") + part("end", "8") + END, (400, "VALIDATION_FAILED", "end")),
    "a clip that is too long": (file() + part("start", "0") + part("end", "1h") + END, (400, "CLIP_TOO_LONG", "end")),
    "an upload key": (file() + RANGE + part("uploadKey", "x") + END, (400, "VALIDATION_FAILED", "uploadKey")),
    "a field of megabytes": (file() + RANGE + part("metadata", "x" * MIB) + END, (413, "INPUT_TOO_LARGE", "metadata")),
    "a field that is no text": (file() + RANGE + part("metadata", b"\xff") + END, (400, "VALIDATION_FAILED", "metadata")),
    "a thousand fields": (file() + b"".join(part(f"f{n}", "") for n in range(1000)) + END, (400, "BAD_REQUEST", None)),
    "a truncated body": (RANGE + head("talk.mp4") + b"moving pict", (400, "BAD_REQUEST", None)),
    "no multipart at all": (b"moving pictures", (400, "BAD_REQUEST", None)),
    "nothing": (b"", (400, "BAD_REQUEST", None)),
}


@pytest.mark.parametrize(("body", "expected"), REFUSED.values(), ids=REFUSED)
async def test_what_is_wrong_is_said_and_nothing_is_left(api: Running, body: bytes, expected: tuple[int, str, str | None]) -> None:
    before = await api.uploads()
    assert code_of(await sent(api, body)) == expected
    assert await api.uploads() == before


@pytest.mark.parametrize("content_type", ["application/json", "multipart/form-data", "multipart/form-data; boundary=", ""])
async def test_a_body_that_says_it_is_something_else_is_refused(api: Running, content_type: str) -> None:
    answer = await api.http.post(PATH, content=file() + END, headers={"content-type": content_type})
    assert code_of(answer) == (400, "BAD_REQUEST", None)


async def test_a_body_that_says_it_is_too_large_is_refused_before_it_is_read(api: Running) -> None:
    reader, writer = await asyncio.open_connection(api.http.base_url.host, api.http.base_url.port)
    request = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: {302 * MIB}\r\n\r\n"
    writer.write(request.encode())
    assert (await reader.readline()).startswith(b"HTTP/1.1 413 ")
    writer.close()


async def test_a_body_that_turns_out_too_large_is_refused_and_nothing_is_left(api: Running) -> None:
    before = await api.uploads(), await parts_left(api)
    async with running(api.environ, MAX_INPUT_MB="20") as (http, _):
        answer = await http.post(PATH, content=zeros(24 * MIB, RANGE + head("large.mp4"), b"\r\n" + END), headers=TYPE)
    assert code_of(answer) == (413, "INPUT_TOO_LARGE", "file")
    assert (await api.uploads(), await parts_left(api)) == before


async def test_a_client_that_falls_silent_is_not_waited_for(api: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.api.upload.SILENCE_SECONDS", 0.1)
    reader, writer = await begun(api, head("talk.mp4"))
    assert (await reader.readline()).startswith(b"HTTP/1.1 400 ")
    writer.close()


@pytest.mark.parametrize("size", [100, 20 * MIB], ids=["within the first part", "after some parts"])
async def test_a_client_that_leaves_leaves_nothing(api: Running, size: int) -> None:
    gone = {"name": "clip_http_requests_total", "route": PATH, "status": "499"}
    before, left = (await api.uploads(), await parts_left(api)), await api.counted(**gone)
    reader, writer = await begun(api, head("talk.mp4") + bytes(size))
    await writer.drain()
    writer.close()
    await reader.read()
    async with asyncio.timeout(40):
        while await api.counted(**gone) == left:
            await asyncio.sleep(0.01)
    assert (await api.uploads(), await parts_left(api)) == before


async def begun(api: Running, beginning: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection on which a request was begun whose body is to be 100 MiB long."""
    reader, writer = await asyncio.open_connection(api.http.base_url.host, api.http.base_url.port)
    headers = f"Host: x\r\nContent-Type: {TYPE['content-type']}\r\nContent-Length: {100 * MIB}\r\n"
    writer.write(f"POST {PATH} HTTP/1.1\r\n{headers}\r\n".encode() + beginning)
    return reader, writer


async def parts_left(api: Running) -> list[str]:
    """Multipart uploads in S3 that were begun and never ended; other tests leave tickets that nobody used."""
    sources = api.to.objects.sources
    try:
        answer = await sources._client.list_multipart_uploads(Bucket=sources.name)
    except sources._client.exceptions.NoSuchUpload:  # rclone's word for none so far
        return []
    return [upload["Key"] for upload in answer.get("Uploads", [])]
