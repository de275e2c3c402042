"""What makes an upload whole: all its parts are there, S3 makes them one object, the row says so. May be done twice."""

import asyncio
from collections.abc import Collection
from datetime import datetime, timedelta
from uuid import UUID
from weakref import WeakValueDictionary

from libs.common.domain.failures import Code, Failure
from libs.common.runtime.client_uploads import StoredPart
from libs.common.runtime.object_store import ObjectInfo
from services.api.caller import Caller
from services.api.context import Api
from services.api.metrics import uploaded
from services.api.requests import Refused
from services.api.upload_plan import Part, missing, told
from services.api.upload_rows import Upload

ASSEMBLY_PAUSES = (0.1, 0.4, 1.0, 1.5)
"""Seconds between looks for an object whose upload is over: another may just complete it, which takes rclone a copy."""
UNKNOWN = "there is no upload under this uploadKey"
LOST = "the file store has given this upload up"
BEGIN_AGAIN = "Begin a new upload with POST /api/uploads."
SEND_THE_REST = "Send what is missing; GET /api/uploads/{id} gives fresh URLs for it."


_turns: WeakValueDictionary[UUID, asyncio.Lock] = WeakValueDictionary()
"""Of the uploads that this process completes just now: rclone loses the object where two complete one upload at once. S3 itself doesn't."""


class IncompleteError(Exception):
    """Parts are still to come."""

    def __init__(self, parts: Collection[Part]) -> None:
        super().__init__(told(parts))
        self.parts = parts


async def usable_upload(api: Api, caller: Caller, key: str) -> None:
    """The caller's upload is whole after this and never changes again. Asks S3 only the first time.

    Raises Refused("uploadKey", …) for one that is unknown or another tenant's, is not all there, or is larger than allowed.
    """
    upload = await api.uploads.by_key(key, caller.tenant, api.now())
    if upload is None:
        raise Refused("uploadKey", UNKNOWN)
    if upload.size > api.limits.largest:
        raise Refused("uploadKey", f"the upload is larger than {api.settings.max_input_mb} MiB", Code.INPUT_TOO_LARGE)
    try:
        await completed(api, upload)
    except IncompleteError as error:
        raise Refused("uploadKey", f"the upload is not complete: {words(upload, error.parts)}", hint=SEND_THE_REST) from error
    except Failure as failure:
        if failure.code in {Code.NOT_FOUND, Code.GONE}:
            raise Refused("uploadKey", failure.message, hint=BEGIN_AGAIN) from failure
        raise


def words(upload: Upload, parts: Collection[Part]) -> str:
    """What is missing, for people."""
    if len(upload.parts) == 1:
        return "the file has not been sent yet"
    return f"{'part' if len(parts) == 1 else 'parts'} {told(parts)} of {len(upload.parts)} {'is' if len(parts) == 1 else 'are'} missing"


async def completed(api: Api, upload: Upload) -> Upload:
    """Raises IncompleteError, and Failure: NOT_FOUND when it was deleted meanwhile, GONE when S3 has lost it."""
    if upload.state == "complete":
        return upload
    async with _turns.setdefault(upload.id, asyncio.Lock()):
        found = await api.uploads.by_key(upload.key, upload.tenant, api.now())
        if found is None:
            raise Failure(Code.NOT_FOUND, UNKNOWN)
        return found if found.state == "complete" else await _completed(api, found)


async def _completed(api: Api, upload: Upload) -> Upload:
    there = await stored_parts(api, upload)
    if there is not None:
        if absent := missing(upload.parts, sizes(there)):
            raise IncompleteError(absent)
        await api.objects.sources.client_uploads.complete(upload.key, upload.multipart_id, there)
    return await settled(api, upload)


async def stored_parts(api: Api, upload: Upload) -> tuple[StoredPart, ...] | None:
    """None when S3 knows the upload no more."""
    return await api.objects.sources.client_uploads.parts(upload.key, upload.multipart_id)


def sizes(there: Collection[StoredPart]) -> tuple[Part, ...]:
    return tuple(Part(part.number, part.size) for part in there)


async def settled(api: Api, upload: Upload) -> Upload:
    """Of an upload that is over in S3, what its row says from now on. Only our own completion can have made the object."""
    found = await _object(api, upload.key)
    if found is None or found.size != upload.size:
        raise Failure(Code.GONE, LOST, hint=BEGIN_AGAIN)
    now = api.now()
    row = await api.uploads.complete(upload.id, found.etag, now=now, expires_at=kept_until(api, upload))
    if row is None:
        raise Failure(Code.NOT_FOUND, UNKNOWN)
    if row.completed_at == now:  # else another said so first
        uploaded("direct", row.size, (now - row.created_at).total_seconds())
    return row


async def _object(api: Api, key: str) -> ObjectInfo | None:
    for pause in ASSEMBLY_PAUSES:
        if found := await api.objects.sources.head(key):
            return found
        await asyncio.sleep(pause)
    return await api.objects.sources.head(key)


def kept_until(api: Api, upload: Upload) -> datetime:
    """When the janitor deletes the object: by its age, which Amazon counts from the upload's beginning."""
    return upload.created_at + timedelta(hours=api.settings.retention_hours)
