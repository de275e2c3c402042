"""Uploads that are deleted while somebody completes them or makes a job of them: a job that was taken on has its file."""

import asyncio
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import uuid4

import httpx
import pytest

from libs.common.domain.events import Envelope, encode
from services.api.job_opening import JobOpening
from services.api.read_model import ReadModel
from services.api.requests import Refused
from services.api.upload_rows import UploadRows
from tests.api.conftest import Running
from tests.api.test_jobs import code_of
from tests.builders import envelope, requested
from tests.janitor.steps import until
from tests.uploading import whole_upload

WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%uploads%'"


def path_of(key: str) -> str:
    return f"/api/uploads/{key.split('/')[1]}"


async def is_waiting(api: Running) -> bool:
    return bool(await api.to.pool.fetchval(WAITING))


async def write(connection: Any, opening: Envelope) -> None:
    sql = "INSERT INTO job_events (event_id, job_id, seq, type, at, envelope) VALUES ($1, $2, 1, 'clips.requested', $3, $4)"
    await connection.execute(sql, opening.id, opening.job_id, opening.at, encode(opening).decode())


async def test_an_upload_is_not_deleted_under_a_job_that_is_just_being_written(api: Running) -> None:
    key = await whole_upload(api.to, b"pictures")
    async with api.to.pool.acquire() as connection, connection.transaction():
        await connection.execute("SELECT FROM uploads WHERE key = $1 FOR SHARE", key)
        deleting = asyncio.create_task(api.http.delete(path_of(key)))
        await until(partial(is_waiting, api))
        await write(connection, envelope(requested(upload_key=key)))
    assert code_of(await deleting) == (409, "INVALID_STATE", None)
    assert await api.to.objects.sources.head(key)
    assert (await api.http.get(path_of(key))).json()["state"] == "complete"


async def test_a_deleted_upload_stays_deleted_for_who_was_just_completing_it(api: Running) -> None:
    key, rows, now = await whole_upload(api.to, b"pictures"), UploadRows(api.to.pool), datetime.now(UTC)
    found = await rows.by_key(key, "", now)
    assert found
    assert (await api.http.delete(path_of(key))).status_code == 200
    assert await rows.complete(found.id, "its-etag", now=now, expires_at=now + timedelta(hours=1)) is None
    assert (await api.http.get(path_of(key))).status_code == 404


@pytest.mark.parametrize("cap", [0, 5])
async def test_a_job_that_was_admitted_before_its_upload_was_deleted_is_not_written_after(api: Running, cap: int) -> None:
    key, opening = await whole_upload(api.to, b"pictures"), JobOpening(ReadModel(api.to.pool, api.to.store, nobody), api.to.store)
    asked = envelope(requested(upload_key=key, client=f"client {uuid4()}"))
    assert (await api.http.delete(path_of(key))).status_code == 200
    with pytest.raises(Refused, match="no upload"):
        await opening.open([asked], cap)
    assert await api.to.store.history(asked.job_id) == []


async def test_a_job_whose_upload_is_just_being_deleted_waits_for_the_end_of_it(api: Running) -> None:
    key, opening = await whole_upload(api.to, b"pictures"), JobOpening(ReadModel(api.to.pool, api.to.store, nobody), api.to.store)
    async with api.to.pool.acquire() as connection, connection.transaction():
        await connection.execute("SELECT FROM uploads WHERE key = $1 FOR UPDATE", key)
        creating = asyncio.create_task(opening.open([envelope(requested(upload_key=key))], 0))
        await until(partial(is_waiting, api))
        await connection.execute("UPDATE uploads SET expires_at = now() - interval '1 minute' WHERE key = $1", key)
    with pytest.raises(Refused, match="no upload"):
        await creating


async def nobody(*_: object) -> None:
    """Who is told of a job's end."""


async def test_who_completes_an_upload_at_once_completes_it_once(api: Running) -> None:
    """rclone loses the object where two do: it is in its cache alone then, and gone with that."""
    asked = {"size": len(PICTURES), "filename": "film.mp4", "contentType": "video/mp4"}
    ticket = (await api.http.post("/api/uploads", json=asked)).json()
    async with httpx.AsyncClient() as http:
        assert (await http.put(ticket["url"], content=PICTURES, headers=ticket["headers"])).status_code == 200
    before = await completions(api)
    path = path_of(ticket["uploadKey"])
    answers = await asyncio.gather(*(api.http.post(f"{path}/complete") for _ in range(6)))
    assert [answer.json()["state"] for answer in answers] == ["complete"] * 6
    assert await completions(api) == before + 1


PICTURES = b"pictures" * 100_000


async def completions(api: Running) -> float:
    return await api.counted("clip_storage_requests_total", operation="complete_multipart_upload")
