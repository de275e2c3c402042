"""Files for tests: one with its job in one request, and one that is uploaded already, without asking the API for it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp

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


async def submitted(http: aiohttp.ClientSession, file: Path, **fields: Any) -> str:
    """The id of the job that is made of the file and these fields."""
    form = aiohttp.FormData({name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in fields.items()})
    form.add_field("file", file.read_bytes(), filename=file.name)
    async with http.post("/api/jobs/upload", data=form) as answer:
        body = await answer.json()
        assert answer.status == 202, body
        job_id: str = body["job"]["id"]
        return job_id
