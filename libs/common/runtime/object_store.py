"""S3: the two buckets, through the few verbs that the services need. What goes wrong is a Failure, made in s3_calls.py."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from aioboto3.session import Session
from aiobotocore.config import AioConfig

from libs.common.domain.failures import Code, Failure
from libs.common.runtime.client_uploads import ClientUploads, sign_part_types
from libs.common.runtime.fault_points import fault_point
from libs.common.runtime.s3_calls import BYTES, REPLACED, calling, reading
from libs.common.runtime.s3_fields import attachment, checked_key, etag_of, http_range, whole_size
from libs.common.runtime.s3_multipart import PART_BYTES, parts_of, upload_parts
from libs.common.runtime.settings import CommonSettings

CHUNK_BYTES = 256 * 1024
ONE_PUT_BYTES = 64 * 1024 * 1024
"""A file up to this size is one request; a longer one goes in parts, so that a fault repeats 8 MiB and not all of it."""
PING_SECONDS = 3.0
DELETE_AT_ONCE = 1000
CONNECTIONS = 64


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """An object's size in bytes, its ETag without the quotes, and when it was last written."""

    key: str
    size: int
    etag: str
    modified: datetime


class Bucket:
    """One private bucket.

    Every verb raises Failure: STORAGE_UNAVAILABLE with outage="s3" when S3 can't be reached, is slow beyond the time limits or answers
    5xx; NOT_FOUND when the object it needs is not there; RETRYABLE_ERROR when `if_match` names an ETag that it no longer has; INTERNAL
    when S3 refuses. A key that is not of our making is a ValueError. Ranges are half-open, [start, end), and must begin inside the object.
    """

    def __init__(self, name: str, client: Any, signer: Any) -> None:
        self.name = name
        self.client_uploads = ClientUploads(name, client, signer)
        self._client = client
        self._signer = signer

    async def head(self, key: str) -> ObjectInfo | None:
        """None when there is no such object."""
        try:
            with calling("head"):
                answer = await self._client.head_object(**self._at(key))
        except Failure as failure:
            if failure.code is Code.NOT_FOUND:
                return None
            raise
        return ObjectInfo(key, answer["ContentLength"], etag_of(answer), answer["LastModified"])

    async def begin(self, key: str, length: int) -> tuple[ObjectInfo, bytes] | None:
        """In one request what `head` says of an object that is not empty, and its first bytes, at most `length`."""
        try:
            with calling("get"):
                answer = await self._client.get_object(**self._at(key), Range=http_range(0, length))
        except Failure as failure:
            if failure.code is Code.NOT_FOUND:
                return None
            raise
        async with answer["Body"] as body:
            with reading("get"):
                first = bytes(await body.read())
        BYTES.labels("read").inc(len(first))
        return ObjectInfo(key, whole_size(answer), etag_of(answer), answer["LastModified"]), first

    async def read(self, key: str, start: int, end: int, *, if_match: str | None = None) -> bytes:
        """The bytes of a range that fits in memory; fewer when the object ends before `end`."""
        return b"".join([chunk async for chunk in self.stream(key, start, end, if_match=if_match)])

    async def stream(self, key: str, start: int = 0, end: int | None = None, *, if_match: str | None = None) -> AsyncGenerator[bytes, None]:
        """The bytes of a range, in chunks of at most CHUNK_BYTES. Whoever may stop early closes it with `aclosing`: S3 then stops too."""
        if end is not None and end <= start:
            return
        wanted = {"Range": http_range(start, end)} if start or end is not None else {}
        condition = {"IfMatch": f'"{if_match}"'} if if_match else {}
        with calling("get"):
            answer = await self._client.get_object(**self._at(key), **wanted, **condition)
        body = answer["Body"]
        async with body:
            if if_match and etag_of(answer) != if_match:  # not every S3 heeds the condition: rclone does not
                raise Failure(Code.RETRYABLE_ERROR, REPLACED)
            while chunk := await _next_chunk(body):
                BYTES.labels("read").inc(len(chunk))
                yield chunk

    async def download(self, key: str, path: Path) -> None:
        with await asyncio.to_thread(path.open, "wb") as file:
            async with aclosing(self.stream(key)) as chunks:
                async for chunk in chunks:
                    await asyncio.to_thread(file.write, chunk)

    async def upload(self, key: str, path: Path, content_type: str) -> int:
        """A file: a small one at once, a longer one read as it is sent. Returns its size."""
        size = (await asyncio.to_thread(path.stat)).st_size
        if size <= PART_BYTES:
            return await self.put(key, await asyncio.to_thread(path.read_bytes), content_type)
        if size > ONE_PUT_BYTES:
            return await self.upload_stream(key, _file_chunks(path), content_type, size)
        with await asyncio.to_thread(path.open, "rb") as file:
            return await self._put(key, file, size, content_type)

    async def put(self, key: str, body: bytes | bytearray, content_type: str) -> int:
        return await self._put(key, body, len(body), content_type)

    async def upload_stream(self, key: str, chunks: AsyncIterator[bytes], content_type: str, limit: int) -> int:
        """Chunks of any size, in parts of 8 MiB, about 30 MB in memory at most; one request if they fit in one part. Returns the size.

        The object appears whole or not at all. Raises INPUT_TOO_LARGE over `limit` bytes, and whatever `chunks` raises.
        """
        where = self._at(key)
        async with aclosing(parts_of(chunks, limit)) as parts:
            first = await anext(parts)
            if len(first) < PART_BYTES:
                return await self.put(key, first, content_type)
            whole = _chained(first, parts)
            del first  # or it would stay in memory until the last part is sent
            return await upload_parts(self._client, where, whole, content_type)

    async def copy(self, key: str, to: str, *, if_match: str | None = None) -> None:
        """Within the bucket and inside S3, up to 5 GiB. Not every S3 heeds `if_match` here: rclone does not."""
        condition = {"CopySourceIfMatch": f'"{if_match}"'} if if_match else {}
        with calling("copy"):
            await self._client.copy_object(**self._at(to), CopySource=self._at(key), **condition)

    async def delete(self, keys: list[str]) -> None:
        """Objects that are not there count as deleted."""
        if kept := await self.discard(keys):
            raise Failure(Code.STORAGE_UNAVAILABLE, f"the file store kept {len(kept)} files that it was to delete")

    async def discard(self, keys: Sequence[str]) -> set[str]:
        """`delete`, a thousand in a request; the keys that S3 says it kept."""
        kept: set[str] = set()
        for some in (keys[n : n + DELETE_AT_ONCE] for n in range(0, len(keys), DELETE_AT_ONCE)):
            objects = [{"Key": checked_key(key)} for key in some]
            with calling("delete"):
                answer = await self._client.delete_objects(Bucket=self.name, Delete={"Objects": objects, "Quiet": True})
            kept |= {error["Key"] for error in answer.get("Errors", ())}
        return kept

    async def list(self, prefix: str) -> AsyncIterator[ObjectInfo]:
        """Every object whose key begins with `prefix`, in order of keys."""
        following: dict[str, str] = {}
        while True:
            with calling("list"):
                page = await self._client.list_objects_v2(Bucket=self.name, Prefix=prefix, **following)
            for entry in page.get("Contents", ()):
                yield ObjectInfo(entry["Key"], entry["Size"], etag_of(entry), entry["LastModified"])
            if not page.get("IsTruncated"):
                return
            following = {"ContinuationToken": page["NextContinuationToken"]}

    async def signed_get(self, key: str, *, ttl: int, filename: str) -> str:
        """A URL that downloads the object as `filename` for `ttl` seconds. It is a secret."""
        params = {**self._at(key), "ResponseContentDisposition": attachment(filename)}
        return await self._sign("get_object", params, ttl)

    async def ensure(self, region: str) -> None:
        """The bucket exists after this, and is ours to use. Several processes may ask at once."""
        try:
            await self.check()
        except Failure as failure:
            if failure.code is not Code.NOT_FOUND:
                raise
            await self._create(region)
            await self.check()

    async def check(self) -> None:
        """One cheap request; NOT_FOUND when the bucket does not exist."""
        with calling("head_bucket"):
            await self._client.head_bucket(Bucket=self.name)

    async def keeps_versions(self) -> bool:
        """Whether what is deleted goes on taking space; object lock has versions too."""
        with calling("get_bucket_versioning"):
            answer = await self._client.get_bucket_versioning(Bucket=self.name)
        return bool(answer.get("Status") == "Enabled")

    async def _create(self, region: str) -> None:
        elsewhere = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
        known = self._client.exceptions
        with calling("create_bucket"), suppress(known.BucketAlreadyOwnedByYou, known.BucketAlreadyExists):
            await self._client.create_bucket(Bucket=self.name, **elsewhere)

    async def _put(self, key: str, body: Any, size: int, content_type: str) -> int:
        fault_point("objects", "putting")
        with calling("put"):
            await self._client.put_object(**self._at(key), Body=body, ContentLength=size, ContentType=content_type)
        BYTES.labels("written").inc(size)
        fault_point("objects", "put")
        return size

    async def _sign(self, operation: str, params: dict[str, Any], ttl: int) -> str:
        with reading("sign"):
            return str(await self._signer.generate_presigned_url(operation, Params=params, ExpiresIn=ttl))

    def _at(self, key: str) -> dict[str, str]:
        return {"Bucket": self.name, "Key": checked_key(key)}


@dataclass(frozen=True, slots=True)
class ObjectStore:
    sources: Bucket
    results: Bucket
    region: str

    async def ping(self) -> None:
        """One cheap request, within 3 s; Failure when it is not answered well."""
        with calling("ping"):
            async with asyncio.timeout(PING_SECONDS):
                await self.sources.check()

    async def remove_job(self, job_id: UUID) -> None:
        """All objects of the job."""
        for bucket, prefix in ((self.results, f"results/{job_id}/"), (self.sources, f"sources/{job_id}/")):
            await bucket.delete([found.key async for found in bucket.list(prefix)])

    async def ensure_buckets(self) -> None:
        """Both exist after this."""
        for bucket in (self.sources, self.results):
            await bucket.ensure(self.region)


@asynccontextmanager
async def open_object_store(settings: CommonSettings) -> AsyncIterator[ObjectStore]:
    """One client for the process, made without a request: S3 may be away. A second one signs for the address that clients use."""
    session = Session()  # type: ignore[no-untyped-call]
    public = settings.s3_public_endpoint_url
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(session.client("s3", **_options(settings, settings.s3_endpoint_url)))
        signer = await stack.enter_async_context(session.client("s3", **_options(settings, public))) if public else client
        sign_part_types(signer)
        sources, results = (Bucket(name, client, signer) for name in (settings.s3_sources_bucket, settings.s3_results_bucket))
        yield ObjectStore(sources, results, settings.s3_region)


def _options(settings: CommonSettings, endpoint: str | None) -> dict[str, Any]:
    key, secret = settings.s3_access_key_id, settings.s3_secret_access_key
    config = AioConfig(  # type: ignore[no-untyped-call]
        signature_version="s3v4",
        # Bodies are not hashed into the signature: over TLS that adds nothing, and it would hold up the event loop.
        s3={"addressing_style": "path", "payload_signing_enabled": False},
        connect_timeout=3,
        read_timeout=30,
        retries={"total_max_attempts": settings.storage_upload_attempts, "mode": "standard"},
        max_pool_connections=CONNECTIONS,
        # Servers like S3 stumble over checksums in trailers.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    return {
        "endpoint_url": endpoint,
        "verify": False if (endpoint or "").startswith("http://") else None,  # else all certificates of the system are read, for nothing
        "region_name": settings.s3_region,
        "aws_access_key_id": key.reveal() if key else None,
        "aws_secret_access_key": secret.reveal() if secret else None,
        "config": config,
    }


async def _next_chunk(body: Any) -> bytes:
    with reading("get"):
        return bytes(await body.read(CHUNK_BYTES))


async def _file_chunks(path: Path) -> AsyncIterator[bytes]:
    with await asyncio.to_thread(path.open, "rb") as file:
        while chunk := await asyncio.to_thread(file.read, PART_BYTES):
            yield chunk


async def _chained(first: bytearray, rest: AsyncIterator[bytearray]) -> AsyncIterator[bytearray]:
    yield first
    del first
    async for part in rest:
        yield part
