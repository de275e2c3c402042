"""How segments become one clip: the ffmpeg command that joins their files, and what must be found in what it writes. Pure.

Every part has a slot, which ends with its range; where it begins is told to the frame and to the sample, and left to no filter's guess.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate, pairwise
from statistics import median
from typing import Any

import ffmpeg
from msgspec.structs import replace

from libs.common.domain.events import SourceReady
from libs.common.domain.failures import Code, Failure
from libs.common.domain.values import Segment
from services.clipper.ffmpeg_plan import CLEAN, CLIP, GLOBAL, MP4, PROGRESS, Encoding, opened, seconds, x265_of_ten_bits
from services.clipper.output_checks import Expected, Sight

TIMESCALE = 90_000
RATE = 48_000
STEREO = 2
SHORTEST_LAST = 0.004
"""Seconds: so long the last frame of a slot is shown at least, that two frames are never one."""
EARLIER = 0.001
"""Seconds by which a keyframe is asked for before its frame, so that rounding never gives the next one."""
SLACK = 0.001
USUAL_GAP = 1 / 25
FRUGAL = ("env", "MALLOC_ARENA_MAX=2")
"""All parts' decoders are open at once: each takes one thread, and glibc keeps no address space for each of them."""
MIB = 1 << 20
PROGRAM, DECODER, X264, X265 = 600 * MIB, 9, 66, 85
"""What joining takes: bytes, and so many pictures for each decoder and for the encoder.

Measured (ffmpeg 5.1, MiB of address space): ten parts of 3840x2160 2,318; in HDR six 3,856, seven 4,076, ten 4,713.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One segment's file. `length` is its slot, in seconds; `sights` are its first and its last frame, upright."""

    name: str
    length: float
    frames: tuple[float, ...]
    has_audio: bool
    sights: tuple[Sight, ...]


@dataclass(frozen=True, slots=True)
class Coding:
    """What all parts have in common. `channels` of the sound, 0 where there is none to tell of."""

    is_hdr: bool
    channels: int
    is_even: bool


def part_name(number: int) -> str:
    return f"part-{number}.mp4"


def source_of(event: SourceReady, segment: Segment) -> SourceReady:
    """What the segment is read from: the fetched section that holds it, or the source itself. Raises Failure(RANGE_OUTSIDE_SOURCE)."""
    if not event.sections:
        return event
    for part in event.sections:
        if part.start - SLACK <= segment.start and segment.end <= part.end + SLACK:
            return replace(
                event,
                source_key=part.source_key,
                size=part.size,
                clock_offset=part.clock_offset,
                container=part.container or event.container,
                sections=(),
            )
    raise Failure(Code.RANGE_OUTSIDE_SOURCE, "the source was not read as far as this range")


def slot(start: float, end: float, frames: Sequence[float], segment: Segment, *, is_last: bool) -> float:
    """Seconds from the first frame to where the next part begins: the end of the range, where the sound ends too."""
    length = end - start
    if is_last or not frames:
        return length
    return max(min(length, segment.end - start), frames[-1] + SHORTEST_LAST)


def beginnings(parts: Sequence[Part]) -> list[float]:
    """When each slot begins, and when the last is over."""
    return [0.0, *accumulate(part.length for part in parts)]


def expected_join(parts: Sequence[Part]) -> Expected:
    begins = beginnings(parts)
    frames = tuple(begin + time for begin, part in zip(begins, parts, strict=False) for time in part.frames)
    sights = (Sight(begin + sight.at, sight.picture) for begin, part in zip(begins, parts, strict=False) for sight in part.sights)
    has_audio = any(part.has_audio for part in parts)
    return Expected(
        duration=begins[-1],
        frames=frames or None,
        has_video=bool(frames),
        has_audio=has_audio,
        sights=tuple(sights),
        sound_end=begins[-1] if has_audio else None,
    )


def most_parts(pixels: int, memory: int, *, is_hdr: bool) -> int:
    """How many parts with pictures of so many pixels can be joined in so many bytes of address space."""
    picture = pixels * 3 // 2 * (2 if is_hdr else 1)
    return max(0, (memory - PROGRAM - picture * (X265 if is_hdr else X264)) // (picture * DECODER))


def too_many(most: int) -> Failure:
    """Final: another try would run out of memory too."""
    if most < 2:  # noqa: PLR2004  fewer are not joined
        return Failure(Code.INPUT_TOO_LARGE, "the picture is too large to be joined from segments", hint="Ask for each segment as a job.")
    hint = f"Ask for at most {most} segments at once, or use a source with a smaller picture."
    return Failure(Code.INPUT_TOO_LARGE, f"of a picture as large as this at most {most} segments can be joined", hint=hint)


def join_command(parts: Sequence[Part], coding: Coding, encoding: Encoding) -> list[str]:
    """Writes CLIP of the parts' files, in their order."""
    begins, files = beginnings(parts), [opened(part.name, "mov", encoding, threads="1") for part in parts]
    streams, options = [], {**CLEAN, **MP4}
    if any(part.frames for part in parts):
        pictures = [_picture(file, begin, coding) for file, begin in zip(files, begins, strict=False)]
        streams.append(ffmpeg.filter(pictures, "interleave", nb_inputs=len(parts)))
        options |= _video(parts, begins, coding, encoding)
    if any(part.has_audio for part in parts):
        edges = [round(begin * RATE) for begin in begins]
        sounds = [_sound(file, part, after - before) for file, part, (before, after) in zip(files, parts, pairwise(edges), strict=True)]
        streams.append(ffmpeg.filter(sounds, "concat", n=len(parts), v=0, a=1))
        options |= {"c:a": "aac", "b:a": "192k" if coding.channels <= STEREO else "384k"}
    arguments = ffmpeg.output(*streams, CLIP, **options).get_args()
    return [*FRUGAL, encoding.program, *GLOBAL, *PROGRESS, *arguments]


def _picture(file: Any, begin: float, coding: Coding) -> Any:
    """Each frame at its own time of the whole; `concat` would guess where a part ends."""
    placed = file["v:0"].filter("settb", f"1/{TIMESCALE}").filter("setpts", f"PTS+{round(begin * TIMESCALE)}")
    even = placed if coding.is_even else placed.filter("crop", "trunc(iw/2)*2", "trunc(ih/2)*2", 0, 0)
    return even.filter("format", "yuv420p10le" if coding.is_hdr else "yuv420p")


def _sound(file: Any, part: Part, samples: int) -> Any:
    """Exactly so many; silence where there is no more."""
    if not part.has_audio:
        silence = ffmpeg.input(f"anullsrc=r={RATE}", f="lavfi")  # type: ignore[no-untyped-call]  # the library has no types
        return silence["a:0"].filter("atrim", end_sample=samples)
    whole = file["a:0"].filter("aresample", RATE, **{"async": 1, "min_hard_comp": 0.01, "first_pts": 0}).filter("apad")
    return whole.filter("atrim", end_sample=samples)


def _video(parts: Sequence[Part], begins: Sequence[float], coding: Coding, encoding: Encoding) -> dict[str, Any]:
    """A keyframe where a part begins. Encoders are told the usual rate, which interleaving hides, for the level that they announce."""
    rate = usual_rate(parts)
    x264 = {"c:v": "libx264", "pix_fmt": "yuv420p", "x264-params": f"fps={rate}"}
    x265 = x265_of_ten_bits(encoding)
    codec = {**x265, "x265-params": f"{x265['x265-params']}:fps={rate}"} if coding.is_hdr else x264
    return {
        "fps_mode": "passthrough",
        "enc_time_base:v": f"1:{TIMESCALE}",
        "video_track_timescale": str(TIMESCALE),
        "force_key_frames": ",".join(seconds(begin - EARLIER) for begin in begins[1:-1]),
        "preset": "veryfast",
        "crf": str(encoding.crf),
        "threads": str(encoding.threads),
        **codec,
    }


def usual_rate(parts: Sequence[Part]) -> Fraction:
    """Frames a second."""
    gaps = [later - earlier for part in parts for earlier, later in pairwise(part.frames)]
    return Fraction(1 / max(median(gaps or [USUAL_GAP]), 1e-3)).limit_denominator(1001)
