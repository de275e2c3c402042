"""The table of uploads: whose each is, and whether it is whole. SQL: upload_rows.sql."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, get_args
from uuid import UUID

from libs.common.runtime.postgres import Pool, Statements
from services.api.upload_plan import Part, parts_of

State = Literal["uploading", "complete"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """Sizes in bytes; `multipart_id` is S3's. It may be sent or used until `expires_at`."""

    id: UUID
    tenant: str
    key: str
    size: int
    part_size: int
    content_type: str
    multipart_id: str
    state: State = "uploading"
    created_at: datetime
    expires_at: datetime
    completed_at: datetime | None = None

    @property
    def parts(self) -> tuple[Part, ...]:
        return parts_of(self.size, self.part_size)


class UploadRows:
    """Every verb raises Failure(outage="postgres") when the database can't be reached. An upload of another tenant is as one unknown."""

    def __init__(self, pool: Pool) -> None:
        self._sql = Statements(pool, "upload_rows.sql", "services.api")

    async def begin(self, upload: Upload) -> None:
        where = (upload.id, upload.tenant, upload.key, upload.size, upload.part_size)
        await self._sql.rows("begin", *where, upload.content_type, upload.multipart_id, upload.created_at, upload.expires_at)

    async def by_id(self, upload_id: UUID, tenant: str, now: datetime) -> Upload | None:
        return _upload(await self._sql.row("by_id", upload_id, tenant, now))

    async def by_key(self, key: str, tenant: str, now: datetime) -> Upload | None:
        return _upload(await self._sql.row("by_key", key, tenant, now))

    async def complete(self, upload_id: UUID, etag: str, *, now: datetime, expires_at: datetime) -> Upload | None:
        """As it stands then; the first to say so is the one who did it. None when it was deleted meanwhile."""
        return _upload(await self._sql.row("complete", upload_id, etag, now, expires_at))

    async def forget(self, upload_id: UUID) -> bool:
        """Nobody finds it from here on. False when a job that isn't forgotten yet asked for a clip of it, or when there is no such row."""
        async with self._sql.transaction("forget") as connection:
            await connection.execute(self._sql["lock"], upload_id)
            return await connection.fetchval(self._sql["forget"], upload_id) is not None


_FIELDS = ("id", "tenant", "key", "size", "part_size", "content_type", "multipart_id", "created_at", "expires_at", "completed_at")


def _upload(row: Any) -> Upload | None:
    if row is None:
        return None
    state: State = next(state for state in get_args(State) if state == row["state"])
    return Upload(state=state, **{name: row[name] for name in _FIELDS})
