"""Uploads for tests: one that is whole already, without asking the API for it."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

from libs.common.runtime.service import Connections
from services.api.upload_rows import Upload, UploadRows


async def whole_upload(to: Connections, content: bytes, *, tenant: str = "", name: str = "talk.mp4") -> str:
    """Its key. The object lies in the sources bucket, its row says that it is complete."""
    rows, upload_id, now = UploadRows(to.pool), uuid4(), datetime.now(UTC)
    key = f"uploads/{upload_id}/{name}"
    await to.objects.sources.put(key, content, "video/mp4")
    until = now + timedelta(hours=72)
    size = len(content)
    upload = Upload(
        id=upload_id,
        tenant=tenant,
        key=key,
        size=size,
        part_size=size,
        content_type="video/mp4",
        multipart_id="over",
        created_at=now,
        expires_at=until,
    )
    await rows.begin(upload)
    await rows.complete(upload_id, "its-etag", now=now, expires_at=until)
    return key
