"""Both clients on the whole stack: a file sent, jobs ordered, followed, fetched, cancelled, deleted; and what the API refuses."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from clipstream import BadRequest, ClipstreamError, Conflict, Gone, NotFound
from tests.clients.client.servers import Connect
from tests.whole_stack import System

one_kind = pytest.mark.parametrize("connect", ["asynchronous"], indirect=True)
"""Where the wire makes no difference."""
NOBODYS = "00000000-0000-4000-8000-000000000000"


async def test_a_clip_from_a_file_to_files(system: System, connect: Connect, small: Path, tmp_path: Path) -> None:
    clips, heard, bytes_told = connect(system.stack.url), [], []
    job = await clips.create(small, "0:03.5", 6, presets=["gif"], metadata={"show": "17"}, progress=lambda *told: bytes_told.append(told))
    done = await clips.wait(job.id, timeout=60, on_event=heard.append)
    places = await clips.download(job.id, tmp_path, name="talk")
    assert (done.is_done, done.metadata, done.actual_start, done.actual_end) == (True, {"show": "17"}, 3.52, 6.0)
    assert [event.id for event in heard] == sorted(event.id for event in heard)
    assert (heard[0].type, heard[-1].type, heard[-1].job.status) == ("clips.requested", "clip.uploaded", "done")
    assert {name: path.name for name, path in places.items()} == {"video": "talk.mp4", "thumbnail": "talk.jpg", "gif": "talk.gif"}
    assert (places["video"].read_bytes()[4:8], places["gif"].read_bytes()[:4]) == (b"ftyp", b"GIF8")
    assert bytes_told[-1] == (small.stat().st_size, small.stat().st_size)
    assert [event.id for event in await clips.events(job.id, after=heard[-2].id)] == [heard[-1].id]


@one_kind
async def test_many_clips_of_one_file_sent_once(system: System, connect: Connect, small: Path, tmp_path: Path) -> None:
    clips = connect(system.stack.url)
    upload = await clips.upload(small)
    assert await clips.upload(small) == upload
    jobs = await clips.create_many(upload, [(1, 3), ("0:04", "0:06")])
    await asyncio.gather(*(clips.wait(job.id, timeout=60) for job in jobs))
    listed = await clips.jobs(group_id=jobs[0].group_id)
    assert sorted((job.start, job.end) for job in listed) == [(1, 3), (4, 6)]
    assert [job.id for job in await clips.jobs(limit=1)] == [listed[0].id]
    joined = await clips.cut(upload, segments=[(4, 6), (1, 3)], folder=tmp_path)
    assert joined["video"].stat().st_size > 0
    with pytest.raises(TypeError, match="create_many"):
        await clips.create(upload, segments=[(1, 2), (3, 4)])


@one_kind
async def test_the_same_order_twice_is_one_job(system: System, connect: Connect, small: Path) -> None:
    clips = connect(system.stack.url)
    key = os.urandom(8).hex()
    first = await clips.create(small, 1, 2, idempotency_key=key)
    assert (await clips.create(small, 1, 2, idempotency_key=key)).id == first.id
    with pytest.raises(ClipstreamError, match="IDEMPOTENCY_KEY_REUSED"):
        await clips.create(small, 1, 3, idempotency_key=key)


@one_kind
async def test_a_source_is_looked_at(system: System, connect: Connect, small: Path) -> None:
    found = await connect(system.stack.url).probe(small, 1, 100)
    assert (found.duration, found.video.width, found.accepted, found.refusal.code) == (10.0, 160, False, "RANGE_OUTSIDE_SOURCE")


@one_kind
async def test_what_is_refused_says_why_and_where(system: System, connect: Connect, small: Path) -> None:
    clips = connect(system.stack.url)
    with pytest.raises(BadRequest) as caught:
        await clips.create(small, 5, 3)
    assert (caught.value.code, caught.value.field, caught.value.status) == ("VALIDATION_FAILED", "end", 400)
    assert caught.value.correlation_id
    for unknown in ("../admin/keys", "", NOBODYS):
        with pytest.raises(NotFound):
            await clips.job(unknown)


@one_kind
async def test_a_job_that_is_over_can_be_deleted_and_not_cancelled(system: System, connect: Connect, small: Path) -> None:
    clips = connect(system.stack.url)
    job = await clips.create(small, 1, 2)
    await clips.wait(job.id, timeout=60)
    for impossible in (clips.cancel, clips.retry):
        with pytest.raises(Conflict):
            await impossible(job.id)
    await clips.delete(job.id)
    with pytest.raises(Gone):
        await clips.wait(job.id)


BREAKS_OFF = """
import os, sys
from clipstream import Clipstream
Clipstream(sys.argv[1]).upload(sys.argv[2], progress=lambda there, total: os._exit(9) if there > total // 2 else None)
"""


async def test_an_upload_goes_on_after_its_process_died(system: System, connect: Connect, tmp_path: Path) -> None:
    large = tmp_path / "large.mp4"
    large.write_bytes(os.urandom(40 * 1024 * 1024))
    child = await asyncio.create_subprocess_exec(sys.executable, "-c", BREAKS_OFF, system.stack.url, str(large), stderr=subprocess.DEVNULL)
    assert await child.wait() == 9
    told: list[int] = []
    upload = await connect(system.stack.url).upload(large, progress=lambda there, _: told.append(there))
    assert (min(told) > 16 * 1024 * 1024, told[-1], upload.size) == (True, large.stat().st_size, large.stat().st_size)
