"""Signed uploads: the ticket, the file put with it past the API, and the job made of it."""

from datetime import UTC, datetime, timedelta

import httpx
import pytest

from tests.api.conftest import Running
from tests.api.test_jobs import code_of

FILE = b"moving pictures"
WISH = {"filename": "My talk.mp4", "size": len(FILE), "contentType": "video/mp4"}


async def test_a_ticket_uploads_one_file_and_its_key_makes_a_job(api: Running) -> None:
    answer = await api.http.post("/api/uploads", json=WISH)
    ticket = answer.json()
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    assert ticket["uploadKey"].endswith("/My_talk.mp4")
    assert timedelta(seconds=890) < datetime.fromisoformat(ticket["expiresAt"]) - datetime.now(UTC) <= timedelta(seconds=900)
    job = {"sourceType": "upload", "uploadKey": ticket["uploadKey"], "start": 0, "end": 1}
    assert code_of(await api.http.post("/api/jobs", json=job)) == (400, "VALIDATION_FAILED", "uploadKey")
    async with httpx.AsyncClient() as anybody:
        put = await anybody.request(ticket["method"], ticket["url"], headers=ticket["headers"], content=FILE)
    assert put.status_code == 200
    assert (await api.http.post("/api/jobs", json=job)).status_code == 202


async def test_a_ticket_takes_no_other_size(api: Running) -> None:
    ticket = (await api.http.post("/api/uploads", json=WISH)).json()
    async with httpx.AsyncClient() as anybody:
        put = await anybody.put(ticket["url"], headers={"content-type": "video/mp4"}, content=FILE * 2)
    assert put.status_code == 403


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"size": 301 * 1024 * 1024}, (413, "INPUT_TOO_LARGE", "size")),
        ({"size": 0}, (400, "VALIDATION_FAILED", "size")),
        ({"size": None}, (400, "VALIDATION_FAILED", "size")),
        ({"contentType": "video/mp4\r\nx-evil: 1"}, (400, "VALIDATION_FAILED", "contentType")),
        ({"bucket": "other"}, (400, "VALIDATION_FAILED", "bucket")),
    ],
)
async def test_a_wish_that_can_not_be_met_is_refused(
    api: Running, change: dict[str, object], expected: tuple[int, str, str | None]
) -> None:
    assert code_of(await api.http.post("/api/uploads", json=WISH | change)) == expected
