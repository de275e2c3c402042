"""cut_clip when something is wrong: a copy that does not hold, a source that is broken, S3 that goes away, a job that is cancelled."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from libs.common.domain.failures import Code, Failure
from libs.common.runtime.object_store import Bucket
from libs.common.runtime.process import Limits
from libs.common.runtime.warm_process import Warm
from services.clipper.handler import cut_clip
from services.clipper.rendering import seconds_done
from services.clipper.turns import Turns
from tests import media
from tests.builders import ready, requested
from tests.clipper.running import Clipper


def damaged(source: Path, path: Path, packet: int) -> Path:
    """The same MP4 with most of one picture wiped out, its size and header whole."""
    data = bytearray(source.read_bytes())
    size, position = map(int, media.told(source, "packet=size,pos", "-select_streams", "v")[packet].split(","))
    data[position + 20 : position + size] = bytes(size - 20)
    path.write_bytes(data)
    return path


async def test_a_copy_whose_first_picture_does_not_decode_is_encoded_instead(clipper: Clipper, plain: Path, folder: Path):
    source = damaged(plain, folder / "damaged.mp4", 120)
    clip = await clipper.cut(source, 4.0, 8.0)
    assert clip.event.cut_path == "fallback"
    assert clip.event.cut_reason == "unverified"
    assert len(media.told(clip.path, "packet=pts", "-select_streams", "v")) == 120


async def test_a_picture_that_is_broken_in_the_source_is_copied_as_it_is(clipper: Clipper, plain: Path, folder: Path):
    """Verification looks where something of ours begins; to decode all of a copy would cost many times the cut."""
    source = damaged(plain, folder / "damaged.mp4", 151)
    clip = await clipper.cut(source, 4.0, 8.0)
    assert clip.event.cut_path == "copy"
    assert media.numbers(clip.path)[:20] == list(range(120, 140))


async def test_a_source_without_a_keyframe_is_unreadable(clipper: Clipper, plain: Path, folder: Path):
    data = plain.read_bytes()
    begin = data.index(b"mdat") + 4
    (folder / "hollow.mp4").write_bytes(data[:begin] + bytes(len(data) - begin - 20_000) + data[-20_000:])
    with pytest.raises(Failure) as failed:
        await clipper.cut(folder / "hollow.mp4", 4.0, 8.0)
    assert failed.value.code is Code.SOURCE_UNREADABLE


async def test_a_range_that_can_not_be_decoded_fails_its_verification(clipper: Clipper, plain: Path, folder: Path):
    data, source = bytearray(plain.read_bytes()), folder / "holes.mp4"
    for line in media.told(plain, "packet=size,pos", "-select_streams", "v")[130:150]:
        size, position = map(int, line.split(","))
        data[position : position + size] = bytes(size)
    source.write_bytes(data)
    with pytest.raises(Failure) as failed:
        await clipper.cut(source, 4.0, 6.0)
    assert failed.value.code is Code.OUTPUT_VERIFICATION_FAILED


@pytest.mark.parametrize(
    ("suffix", "requests"), [("mp4", 0), ("mp4", 1), ("mkv", 0), pytest.param("mkv", 2, marks=pytest.mark.thorough), ("mkv", 4)]
)
async def test_an_outage_of_s3_is_waited_for_whatever_ffmpeg_makes_of_it(
    clipper: Clipper, plain: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, requests: int
):
    source = media.remuxed(plain, folder / f"outage-{requests}.{suffix}")
    stream, answered = Bucket.stream, []

    async def breaking(self: Bucket, key: str, *arguments: Any, **more: Any) -> AsyncIterator[bytes]:
        if len(answered) >= requests:
            raise Failure(Code.STORAGE_UNAVAILABLE, "S3 is away", outage="s3")
        answered.append(key)
        async with contextlib.aclosing(stream(self, key, *arguments, **more)) as chunks:
            async for chunk in chunks:
                yield chunk

    monkeypatch.setattr(Bucket, "stream", breaking)
    with pytest.raises(Failure) as failed:
        await clipper.cut(source, 4.0, 8.0)
    assert failed.value.outage == "s3"


async def test_a_cancelled_job_leaves_no_ffmpeg_behind(clipper: Clipper, folder: Path):
    source = media.make(folder / "long.mp4", frames=750)
    async with clipper.context(requested(start=0.5, end=24.5), variables={"CLIP_MAX_RUNTIME_SEC": "60"}) as ctx:
        event = ready(source_key=await clipper.stored(source))
        work = asyncio.create_task(cut_clip(event, ctx))
        async with asyncio.timeout(60):
            while not running_in(ctx.scratch):
                await asyncio.sleep(0.005)
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work
        assert running_in(ctx.scratch) == []


def running_in(folder: Path) -> list[str]:
    """Programs that work in this folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (process / "cwd").readlink() == folder:
                found.append(process.name)
    return found


async def test_encodes_wait_for_a_place_and_copies_do_not(clipper: Clipper, plain: Path):
    event = ready(source_key=await clipper.stored(plain))
    async with clipper.context(requested(start=4.0, end=8.0)) as copying, clipper.context(requested(start=4.1, end=8.0)) as encoding:
        taken = Turns(1)
        async with taken.turn(0.0):
            blocked = asyncio.create_task(cut_clip(event, replace(encoding, tools=replace(encoding.tools, encodes=taken))))
            copied = await cut_clip(event, replace(copying, tools=replace(copying.tools, encodes=taken)))
            assert copied.cut_path == "copy"
            assert not blocked.done()
        assert (await blocked).cut_path == "smart"


@pytest.mark.parametrize(
    ("line", "seconds"),
    [
        ("out_time_us=1500000", 1.5),
        ("out_time_us=N/A", None),
        ("out_time_us=-33", None),
        ("out_time=00:00:01.5", None),
        ("progress=end", None),
        ("", None),
        ("out_time_us=" + "9" * 5000, 999999999999.999999),
    ],
)
def test_progress_lines_are_read_with_tolerance(line: str, seconds: float | None):
    assert seconds_done(line) == seconds


@dataclass
class Impatient:
    """An inspection that has no time for posters: its worker is killed over them."""

    inspection: Warm

    async def ask(self, request: bytes, limits: Limits) -> bytes:
        return await self.inspection.ask(request, replace(limits, wall=0.0) if b'"poster":true' in request else limits)


async def test_a_poster_that_kills_its_inspection_costs_a_warning_and_not_the_clip(clipper: Clipper, plain: Path):
    async with clipper.context(requested(start=4.0, end=8.0)) as ctx:
        tools: Any = replace(ctx.tools, inspection=Impatient(ctx.tools.inspection))  # type: ignore[arg-type]
        made = await cut_clip(ready(source_key=await clipper.stored(plain)), replace(ctx, tools=tools))
    assert (made.cut_path, made.thumbnail_key, [notice.code for notice in made.warnings]) == ("copy", None, ["THUMBNAIL_FAILED"])
