"""What is asked again, and what is not; and that nothing but the server gets the key."""

import asyncio
import time

import pytest

from clipstream import BadRequest, ClipstreamError, Conflict, RateLimited, Unavailable, Unprocessable
from clipstream.models import Upload
from tests.clients.client.servers import JOB, Connect, hangs_up, refuses, says, serving

MADE = {"correlationId": "c-1", "job": {"id": JOB, "status": "queued", "progress": 0.0, "newer": True}}
ANSWER = {"correlationId": "c-1", "job": {"id": JOB, "status": "done", "progress": 100.0}, "events": []}
SENT = Upload(key="uploads/x/film.mp4", id=JOB, size=1)


async def test_a_create_whose_answer_was_lost_is_sent_again_with_the_same_key(connect: Connect) -> None:
    async with serving(api_jobs=[hangs_up, refuses(503, "BACKPRESSURE", retryable=True), says(MADE, 202)]) as server:
        job = await connect(server.url).create(SENT, 1, 2)
    keys = {request.headers["idempotency-key"] for request in server.asked}
    assert (job.id, job.correlation_id, len(server.asked), len(keys)) == (JOB, "c-1", 3, 1)
    assert len(set(server.bodies)) == 1


async def test_two_creates_have_two_keys_unless_one_is_named(connect: Connect) -> None:
    async with serving(api_jobs=says(MADE, 202)) as server:
        client = connect(server.url)
        await client.create(SENT, 1, 2)
        await client.create(SENT, 1, 2)
        await client.create(SENT, 1, 2, idempotency_key="mine")
    keys = [request.headers["idempotency-key"] for request in server.asked]
    assert len(set(keys)) == 3
    assert keys[2] == "mine"


async def test_the_answer_that_is_on_its_way_is_waited_for(connect: Connect) -> None:
    async with serving(api_jobs=[refuses(409, "CONFLICT", retryable=True, retry_after="1"), says(MADE, 202)]) as server:
        begun = time.monotonic()
        assert (await connect(server.url).create(SENT, 1, 2)).id == JOB
    assert time.monotonic() - begun >= 1


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [(400, "VALIDATION_FAILED", BadRequest), (409, "INVALID_STATE", Conflict), (422, "SOURCE_UNREADABLE", Unprocessable)],
)
async def test_what_cannot_succeed_is_asked_once(connect: Connect, status: int, code: str, kind: type[ClipstreamError]) -> None:
    async with serving(api_jobs_JOB=refuses(status, code)) as server:
        with pytest.raises(kind) as caught:
            await connect(server.url).job(JOB)
    told = caught.value
    assert (told.code, told.message, told.hint, told.status, told.correlation_id) == (code, "it is so", "Do this.", status, "c-1")
    assert len(server.asked) == 1


async def test_who_asks_for_more_patience_than_we_have_is_believed(connect: Connect) -> None:
    async with serving(api_jobs_JOB=refuses(429, "RATE_LIMITED", retryable=True, retry_after="3600")) as server:
        with pytest.raises(RateLimited) as caught:
            await connect(server.url).job(JOB)
    assert (caught.value.retry_after, len(server.asked)) == (3600, 1)


async def test_a_result_that_is_not_there_yet_is_not_asked_for_over_and_over(connect: Connect) -> None:
    async with serving(api_jobs_JOB_result=refuses(404, "NOT_READY", retryable=True, retry_after="2")) as server:
        with pytest.raises(ClipstreamError, match="NOT_READY"):
            await connect(server.url).result(JOB)
    assert len(server.asked) == 1


async def test_a_key_is_not_made_twice(connect: Connect) -> None:
    async with serving(api_admin_keys=hangs_up) as server:
        with pytest.raises(Unavailable, match="broke"):
            await connect(server.url, key="ck_secret").keys.create("ci", ["jobs:read"])
    assert server.lines == ["POST /api/admin/keys"]


async def test_retries_come_to_an_end(connect: Connect) -> None:
    async with serving(api_jobs_JOB=refuses(503, "RETRYABLE_ERROR", retryable=True)) as server:
        with pytest.raises(Unavailable):
            await connect(server.url, retries=2).job(JOB)
    assert len(server.asked) == 3


async def test_a_proxys_page_is_told_in_plain_words(connect: Connect) -> None:
    async with serving(api_jobs_JOB=says("<h1>Bad gateway</h1>", 502)) as server:
        with pytest.raises(Unavailable, match="something in front of it answered 502"):
            await connect(server.url, retries=0).job(JOB)


async def test_a_server_that_is_not_there_is_unavailable(connect: Connect, unused_tcp_port: int) -> None:
    with pytest.raises(Unavailable, match=f"http://127.0.0.1:{unused_tcp_port} can't be reached") as caught:
        await connect(f"http://127.0.0.1:{unused_tcp_port}", retries=1).job(JOB)
    assert caught.value.code == "UNREACHABLE"


async def test_a_server_that_says_nothing_is_given_up(connect: Connect) -> None:
    async def silent(_: object) -> None:
        await asyncio.sleep(30)

    async with serving(api_jobs_JOB=silent) as server:
        with pytest.raises(Unavailable, match="did not answer in time"):
            await connect(server.url, retries=0, timeout=0.2).job(JOB)


async def test_a_redirect_takes_no_key_along(connect: Connect) -> None:
    async with serving(api_jobs_JOB=says(ANSWER)) as other, serving(api_jobs_JOB=says({}, 307, location=other.url)) as server:
        with pytest.raises(ClipstreamError, match="leads elsewhere"):
            await connect(server.url, key="ck_secret").job(JOB)
    assert (other.asked, server.asked[0].headers["authorization"]) == ([], "Bearer ck_secret")


async def test_what_a_server_says_steers_no_terminal(connect: Connect) -> None:
    said = {"error": {"code": "X\x1b[2J", "message": "a\x1b]0;b\x07", "details": {"hint": "c\r\n"}}}
    async with serving(api_jobs_JOB=says(said, 400)) as server:
        with pytest.raises(BadRequest) as caught:
            await connect(server.url).job(JOB)
    assert all(text.isprintable() for text in (str(caught.value), caught.value.code, caught.value.message, caught.value.hint))


@pytest.mark.parametrize("said", ["no object", {"job": {"id": 5}}, {}])
async def test_an_answer_that_makes_no_sense_is_an_error_of_ours(connect: Connect, said: object) -> None:
    async with serving(api_jobs_JOB=says(said)) as server:
        with pytest.raises(ClipstreamError, match="can't be read"):
            await connect(server.url).job(JOB)
