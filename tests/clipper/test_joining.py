"""Joined clips on real ffmpeg and S3: which frames they hold, when each is shown, and where their sound is."""

from pathlib import Path

import numpy as np
import pytest

from libs.common.domain.failures import Code, Failure
from libs.common.domain.values import Section, Segment
from tests import media
from tests.builders import requested
from tests.clipper.running import Clipped, Clipper
from tests.clipper.test_cutting import times_of
from tests.clipper.test_sections import OFFSET, section

IN_STEP = 0.020
FADE = 0.07
RATE = 48_000
Ranges = tuple[tuple[float, float], ...]

SPOKEN = ((5.0, 6.5), (2.5, 4.01), (3.0, 5.2))
"""Backwards, overlapping, on a keyframe and off it, and off the frame grid."""


def asked(ranges: Ranges, **fields: object):
    segments = tuple(Segment(start=start, end=end) for start, end in ranges)
    return requested(start=min(start for start, _ in ranges), end=max(end for _, end in ranges), segments=segments, **fields)


def numbers_in(ranges: Ranges, rate: float = 30.0) -> list[int]:
    return [n for start, end in ranges for n in range(1000) if start - 0.0005 <= n / rate < end - 0.0005]


def beeps_in(ranges: Ranges) -> list[float]:
    """When the beeps of every whole second are heard, of ranges that begin on a frame."""
    begins = np.cumsum([0.0, *(end - start for start, end in ranges)])
    return [begin + at - start for begin, (start, end) in zip(begins, ranges, strict=False) for at in range(20) if start + FADE < at < end]


def in_step(done: Clipped, ranges: Ranges) -> bool:
    edges = np.cumsum([0.0, *(end - start for start, end in ranges)])
    heard = [at for at in media.beeps(done["clip.mp4"]) if np.abs(edges - at).min() > FADE]
    expected = [at for at in beeps_in(ranges) if np.abs(edges - at).min() > FADE]
    return len(heard) == len(expected) > 0 and all(abs(a - b) <= IN_STEP for a, b in zip(heard, expected, strict=True))


def sound(path: Path) -> np.ndarray:
    raw = media._run([media.FFMPEG, "-v", "error", "-i", str(path), "-ac", "1", "-ar", str(RATE), "-f", "s16le", "-"])
    return np.frombuffer(raw, np.int16).astype(np.int32)


async def test_segments_follow_each_other_to_the_frame_and_their_sound_with_them(clipper: Clipper, plain: Path):
    done = await clipper.clipped(plain, asked(SPOKEN))
    assert media.numbers(done["clip.mp4"]) == numbers_in(SPOKEN)
    assert (done.event.cut_path, done.event.cut_reason) == ("reencode", "joined")
    assert (done.event.actual_start, done.event.actual_end) == (5.0, 5.2)
    assert done.event.duration == pytest.approx(1.5 + 1.51 + 2.2)
    assert in_step(done, SPOKEN)
    assert done.event.thumbnail_key
    assert done.said == sorted(done.said)


async def test_every_frame_is_shown_at_its_own_time(clipper: Clipper, folder: Path):
    dropped = ("-vf", "select='not(eq(mod(n,7),3))'", "-fps_mode", "vfr", "-enc_time_base", "1:90000")
    source = media.make(folder / "uneven.mkv", frames=240, video=(*media.gop(45), *dropped), audio=("-c:a", "pcm_s16le"))
    ranges = ((4.0, 5.5), (1.0, 3.0))
    done = await clipper.clipped(source, asked(ranges))
    wanted = [n for n in numbers_in(ranges) if n % 7 != 3]
    shift = {True: -4.0, False: 1.5 - 1.0}
    assert media.numbers(done["clip.mp4"]) == wanted
    assert times_of(done["clip.mp4"]) == pytest.approx([n / 30 + shift[n >= 120] for n in wanted], abs=0.002)
    assert in_step(done, ranges)


async def test_a_tone_that_goes_on_has_no_gap_where_segments_meet(clipper: Clipper, folder: Path):
    steady = ("-af", "aeval='0.5*sin(2*PI*500*t)':c=same", "-c:a", "aac", "-b:a", "128k")
    source = media.make(folder / "tone.mp4", frames=180, audio=steady)
    done = await clipper.clipped(source, asked(((1.0, 2.018), (2.018, 3.011), (3.011, 4.0))))
    samples = np.abs(sound(done["clip.mp4"]))
    loudest = samples[: len(samples) // 240 * 240].reshape(-1, 240).max(axis=1)  # of 5 ms
    assert len(samples) / RATE == pytest.approx(done.event.duration, abs=0.03)
    assert loudest[8:-8].min() > 0.8 * np.median(loudest)


async def test_segments_of_fetched_sections_are_read_from_these(clipper: Clipper, plain: Path, folder: Path):
    later = section(plain, folder / "later.mp4")
    early = media.converted(folder / "early.mp4", "-i", str(plain), "-t", "3", "-c", "copy")
    sections = (
        (Section(start=0.0, end=3.0, source_key="", size=1), early),
        (Section(start=4.0, end=10.0, source_key="", size=1, clock_offset=OFFSET), later),
    )
    ranges = ((6.1, 7.1), (0.5, 2.0), (4.0, 5.0))
    done = await clipper.clipped(early, asked(ranges), sections=sections)
    assert media.numbers(done["clip.mp4"]) == numbers_in(ranges)
    assert in_step(done, ranges)


@pytest.mark.parametrize("count", [3, pytest.param(10, marks=pytest.mark.thorough)])
async def test_segments_without_a_picture_are_joined_too(clipper: Clipper, folder: Path, count: int):
    source = media.make(folder / f"only-sound-{count}.m4a", video=None, after=("-f", "mp4"))
    ranges = (*((9 - n - 0.25, 9 - n + 0.25) for n in range(1, count - 1)), (1.5, 2.25), (0.5, 1.5))
    done = await clipper.clipped(source, asked(ranges))
    assert (done.event.has_video, done.event.has_audio, done.event.thumbnail_key) == (False, True, None)
    assert done.event.duration == pytest.approx((count - 2) * 0.5 + 0.75 + 1.0, abs=0.01)
    assert in_step(done, ranges)


async def test_where_a_segment_has_no_sound_there_is_silence_as_long(clipper: Clipper, folder: Path):
    source = media.make(folder / "half-silent.mp4", audio=("-af", "atrim=end=4", "-c:a", "aac"))
    ranges = ((6.0, 7.5), (1.5, 3.5))
    done = await clipper.clipped(source, asked(ranges))
    assert media.numbers(done["clip.mp4"]) == numbers_in(ranges)
    assert media.beeps(done["clip.mp4"]) == pytest.approx([2.0, 3.0], abs=IN_STEP)
    assert np.abs(sound(done["clip.mp4"])[: int(1.4 * RATE)]).max() < 100


async def test_a_turned_source_is_joined_upright(clipper: Clipper, plain: Path, folder: Path):
    source = media.turned(media.remuxed(plain, folder / "turned-joined.mp4"))
    done = await clipper.clipped(source, asked(((2.0, 2.5), (1.0, 1.5))))
    assert media.told(done["clip.mp4"], "stream=width,height", "-select_streams", "v") == [f"{media.HEIGHT},{media.WIDTH}"]
    assert media.told(done["clip.mp4"], "packet=pts", "-select_streams", "v") != []
    assert done.event.duration == pytest.approx(1.0)


async def test_hdr_is_joined_in_ten_bits(clipper: Clipper, folder: Path):
    pq = ("-vf", "setparams=color_primaries=bt2020:color_trc=smpte2084:colorspace=bt2020nc:range=tv")
    source = media.make(folder / "pq.mp4", frames=60, video=(*media.hevc(30, pixels="yuv420p10le"), *pq))
    ranges = ((1.2, 1.6), (0.5, 0.8))
    done = await clipper.clipped(source, asked(ranges))
    told = media.told(done["clip.mp4"], "stream=codec_name,pix_fmt,color_transfer", "-select_streams", "v")
    assert told == ["hevc,yuv420p10le,smpte2084"]
    assert media.numbers(done["clip.mp4"]) == numbers_in(ranges)


async def test_a_segment_beyond_the_source_is_named(clipper: Clipper, plain: Path):
    with pytest.raises(Failure) as refused:
        await clipper.clipped(plain, asked(((1.0, 2.0), (9.0, 15.0))))
    assert refused.value.code is Code.RANGE_OUTSIDE_SOURCE
    assert refused.value.message == "segment 2: the range reaches beyond the end of the source"


async def test_nothing_of_the_parts_is_left_behind(clipper: Clipper, plain: Path):
    done = await clipper.clipped(plain, asked(((1.0, 2.0), (4.0, 5.0)), presets=("audio",)))
    assert {made.preset for made in done.event.renditions} == {"audio"}
    assert not list(clipper.folder.glob("scratch-*/part-*"))
    assert media.beeps(done["clip.m4a"]) == pytest.approx(media.beeps(done["clip.mp4"]), abs=0.002)


@pytest.mark.parametrize("codec", ["ac3", *(pytest.param(codec, marks=pytest.mark.thorough) for codec in ("eac3", "dca"))])
async def test_speakers_at_the_side_are_joined_as_those_at_the_back(clipper: Clipper, folder: Path, codec: str):
    surround = ("-ac", "6", "-c:a", codec, "-strict", "-2")
    source = media.make(folder / f"{codec}.mkv", frames=75, audio=surround)
    assert media.told(source, "stream=channel_layout", "-select_streams", "a") == ["5.1(side)"]
    ranges = ((1.5, 2.5), (0.5, 1.5))
    done = await clipper.clipped(source, asked(ranges))
    assert media.told(done["clip.mp4"], "stream=channel_layout", "-select_streams", "a") == ["5.1"]
    assert in_step(done, ranges)


async def test_more_than_fits_into_memory_is_refused_and_not_tried_again(clipper: Clipper, folder: Path):
    large = ("-f", "lavfi", "-i", "color=gray:s=1920x1080:r=5:d=3")
    source = media.converted(folder / "large.mp4", *large, *media.gop(5))
    with pytest.raises(Failure) as refused:
        await clipper.clipped(source, asked(((0.0, 1.0), (1.0, 2.0))), MEDIA_MEMORY_MB="700")
    assert (refused.value.code, refused.value.retryable) == (Code.INPUT_TOO_LARGE, False)
