"""The routes that let a client put its file into the storage by itself, past this service: begin, look and go on, complete, delete."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from litestar import delete, get, post
from litestar.params import FromPath, RawBody
from msgspec import UNSET
from msgspec.structs import replace

from libs.common.domain.failures import Code, Failure
from libs.common.runtime.client_uploads import LIFE, SignedRequest
from services.api.bodies import UploadWish
from services.api.caller import Caller, Scope, caller_of
from services.api.context import AnyRequest, Api, Given
from services.api.openapi import Described
from services.api.requests import Refused, decoded
from services.api.sources import new_upload_key
from services.api.upload_completion import SEND_THE_REST, IncompleteError, completed, settled, sizes, stored_parts, words
from services.api.upload_plan import Part, missing, part_size
from services.api.upload_rows import Upload
from services.api.upload_views import PartTicket, UploadTicket, UploadView

AWAY = (Code.STORAGE_UNAVAILABLE, Code.RETRYABLE_ERROR)
SIGNS = Described(
    summary="Get signed URLs to upload a file to",
    takes=UploadWish,
    gives=UploadTicket,
    scope=Scope.WRITE,
    refuses=(Code.VALIDATION_FAILED, Code.BAD_REQUEST, Code.INPUT_TOO_LARGE, Code.BACKPRESSURE, *AWAY),
)
READS = Described(
    summary="See what of an upload is there, and get fresh URLs for the rest",
    gives=UploadView,
    scope=Scope.READ,
    refuses=(Code.NOT_FOUND, Code.GONE, *AWAY),
)
COMPLETES = Described(
    summary="Complete an upload",
    gives=UploadView,
    scope=Scope.WRITE,
    refuses=(Code.NOT_FOUND, Code.GONE, Code.INVALID_STATE, *AWAY),
)
DELETES = Described(
    summary="Abort or delete an upload",
    gives=UploadView,
    scope=Scope.WRITE,
    refuses=(Code.NOT_FOUND, Code.INVALID_STATE, *AWAY),
)


@post("/api/uploads", status_code=200, described=SIGNS)
async def sign_upload(body: RawBody, api: Given, request: AnyRequest) -> UploadTicket:
    """Good for one file of just this size and type, of more than 64 MiB in parts. Create the job with its uploadKey when all is there."""
    api.pressure.check()
    wish = decoded(UploadWish, body)
    if wish.size > api.limits.largest:
        raise Refused("size", f"the file is larger than {api.settings.max_input_mb} MiB", Code.INPUT_TOO_LARGE)
    upload = await _begun(api, caller_of(request), wish)
    signed = [await _signed(api, upload, part) for part in upload.parts]
    if wish.parts or len(signed) > 1:
        parts = tuple(_ticket(part, one) for part, one in zip(upload.parts, signed, strict=True))
        first = signed[0]
        return UploadTicket(
            upload_key=upload.key,
            upload_id=upload.id,
            method=first.method,
            part_size=upload.part_size,
            parts=parts,
            expires_at=first.expires_at,
        )
    [only] = signed
    return UploadTicket(upload_key=upload.key, url=only.url, method=only.method, headers=dict(only.headers), expires_at=only.expires_at)


async def _begun(api: Api, caller: Caller, wish: UploadWish) -> Upload:
    """S3 first: an upload there that no row names is aborted by the janitor."""
    now, upload_id = api.now(), uuid4()
    key = new_upload_key(upload_id, wish.filename)
    upload = Upload(
        id=upload_id,
        tenant=caller.tenant,
        key=key,
        size=wish.size,
        part_size=part_size(wish.size, in_parts=wish.parts),
        content_type=wish.content_type,
        multipart_id=await api.objects.sources.client_uploads.begin(key, wish.content_type),
        created_at=now,
        expires_at=now + min(LIFE, timedelta(hours=api.settings.retention_hours)),
    )
    await api.uploads.begin(upload)
    return upload


@get("/api/uploads/{upload_id:str}", described=READS)
async def read_upload(upload_id: FromPath[str], api: Given, request: AnyRequest) -> UploadView:
    """To go on where an upload broke off: which parts are there, and for a key that may write fresh URLs of those that are not."""
    caller = caller_of(request)
    upload = await _found(api, caller, upload_id)
    there = None if upload.state == "complete" else await stored_parts(api, upload)
    if there is None:
        return _whole(upload if upload.state == "complete" else await settled(api, upload))
    absent = missing(upload.parts, sizes(there))
    view = replace(_view(upload), received=tuple(part.number for part in upload.parts if part not in absent))
    if Scope.WRITE not in caller.scopes or not absent:
        return replace(view, parts=tuple(PartTicket(number=part.number, size=part.size) for part in absent))
    signed = [await _signed(api, upload, part) for part in absent]
    parts = tuple(_ticket(part, one) for part, one in zip(absent, signed, strict=True))
    return replace(view, parts=parts, expires_at=signed[0].expires_at)


@post("/api/uploads/{upload_id:str}/complete", status_code=200, described=COMPLETES)
async def complete_upload(upload_id: FromPath[str], api: Given, request: AnyRequest) -> UploadView:
    """From here on nothing changes the file, and its URLs are dead. Repeating it is harmless; creating a job does it too."""
    upload = await _found(api, caller_of(request), upload_id)
    try:
        return _whole(await completed(api, upload))
    except IncompleteError as error:
        message = f"the upload can't be completed: {words(upload, error.parts)}"
        raise Failure(Code.INVALID_STATE, message, hint=SEND_THE_REST) from error


@delete("/api/uploads/{upload_id:str}", status_code=200, described=DELETES)
async def delete_upload(upload_id: FromPath[str], api: Given, request: AnyRequest) -> UploadView:
    """Whatever is there of it. Refused while a job needs it, until that has expired."""
    upload = await _found(api, caller_of(request), upload_id)
    if not await api.uploads.forget(upload.id) and await api.store.needed_uploads([upload.key]):
        raise Failure(Code.INVALID_STATE, "a job uses this upload", hint="Delete the job first, or let both expire.")
    sources = api.objects.sources
    await sources.client_uploads.abort(upload.key, upload.multipart_id)
    await sources.delete([upload.key])
    return replace(_view(upload), state="deleted")


async def _found(api: Api, caller: Caller, upload_id: str) -> Upload:
    """Raises Failure(NOT_FOUND), also for what is another tenant's."""
    try:
        upload = await api.uploads.by_id(UUID(upload_id), caller.tenant, api.now())
    except ValueError:
        upload = None
    if upload is None:
        raise Failure(Code.NOT_FOUND, "there is no such upload")
    return upload


async def _signed(api: Api, upload: Upload, part: Part) -> SignedRequest:
    """No URL outlives the upload."""
    await asyncio.sleep(0)  # each costs half a millisecond of CPU: others get their turn in between
    left = int((upload.expires_at - datetime.now(UTC)).total_seconds())
    return await api.objects.sources.client_uploads.signed_part(
        upload.key,
        upload.multipart_id,
        part.number,
        size=part.size,
        content_type=upload.content_type,
        ttl=max(1, min(api.settings.upload_url_ttl_sec, left)),
    )


def _ticket(part: Part, signed: SignedRequest) -> PartTicket:
    return PartTicket(number=part.number, size=part.size, url=signed.url, headers=dict(signed.headers))


def _view(upload: Upload) -> UploadView:
    return UploadView(
        upload_key=upload.key,
        upload_id=upload.id,
        state=upload.state,
        size=upload.size,
        content_type=upload.content_type,
        part_size=upload.part_size,
        received=(),
        parts=(),
        expires_at=UNSET,
        kept_until=upload.expires_at,
    )


def _whole(upload: Upload) -> UploadView:
    return replace(_view(upload), received=tuple(part.number for part in upload.parts))
