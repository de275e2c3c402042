"""window_of on real S3: what it takes of a source, and that a window through ffmpeg's copy is the one that an index gives."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from libs.common.domain.failures import Code, Failure
from services.clipper.bitstream.random_access import RandomAccess
from services.clipper.frames import Wanted
from services.clipper.source import Source, opened_source
from services.clipper.window import REORDERED, Stream, Window, local_movie
from services.clipper.windows import coding_in, pictures_of, window_of
from tests import media
from tests.builders import ready, requested
from tests.clipper.running import DEMUXERS, Clipper

START, END = 3.1, 6.6
MILLISECOND = 0.0011


@dataclass(frozen=True)
class Windowed:
    window: Window | None
    source: Source

    @property
    def picture(self) -> Stream:
        assert self.window
        return self.window.picture

    @property
    def times(self) -> list[float]:
        """Of the frames that a player shows, from its 0:00 on."""
        assert self.window
        seen = self.picture.samples.present[~self.picture.samples.is_hidden]
        return [self.picture.seconds(int(ticks)) - self.window.start_time for ticks in np.sort(seen)]

    def numbers(self, lag: float = 0.0) -> list[int]:
        """Those of its pictures, in decode order: 30 of them are shown a second, the first at `lag`."""
        assert self.window
        zero = self.window.start_time + lag
        return [round((self.picture.seconds(int(ticks)) - zero) * 30) for ticks in self.picture.samples.present]


@asynccontextmanager
async def windowed(
    clipper: Clipper, path: Path, start: float = START, end: float = END, accuracy: str = "exact"
) -> AsyncIterator[Windowed]:
    asked = requested(start=start, end=end, accuracy=accuracy)
    async with (
        clipper.context(asked) as ctx,
        opened_source(
            ctx.objects.sources, ready(source_key=await clipper.stored(path), container=DEMUXERS[path.suffix]), ctx.settings
        ) as source,
    ):
        yield Windowed(await window_of(source, asked, ctx), source)


def payload(stream: Stream) -> list[bytes]:
    """Samples without what containers put in front of or after the slices: parameter sets, delimiters, enhancement information."""
    return [stream.sample(place)[-100:] for place in range(len(stream.samples))]


@pytest.mark.parametrize("options", [(), ("-movflags", "+faststart")], ids=["index at the end", "index first"])
async def test_of_mp4_only_the_index_and_the_range_are_read(clipper: Clipper, plain: Path, folder: Path, options: tuple[str, ...]):
    path = media.remuxed(plain, folder / f"window-{len(options)}.mp4", *options)
    movie = local_movie(path)
    assert movie
    async with windowed(clipper, path) as found:
        assert found.window
        assert found.window.sound
        parts = [found.picture, found.window.sound]
        wanted = sum(int(part.samples.size.sum()) for part in parts)
        index = sum(size for name, size in boxes(path) if name != "mdat")
        assert found.source.bytes_read <= index + 1.3 * wanted + 64 * 1024
        for part, track in zip(parts, movie.tracks, strict=True):
            whole = Stream(track=track, samples=track.samples, held=path.read_bytes())
            begin = int(np.flatnonzero(track.samples.present == part.samples.present[0])[0])
            assert payload(part) == payload(whole)[begin : begin + len(part.samples)]


def boxes(path: Path) -> list[tuple[str, int]]:
    data, at, found = path.read_bytes(), 0, []
    while at < len(data):
        size = int.from_bytes(data[at : at + 4])
        found.append((data[at + 4 : at + 8].decode(), size))
        at += size
    return found


async def test_what_is_read_does_not_grow_with_the_source(clipper: Clipper, folder: Path):
    read = []
    for seconds in (5, 20):
        noisy = (*media.gop(30), "-vf", "noise=alls=40:allf=t")
        path = media.make(folder / f"long-{seconds}.mp4", frames=30 * seconds, video=noisy, after=("-movflags", "+faststart"))
        async with windowed(clipper, path, 3.0, 5.0) as found:
            index = next(size for name, size in boxes(path) if name == "moov")
            read.append((found.source.bytes_read - index, path.stat().st_size))
    assert read[1][1] > 3 * read[0][1]
    assert read[1][0] < 1.3 * read[0][0] < 0.6 * read[0][1]


async def test_a_window_begins_with_the_keyframe_before_and_ends_with_what_may_be_shown_inside(clipper: Clipper, plain: Path):
    async with windowed(clipper, plain) as found:
        assert found.numbers()[0] == min(found.numbers()) == 60
        assert found.picture.samples.is_sync[0]
        assert 198 <= max(found.numbers()) <= 198 + REORDERED + 3
        assert found.picture.following is not None


CONTAINERS = {
    "matroska": (".mkv", ()),
    "transport": (".ts", ()),
    "transport late": (".ts", ("-output_ts_offset", "5000")),
    "fragmented": (".mp4", ("-movflags", "frag_keyframe+empty_moov")),
    "cmaf": (".mp4", ("-movflags", "cmaf+frag_keyframe", "-frag_duration", "500000")),
}
STARTS = ((3.1, "exact"), (4.0, "exact"), (3.9, "fast"))
COPIED = [
    pytest.param(*container, *start, id=f"{name}-{start[0]}-{start[1]}", marks=() if (n + m) % 3 == 0 else pytest.mark.thorough)
    for n, (name, container) in enumerate(CONTAINERS.items())
    for m, start in enumerate(STARTS)
]
"""Each container at one start every day."""


@pytest.mark.parametrize(("suffix", "options", "start", "accuracy"), COPIED)
async def test_a_copied_window_is_the_one_that_an_index_gives(
    clipper: Clipper, plain: Path, folder: Path, suffix: str, options: tuple[str, ...], start: float, accuracy: str
):
    path = media.remuxed(plain, folder / f"copied-{len(options)}-{start}{suffix}", *options)
    late = picture_lag(path)
    async with (
        windowed(clipper, plain, start, END, accuracy) as straight,
        windowed(clipper, path, start + late, END + late, accuracy) as copied,
    ):
        assert copied.window
        assert straight.window
        ours, theirs = (
            dict(zip(found.numbers(lag), payload(found.picture), strict=True)) for found, lag in ((straight, 0.0), (copied, late))
        )
        assert min(ours) == min(theirs) == (120 if start == 4.0 else 60)
        assert set(range(min(ours), round(END * 30))) <= ours.keys() & theirs.keys()
        assert all(ours[number] == theirs[number] for number in ours.keys() & theirs.keys())
        assert [time - late for time in copied.times[:90]] == pytest.approx(straight.times[:90], abs=MILLISECOND)
        assert copied.window.has_sound
        assert copied.window.sound


def picture_lag(path: Path) -> float:
    """How much later than the file itself its picture begins: writers without edit lists have it wait for B-frames, or for sound."""
    times = [float(time) for time in media.told(path, "packet=pts_time", "-select_streams", "v")]
    return min(times) - max(float(media.told(path, "format=start_time")[0]), 0.0)


async def test_a_keyframe_far_before_the_range_is_found_in_a_transport_stream(clipper: Clipper, folder: Path):
    path = media.make(folder / "far.ts", frames=600, video=media.gop(480), audio=("-c:a", "aac"))
    async with windowed(clipper, path, 15.0, 15.5) as found:
        assert found.times[0] < 1.0
        assert found.picture.samples.is_sync[0]
    async with windowed(clipper, path, 17.0, 18.0) as found:
        assert found.times[0] > 15.5
        assert found.picture.samples.is_sync[0]


async def test_keyframes_are_looked_at_by_their_slices(clipper: Clipper, folder: Path):
    wanted = {"closed": RandomAccess.CLEAN, "open": RandomAccess.NONE}
    for name, more in (("closed", ""), ("open", ":open-gop=1:b-adapt=0")):
        path = media.make(folder / f"looked-{name}.mp4", video=media.gop(60, bframes=3, more=more))
        async with windowed(clipper, path, 3.0, 7.0) as found:
            coding = coding_in(found.picture)
            assert coding
            pictures = pictures_of(found.picture, coding, Wanted(3.0, 7.0))
            at = {found.numbers()[place]: access for place, access in pictures.access.items()}
            assert at[120] == wanted[name]
            assert pictures.frame == found.picture.track.timescale // 30


async def test_what_is_not_spliced_has_no_window(clipper: Clipper, folder: Path):
    path = media.make(folder / "mpeg4.avi", frames=60, video=("-c:v", "mpeg4"), audio=("-c:a", "libmp3lame"))
    async with windowed(clipper, path, 0.5, 1.0) as found:
        assert found.window is None


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
async def test_a_range_beyond_the_end_is_refused(clipper: Clipper, plain: Path, folder: Path, suffix: str):
    path = media.remuxed(plain, folder / f"beyond{suffix}")
    with pytest.raises(Failure) as refused:
        async with windowed(clipper, path, 9.0, 15.0):
            pass
    assert refused.value.code is Code.RANGE_OUTSIDE_SOURCE
