"""What clients read of their uploads. Pure."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from msgspec import UNSET, Meta, UnsetType

from services.api.views import View

Bytes = Annotated[int, Meta(ge=1, description="Bytes.")]


class PartTicket(View, frozen=True, kw_only=True):
    """Leave to put one part: the file's bytes from (number - 1) * partSize on."""

    number: Annotated[int, Meta(ge=1)]
    size: Bytes
    url: Annotated[str | UnsetType, Meta(description="For a key that may write; good for exactly this size and type.")] = UNSET
    headers: dict[str, str] | UnsetType = UNSET


class UploadTicket(View, frozen=True, kw_only=True):
    """Send the file to `url`, or each part to its own, with exactly this method and these headers; then create the job."""

    upload_key: str
    upload_id: Annotated[UUID | UnsetType, Meta(description="In parts only; it is in the uploadKey too.")] = UNSET
    url: Annotated[str | UnsetType, Meta(description="Where the whole file goes, unless it goes in parts.")] = UNSET
    method: str
    headers: dict[str, str] | UnsetType = UNSET
    part_size: Annotated[Bytes | UnsetType, Meta(description="Bytes of every part but the last.")] = UNSET
    parts: tuple[PartTicket, ...] | UnsetType = UNSET
    expires_at: Annotated[datetime, Meta(description="When the URLs end; GET /api/uploads/{uploadId} gives fresh ones.")]


class UploadView(View, frozen=True, kw_only=True):
    upload_key: str
    upload_id: UUID
    state: Annotated[
        Literal["uploading", "complete", "deleted"],
        Meta(description="complete: nothing can change the file any more. Creating a job with it completes it too."),
    ]
    size: Bytes
    content_type: str
    part_size: Annotated[int, Meta(ge=1, description="Bytes of every part but the last.")]
    received: Annotated[tuple[int, ...], Meta(description="Numbers of the parts that are there.")]
    parts: Annotated[tuple[PartTicket, ...], Meta(description="Those that are missing, each with a fresh URL.")]
    expires_at: Annotated[datetime | UnsetType, Meta(description="When these URLs end.")] = UNSET
    kept_until: Annotated[datetime, Meta(description="Until then it may be sent, or used in jobs; a job keeps what it uses.")]
