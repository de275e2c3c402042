"""Events: streams that break, streams that something holds back, jobs that run again, and time that runs out."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web

from clipstream import Gone, JobCancelled, JobFailed, Unavailable, WaitTimeout, following
from tests.clients.client.servers import JOB, Connect, Handle, hangs_up, refuses, says, serving

OVER = "done"


def event(number: int, kind: str, status: str) -> dict[str, Any]:
    return {"ts": f"2026-11-21T12:00:{number:02}Z", "type": kind, "data": {}, "job": {"status": status, "stage": "clipping", "progress": 5}}


def frame(number: int, kind: str, status: str) -> bytes:
    return f"id: {number}\nevent: {kind}\ndata: {json.dumps(event(number, kind, status))}\n\n".encode()


def streams(*chunks: bytes, ending: Callable[[web.Request], Awaitable[object]] | None = None, kind: str = "text/event-stream") -> Handle:
    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": kind})
        await response.prepare(request)
        for chunk in chunks:
            await response.write(chunk)
        if ending:
            await ending(request)
        return response

    return answer


async def breaks(request: web.Request) -> None:
    await asyncio.sleep(0.05)
    assert request.transport
    request.transport.abort()


async def goes_on(_: web.Request) -> None:
    await asyncio.sleep(60)


async def keeps_alive(request: web.Request) -> None:
    while True:
        await asyncio.sleep(0.1)
        assert request.transport
        request.transport.write(b"3\r\n:\n\n\r\n")


async def says_nothing(_: web.Request) -> web.Response:
    await asyncio.sleep(60)
    return web.Response()


async def nothing_follows(_: web.Request) -> web.Response:
    return web.Response(status=204)


def stands(status: str, *events: dict[str, Any], **more: Any) -> Handle:
    job = {"id": JOB, "status": status, "progress": 5.0, "stage": "clipping", **more}
    return says({"correlationId": "c-1", "job": job, "events": [{**one, "job": None} for one in events]})


OPENING = b"retry: 2000\n\n"
ASKED = event(1, "clips.requested", "queued")


async def test_a_stream_that_breaks_is_resumed_behind_its_last_event(connect: Connect) -> None:
    broken = streams(OPENING, frame(1, "clips.requested", "queued"), frame(2, "stage.started", "processing"), ending=breaks)
    rest = streams(OPENING, frame(4, "clip.uploaded", "done"))
    async with serving(api_jobs_JOB_events=[broken, rest, nothing_follows]) as server:
        events = await connect(server.url).events(JOB)
    assert [told.id for told in events] == [1, 2, 4]
    assert [request.headers.get("last-event-id") for request in server.asked] == [None, "2", "4"]
    assert (events[-1].type, events[-1].job.is_over, events[-1].job.stage) == ("clip.uploaded", True, "clipping")


async def test_a_stream_is_begun_where_the_caller_says(connect: Connect) -> None:
    async with serving(api_jobs_JOB_events=nothing_follows) as server:
        assert await connect(server.url).events(JOB, after=7) == []
    assert server.asked[0].headers["last-event-id"] == "7"


async def test_where_something_holds_the_stream_back_the_job_is_asked_for(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "OPENING", 0.2)
    ended = stands("done", ASKED, event(2, "clip.uploaded", "done"))
    async with serving(api_jobs_JOB_events=streams(ending=goes_on), api_jobs_JOB=[stands("queued", ASKED), ended]) as server:
        events = await connect(server.url).events(JOB)
    assert [(told.id, told.type, told.job.status) for told in events] == [
        (None, "clips.requested", "queued"),
        (None, "clip.uploaded", "done"),
    ]
    assert server.lines.count(f"GET /api/jobs/{JOB}/events") == 1


@pytest.mark.parametrize(
    "refusal",
    [refuses(503, "BACKPRESSURE", retryable=True, retry_after="0"), says({}), hangs_up],
    ids=["full", "no stream", "hangs up"],
)
async def test_where_nothing_streams_the_job_is_asked_for(connect: Connect, refusal: Handle) -> None:
    async with serving(api_jobs_JOB_events=refusal, api_jobs_JOB=[stands("queued", ASKED), stands("done", ASKED)]) as server:
        assert (await connect(server.url).wait(JOB, timeout=10)).is_done


async def test_events_that_were_streamed_are_not_told_again_when_the_job_is_asked_for(connect: Connect) -> None:
    streamed = streams(OPENING, frame(1, "clips.requested", "queued"), ending=breaks)
    full = refuses(503, "BACKPRESSURE", retryable=True, retry_after="0")
    ended = stands("done", ASKED, event(2, "clip.uploaded", "done"))
    async with serving(api_jobs_JOB_events=[streamed, full], api_jobs_JOB=ended) as server:
        events = await connect(server.url).events(JOB)
    assert [(told.id, told.type) for told in events] == [(1, "clips.requested"), (None, "clip.uploaded")]


async def test_a_job_that_runs_again_is_followed_to_its_last_end(connect: Connect) -> None:
    again = frame(1, "clips.requested", "queued") + frame(2, "job.failed", "failed") + frame(3, "job.replayed", "queued")
    rest = streams(OPENING, frame(4, "clip.uploaded", "done"))
    async with serving(api_jobs_JOB_events=[streams(OPENING, again), rest, nothing_follows], api_jobs_JOB=stands("done")) as server:
        heard: list[int | None] = []
        job = await connect(server.url).wait(JOB, on_event=lambda told: heard.append(told.id))
    assert (job.is_done, heard) == (True, [1, 2, 3, 4])


async def test_a_job_that_was_put_back_behind_its_end_is_waited_for_again(connect: Connect) -> None:
    first, second = streams(OPENING, frame(1, "job.failed", "failed")), streams(OPENING, frame(3, "clip.uploaded", "done"))
    paths = {"api_jobs_JOB_events": [first, nothing_follows, second, nothing_follows], "api_jobs_JOB": [stands("queued"), stands("done")]}
    async with serving(**paths) as server:
        assert (await connect(server.url).wait(JOB)).is_done


async def test_how_a_job_ended_is_told_by_the_error(connect: Connect) -> None:
    error = {"code": "SOURCE_UNREADABLE", "message": "no picture", "hint": "Try another."}
    failed, cancelled = stands("failed", error=error, correlationId="c-9"), stands("cancelled")
    async with serving(api_jobs_JOB_events=nothing_follows, api_jobs_JOB=[failed, cancelled]) as server:
        client = connect(server.url)
        with pytest.raises(JobFailed) as caught:
            await client.wait(JOB)
        with pytest.raises(JobCancelled):
            await client.wait(JOB)
    told = caught.value
    assert (told.code, told.message, told.hint, told.correlation_id, told.job.id) == (*error.values(), "c-9", JOB)


@pytest.mark.parametrize("begun", [(OPENING, frame(1, "clips.requested", "queued")), ()], ids=["begun", "no event"])
@pytest.mark.parametrize("ending", [goes_on, keeps_alive])
async def test_time_that_is_up_ends_the_waiting_and_not_the_job(connect: Connect, ending: Handle, begun: tuple[bytes, ...]) -> None:
    waiting = streams(*begun, ending=ending)
    async with serving(api_jobs_JOB_events=waiting, api_jobs_JOB=stands("queued")) as server:
        since = time.monotonic()
        with pytest.raises(WaitTimeout) as caught:
            await connect(server.url).wait(JOB, timeout=1)
    assert 0.9 < time.monotonic() - since < 4
    assert (caught.value.job_id, {request.method for request in server.asked}) == (JOB, {"GET"})


async def test_time_is_up_too_where_a_server_takes_calls_and_says_nothing(connect: Connect) -> None:
    async with serving(api_jobs_JOB_events=says_nothing, api_jobs_JOB=says_nothing) as server:
        since = time.monotonic()
        with pytest.raises(WaitTimeout):
            await connect(server.url).wait(JOB, timeout=1)
    assert 0.9 < time.monotonic() - since < 4


async def test_a_job_that_expires_ends_its_events_and_is_gone_for_who_waits(connect: Connect) -> None:
    expiring = streams(OPENING, frame(1, "clips.requested", "queued"), frame(2, "job.expired", "expired"))
    gone = refuses(410, "GONE")
    async with serving(api_jobs_JOB_events=[expiring, expiring, gone], api_jobs_JOB=gone) as server:
        client = connect(server.url)
        assert (await client.events(JOB))[-1].type == "job.expired"
        with pytest.raises(Gone):
            await client.wait(JOB)


async def test_a_server_that_stays_away_is_not_followed_for_ever(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "OUTAGE", 0.3)
    async with serving(api_jobs_JOB_events=hangs_up, api_jobs_JOB=hangs_up) as server:
        with pytest.raises(Unavailable, match="broke"):
            await connect(server.url, retries=0).wait(JOB)
    assert server.lines.count(f"GET /api/jobs/{JOB}") >= 1
