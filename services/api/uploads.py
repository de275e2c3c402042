"""The route that lets a client put its file into the storage by itself, past this service."""

from uuid import uuid4

from litestar import post
from litestar.params import RawBody

from libs.common.domain.failures import Code
from services.api.bodies import UploadWish
from services.api.caller import Scope
from services.api.context import Given
from services.api.openapi import Described
from services.api.requests import Refused, decoded
from services.api.sources import new_upload_key
from services.api.views import UploadTicket

SIGNS = Described(
    summary="Get a signed URL to upload a file to",
    takes=UploadWish,
    gives=UploadTicket,
    scope=Scope.WRITE,
    refuses=(Code.VALIDATION_FAILED, Code.BAD_REQUEST, Code.INPUT_TOO_LARGE, Code.BACKPRESSURE),
)


@post("/api/uploads", status_code=200, described=SIGNS)
async def sign_upload(body: RawBody, api: Given) -> UploadTicket:
    """Good for one file of the size named; create the job with its uploadKey when the file is there."""
    api.pressure.check()
    wish = decoded(UploadWish, body)
    if wish.size > api.settings.limits.largest:
        raise Refused("size", f"the file is larger than {api.settings.max_input_mb} MiB", Code.INPUT_TOO_LARGE)
    key, ttl = new_upload_key(uuid4(), wish.filename), api.settings.upload_url_ttl_sec
    signed = await api.objects.sources.signed_put(key, ttl=ttl, size=wish.size, content_type=wish.content_type)
    return UploadTicket(upload_key=key, url=signed.url, method=signed.method, headers=dict(signed.headers), expires_at=signed.expires_at)
