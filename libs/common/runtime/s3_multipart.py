"""A stream of unknown length into one object: cut into parts, put one after the other, and taken back when anything goes wrong."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import suppress
from typing import Any

from libs.common.domain.failures import Code, Failure
from libs.common.runtime.s3_calls import BYTES, calling

PART_BYTES = 8 * 1024 * 1024
"""S3 takes 10,000 parts of at least 5 MiB, so objects of up to 78 GiB.

One part is ours at a time; aiohttp and asyncio copy it on its way out: 30 MB at the peak of an upload, whatever its length.
"""

ABORT_SECONDS = 5.0


async def parts_of(chunks: AsyncIterator[bytes], limit: int) -> AsyncGenerator[bytearray, None]:
    """The same bytes in parts of PART_BYTES; the last is shorter, and empty only if there are no bytes at all.

    Raises INPUT_TOO_LARGE as soon as there are more than `limit` bytes.
    """
    gathered = bytearray()
    total = 0
    async for chunk in chunks:
        total += len(chunk)
        if total > limit:
            raise Failure(Code.INPUT_TOO_LARGE, f"the file is larger than {limit} bytes")
        gathered += chunk
        while len(gathered) > PART_BYTES:
            part, gathered = gathered, gathered[PART_BYTES:]
            del part[PART_BYTES:]
            yield part
            del part
    yield gathered


async def upload_parts(client: Any, where: dict[str, str], parts: AsyncIterator[bytearray], content_type: str) -> int:
    """The parts as one object, which appears whole or not at all. `where` is the Bucket and the Key. Returns its size."""
    with calling("create_multipart_upload"):
        upload = await client.create_multipart_upload(**where, ContentType=content_type)
    unfinished = {**where, "UploadId": upload["UploadId"]}
    try:
        return await _put_all(client, unfinished, parts)
    except BaseException:  # a cancelled upload too leaves nothing
        await _abort(client, unfinished)
        raise


async def _put_all(client: Any, unfinished: dict[str, str], parts: AsyncIterator[bytearray]) -> int:
    size = 0
    done: list[dict[str, Any]] = []
    async for part in parts:
        number = len(done) + 1
        with calling("upload_part"):
            answer = await client.upload_part(**unfinished, PartNumber=number, Body=part)
        done.append({"PartNumber": number, "ETag": answer["ETag"]})
        size += len(part)
        BYTES.labels("written").inc(len(part))
        del part  # before the next one is gathered
    with calling("complete_multipart_upload"):
        await client.complete_multipart_upload(**unfinished, MultipartUpload={"Parts": done})
    return size


async def _abort(client: Any, unfinished: dict[str, str]) -> None:
    """What can't be taken back in time, because S3 is away, the janitor finds later."""
    with suppress(Failure), calling("abort_multipart_upload"):
        async with asyncio.timeout(ABORT_SECONDS):
            await client.abort_multipart_upload(**unfinished)
