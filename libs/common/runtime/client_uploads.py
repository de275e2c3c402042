"""Uploads that clients put into a bucket themselves: multipart uploads that we begin and complete, and whose parts we sign.

An object that came this way never changes: once it is complete, S3 knows its upload no more and refuses every URL that was signed for it.
"""

from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from libs.common.domain.failures import Code, Failure
from libs.common.runtime.s3_calls import calling, reading
from libs.common.runtime.s3_fields import checked_key, etag_of

LIFE = timedelta(days=1)
"""Of an upload that is not complete. Its URLs live far shorter."""


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """What a client must send: the signed URL with exactly this method and these headers, until it expires."""

    url: str = field(repr=False)
    method: str
    headers: Mapping[str, str]
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class StoredPart:
    """A part that S3 has: its number from 1 on, its size in bytes, its ETag without the quotes."""

    number: int
    size: int
    etag: str


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A multipart upload that is neither complete nor aborted."""

    key: str
    upload_id: str
    begun: datetime


@dataclass(frozen=True, slots=True)
class ClientUploads:
    """Of one bucket. Its verbs raise the Failures that Bucket's do; `upload_id` is S3's own."""

    bucket: str
    client: Any
    signer: Any

    async def begin(self, key: str, content_type: str) -> str:
        """The upload's id. The object will have this media type, whatever clients say of its parts."""
        with calling("create_multipart_upload"):
            answer = await self.client.create_multipart_upload(Bucket=self.bucket, Key=checked_key(key), ContentType=content_type)
        return str(answer["UploadId"])

    async def signed_part(self, key: str, upload_id: str, number: int, *, size: int, content_type: str, ttl: int) -> SignedRequest:
        """Leave to put this part, with exactly this size (bytes) and type, for `ttl` seconds or until the upload is over (findings B6)."""
        params = {**self._of(key, upload_id), "PartNumber": number, "ContentLength": size, "ContentType": content_type}
        with reading("sign"):
            url = str(await self.signer.generate_presigned_url("upload_part", Params=params, ExpiresIn=ttl))
        headers = {"Content-Type": content_type, "Content-Length": str(size)}
        return SignedRequest(url, "PUT", headers, datetime.now(UTC) + timedelta(seconds=ttl))

    async def parts(self, key: str, upload_id: str) -> tuple[StoredPart, ...] | None:
        """What is there, by number; None when there is no such upload: complete, aborted or lost."""
        found: dict[int, StoredPart] = {}
        following: dict[str, int] = {}
        try:
            while True:
                with calling("list_parts"):
                    page = await self.client.list_parts(**self._of(key, upload_id), **following)
                found |= {part["PartNumber"]: StoredPart(part["PartNumber"], part["Size"], etag_of(part)) for part in page.get("Parts", ())}
                if not page.get("IsTruncated"):
                    return tuple(found[number] for number in sorted(found))
                following = {"PartNumberMarker": page["NextPartNumberMarker"]}
        except Failure as failure:
            if failure.code is Code.NOT_FOUND:
                return None
            raise

    async def complete(self, key: str, upload_id: str, parts: Iterable[StoredPart]) -> bool:
        """Make these parts the object, in order of their numbers. False when there is no such upload any more."""
        named = [{"PartNumber": part.number, "ETag": f'"{part.etag}"'} for part in parts]
        try:
            with calling("complete_multipart_upload"):
                await self.client.complete_multipart_upload(**self._of(key, upload_id), MultipartUpload={"Parts": named})
        except Failure as failure:
            if failure.code is Code.NOT_FOUND:
                return False
            raise
        return True

    async def abort(self, key: str, upload_id: str) -> None:
        """Its parts go, its URLs are dead. One that is not there counts as aborted."""
        try:
            with calling("abort_multipart_upload"):
                await self.client.abort_multipart_upload(**self._of(key, upload_id))
        except Failure as failure:
            if failure.code is not Code.NOT_FOUND:
                raise

    async def unfinished(self) -> AsyncIterator[Unfinished]:
        """All of the bucket, whoever began them."""
        following: dict[str, str] = {}
        while True:
            page = await self._unfinished_page(following)
            for each in page.get("Uploads", ()):
                yield Unfinished(each["Key"], each["UploadId"], each["Initiated"])
            if not page.get("IsTruncated"):
                return
            following = {"KeyMarker": page["NextKeyMarker"], "UploadIdMarker": page["NextUploadIdMarker"]}

    async def _unfinished_page(self, following: dict[str, str]) -> Mapping[str, Any]:
        """rclone answers NoSuchUpload where a bucket never had one."""
        try:
            with calling("list_multipart_uploads"):
                page: Mapping[str, Any] = await self.client.list_multipart_uploads(Bucket=self.bucket, **following)
        except Failure as failure:
            if failure.code is Code.NOT_FOUND:
                return {}
            raise
        return page

    def _of(self, key: str, upload_id: str) -> dict[str, Any]:
        return {"Bucket": self.bucket, "Key": checked_key(key), "UploadId": upload_id}


def sign_part_types(signer: Any) -> None:
    """Let a part's URL bind its Content-Type too, which S3 takes in any request and botocore knows in those that make objects."""
    signer.meta.events.register("before-parameter-build.s3.UploadPart", _set_type_aside, unique_id="part-type-aside")
    signer.meta.events.register("before-sign.s3.UploadPart", _sign_type, unique_id="part-type-signed")


def _set_type_aside(params: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
    context["part_type"] = params.pop("ContentType", None)


def _sign_type(request: Any, **_: Any) -> None:
    if content_type := request.context.get("part_type"):
        request.headers["Content-Type"] = content_type
