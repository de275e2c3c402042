"""Scratch that is full: the worker takes no more, says so, finishes what it has and goes on by itself. Real files, a real JetStream."""

import asyncio
import errno
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from libs.common.domain.events import AsrDone, ClipBurned, StageName
from libs.common.domain.failures import Code, Failure, classify
from libs.common.domain.retry import RetryPolicy, TryLater, verdict_on
from libs.common.domain.worker_reports import EVERY, SUBJECT, report_of, stage_of, subject_of
from libs.common.runtime import streams
from libs.common.runtime.background import running
from libs.common.runtime.context import Context
from libs.common.runtime.embedded import LocalServers
from libs.common.runtime.health import Health
from libs.common.runtime.health_port import readiness
from libs.common.runtime.jetstream import JetStreamBus
from libs.common.runtime.process import Limits, run
from libs.common.runtime.pull import Places, run_stage
from libs.common.runtime.scratch import MIB, ScratchRoom, scratch, space_of
from libs.common.runtime.settings import CommonSettings, Secret
from libs.common.runtime.worker_reports import report, send_reports
from tests.builders import burned
from tests.runtime.own_nats import connected_bus, own_nats
from tests.runtime.test_pull import Desk, every_lane

BURNER = StageName.BURNER


def settings(folder: Path, **fields: Any) -> CommonSettings:
    given = {"database_url": Secret(""), "nats_url": Secret(""), "scratch_dir": folder, "scratch_max_mb": 1, "scratch_min_free_mb": 1}
    return CommonSettings(**given | fields)


@pytest.fixture
async def own(servers: dict[str, str], tmp_path: Path) -> AsyncIterator[LocalServers]:
    async with own_nats(servers, tmp_path / "nats") as own:
        yield own


@pytest.fixture
async def bus(own: LocalServers) -> AsyncIterator[JetStreamBus]:
    async with connected_bus(own.variables["NATS_URL"]) as bus:
        await streams.ensure(bus.js, replicas=1)
        yield bus


@asynccontextmanager
async def working(desk: Desk, room: ScratchRoom) -> AsyncIterator[Places]:
    """The desk's stage, whose places look at this room."""
    places = Places(desk.stage, desk.world.settings, room)
    running = asyncio.create_task(run_stage(desk.stage, desk.world, every_lane(desk.bus), desk.stopping, places))
    try:
        yield places
    finally:
        await desk.stop(running)


def test_a_folder_counts_what_its_files_take_of_the_disk(tmp_path: Path) -> None:
    folder = tmp_path / "scratch"
    assert space_of(folder).used == 0
    (folder / "job").mkdir(parents=True)
    (folder / "job" / "clip.mp4").write_bytes(bytes(3 * MIB))
    with (folder / "hole").open("wb") as sparse:
        sparse.truncate(1000 * MIB)
    (folder / "link").symlink_to("/etc/passwd")
    measured = space_of(folder)
    assert 3 * MIB <= measured.used < 4 * MIB
    assert measured.free > 0


async def test_scratch_over_its_limit_is_said_once_in_the_log_in_metrics_and_in_readiness(tmp_path: Path) -> None:
    room, health = ScratchRoom(settings(tmp_path)), Health({})
    large = tmp_path / "large"
    with capture_logs() as logs:
        large.write_bytes(bytes(2 * MIB))
        async with running(room.watch(health)):
            async with asyncio.timeout(20):
                while not health.full:
                    await asyncio.sleep(0.01)
            await room.look()
            assert (room.is_full, REGISTRY.get_sample_value("clip_scratch_full")) == (True, 1)
            assert REGISTRY.get_sample_value("clip_scratch_bytes") >= 2 * MIB
            assert readiness(health) == {"status": "degraded", "dependencies": {}, "full": ["scratch"]}
            large.unlink()
            async with asyncio.timeout(20):
                await room.until_free()
                while health.full:
                    await asyncio.sleep(0.01)
    assert readiness(health) == {"status": "ready", "dependencies": {}}
    assert REGISTRY.get_sample_value("clip_scratch_full") == 0
    said = [line["event"] for line in logs if "scratch" in line["event"]]
    assert said == ["scratch is full: no more work is taken", "scratch has room again"]


async def test_a_disk_with_too_little_left_is_full_whatever_we_use_of_it(tmp_path: Path) -> None:
    room = ScratchRoom(settings(tmp_path, scratch_max_mb=None, scratch_min_free_mb=2**40))
    await room.look()
    assert room.is_full


async def test_a_full_worker_finishes_what_it_has_and_leaves_the_rest_to_others_for_a_while(bus: JetStreamBus, tmp_path: Path) -> None:
    held, release = asyncio.Event(), asyncio.Event()

    async def hold(event: AsrDone, ctx: Context[Any, Any]) -> ClipBurned:
        held.set()
        await release.wait()
        return await desk.note(event, ctx)

    files = tmp_path / "scratch"
    files.mkdir()
    desk = Desk(bus, tmp_path, places=2, handle=hold)
    room = ScratchRoom(settings(files))
    async with working(desk, room) as places:
        await desk.submit("in hand")
        async with asyncio.timeout(40):
            await held.wait()
        (files / "large").write_bytes(bytes(2 * MIB))
        await room.look()
        await desk.submit("perhaps, since a pull was under way")
        await desk.submit("waits")
        await desk.submit("waits too")
        other = Desk(bus, tmp_path / "other")
        other.store.rows = desk.store.rows
        async with working(other, ScratchRoom(settings(tmp_path / "other"))), asyncio.timeout(40):
            while len(other.done) < 2:
                await asyncio.sleep(0.01)
        assert places.in_hand <= 2
        release.set()
        async with asyncio.timeout(40):
            while "in hand" not in desk.done:
                await asyncio.sleep(0.01)
        taken = len(desk.done) + len(other.done)
        await desk.submit("later")
        async with asyncio.timeout(40):
            while await desk.left() > 1:
                await asyncio.sleep(0.01)
        assert "later" not in desk.done
        (files / "large").unlink()
        await room.look()
        async with asyncio.timeout(40):
            while "later" not in desk.done:
                await asyncio.sleep(0.01)
    assert len(desk.done) + len(other.done) == taken + 1


async def test_every_worker_says_how_it_stands_for_whoever_listens(bus: JetStreamBus, tmp_path: Path) -> None:
    heard: asyncio.Queue[Any] = asyncio.Queue()
    await bus.client.subscribe(f"{SUBJECT}.>", cb=heard.put)
    desk = Desk(bus, tmp_path, places=3)
    room = ScratchRoom(settings(tmp_path))
    (tmp_path / "large").write_bytes(bytes(2 * MIB))
    await room.look()
    places = Places(desk.stage, desk.world.settings, room)
    async with running(send_reports(bus.client, "host:1", room, {BURNER: places})), asyncio.timeout(20):
        message = await heard.get()
    assert (message.subject, stage_of(message.subject)) == (subject_of(BURNER), BURNER)
    said = msgspec.json.decode(message.data)
    assert said.pop("scratchFreeMb") > 0
    assert said == {"worker": "host:1", "inHand": 0, "places": 3, "scratchUsedMb": 2, "full": True}
    assert report_of(message.data) == report("host:1", room, places)


async def test_reports_never_break_or_hold_up_a_worker_whose_server_is_away(own: LocalServers, bus: JetStreamBus, tmp_path: Path) -> None:
    desk = Desk(bus, tmp_path)
    places = Places(desk.stage, desk.world.settings)
    await own.nats.kill()
    telling = asyncio.create_task(send_reports(bus.client, "host:1", places.scratch, {BURNER: places}))
    done, _ = await asyncio.wait([telling], timeout=EVERY + 0.5)
    assert not done
    telling.cancel()
    await own.nats.start()


@pytest.mark.parametrize("body", [b"", b"{}", b"\xff", b"[" * 100_000, b'{"worker":"w","inHand":-1}', b'"full"'])
def test_what_is_no_report_is_passed_over(body: bytes) -> None:
    assert report_of(body) is None


# A disk that fills in the middle of a job


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_tried_again_later_and_charges_no_attempt(number: int) -> None:
    failure = classify(OSError(number, "whatever the system says of /tmp/secret/path"))
    assert (failure.code, failure.charged) == (Code.RETRYABLE_ERROR, False)
    assert "secret" not in failure.message
    assert verdict_on(failure, 3, RetryPolicy(), 0.5) == TryLater(failure, 15.0)


def test_other_errors_of_the_system_are_still_unexpected() -> None:
    assert classify(OSError(errno.EIO, "bad disk")).code is Code.INTERNAL


@pytest.fixture
def small_disk(tmp_path: Path) -> Any:
    """A file system of 12 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m", "none", folder], check=False, capture_output=True)
    if mounted.returncode:
        pytest.skip("this machine lets us mount nothing")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


async def test_whatever_an_attempt_failed_with_on_a_full_disk_it_failed_for_the_disk(small_disk: Path) -> None:
    """As ffmpeg does it: an exit status and a line on stderr, which its caller takes for a source that can't be read."""
    with pytest.raises(OSError, match="No space left") as caught:
        async with scratch(settings(small_disk), uuid4(), BURNER) as folder:
            ended = await run(["dd", "if=/dev/zero", f"of={folder() / 'clip.mp4'}", "bs=1M"], limits=Limits(wall=20))
            raise Failure(Code.SOURCE_UNREADABLE, ended.stderr[-20:])
    assert isinstance(caught.value.__cause__, Failure)
    assert list(small_disk.iterdir()) == []
    with pytest.raises(ValueError, match="its own"):
        async with scratch(settings(small_disk), uuid4(), BURNER) as folder:
            folder()
            raise ValueError("its own")


async def test_a_job_on_a_full_disk_is_handed_back_uncharged(bus: JetStreamBus, small_disk: Path) -> None:
    async def write(event: AsrDone, ctx: Context[Any, Any]) -> ClipBurned:
        (ctx.scratch / "clip.mp4").write_bytes(bytes(6 * MIB))
        return burned()

    desk = Desk(bus, small_disk, handle=write)
    (small_disk / "of others").write_bytes(bytes(8 * MIB))
    await desk.submit("job")
    async with working(desk, ScratchRoom(settings(small_disk))), asyncio.timeout(40):
        while not (retried := [row.event for row in desk.store.rows if type(row.event).__name__ == "StageRetried"]):
            await asyncio.sleep(0.01)
    assert [(event.charged, event.delay) for event in retried] == [(False, 15.0)]
