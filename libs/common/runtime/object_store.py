"""S3: the two buckets, through the few verbs that the services need. The only file that knows aioboto3 and its errors."""
# Skeleton of the interface; the implementation follows.

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from libs.common.runtime.settings import CommonSettings


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    key: str
    size: int
    etag: str
    modified: datetime


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """What a client must send: the signed URL with exactly this method and these headers, until it expires."""

    url: str
    method: str
    headers: Mapping[str, str]
    expires_at: datetime


class Bucket:
    """One private bucket. Every verb raises Failure(STORAGE_UNAVAILABLE, outage="s3") when S3 can't be reached or answers 5xx."""

    async def head(self, key: str) -> ObjectInfo | None: ...
    async def read(self, key: str, start: int, end: int) -> bytes: ...
    def stream(self, key: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]: ...
    async def download(self, key: str, path: Path) -> None: ...
    async def upload(self, key: str, path: Path, content_type: str) -> int: ...
    async def put(self, key: str, body: bytes, content_type: str) -> int: ...
    async def upload_stream(self, key: str, chunks: AsyncIterator[bytes], content_type: str, limit: int) -> int: ...
    async def copy(self, key: str, to: str) -> None: ...
    async def delete(self, keys: list[str]) -> None: ...
    def list(self, prefix: str) -> AsyncIterator[ObjectInfo]: ...
    async def signed_get(self, key: str, *, ttl: int, filename: str) -> str: ...
    async def signed_put(self, key: str, *, ttl: int, size: int, content_type: str) -> SignedRequest: ...


@dataclass(frozen=True, slots=True)
class ObjectStore:
    sources: Bucket
    results: Bucket

    async def ping(self) -> None: ...
    async def ensure_buckets(self) -> None: ...


@asynccontextmanager
async def open_object_store(settings: CommonSettings) -> AsyncIterator[ObjectStore]:
    yield ObjectStore(Bucket(), Bucket())
