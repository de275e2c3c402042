"""What makes a clip right: all that can be seen, heard and counted in it, against what ffmpeg plays of the source.

Nothing here is the clipper's own code but the clock: a source's zero is `Media.start_time`. The corpus of sources is corpus.py.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from libs.common.domain.events import ClipUploaded
from libs.common.runtime.media import Media, media
from libs.common.runtime.probe import probe_command
from tests import media as made
from tests.clipper.playing import PIXEL_TAGS, SAME_TIME, Held, Playback, boxes, held_in, number_at, played, run

GRACE = 0.0005
"""Clients' times are whole milliseconds: a frame is at `start` when it is, to the nearest one."""
IN_STEP = 0.020
PRIMING = 1024 / 44_100
"""What an AAC encoder puts before the sound; a player that ignores edit lists plays it too."""
FADE = 0.07
"""Beeps that the clip's edges cut into, or a decoder fades in, are not timed."""
LIKENESS = 12.0
"""Mean difference of gray levels up to which two pictures are one: two generations of x264 differ by 2, a smeared reference by 30."""
HELD_FRAMES = 1.5
MOST_FRAMES_MORE = 16
"""By so many frames `fast` may overrun: no H.264 or HEVC stream shows a frame longer after it decoded it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A source as it should be cut. Seconds as clients count them; `turn` and `track` say what to look at and listen to."""

    path: Path
    media: Media
    turn: int
    track: int
    playback: Playback
    held: Held
    keys: tuple[float, ...]
    end: float


@dataclass(frozen=True, slots=True)
class Asked:
    """A range, and why it was chosen."""

    why: str
    start: float
    end: float
    accuracy: str = "exact"

    def __str__(self) -> str:
        return f"{self.why}, {self.accuracy} {self.start:.3f}-{self.end:.3f}"


@dataclass(frozen=True, slots=True, eq=False)
class Expected:
    """The source's frames first..after-1, the first at the clip's zero, which is the source's second `zero`."""

    source: Source
    asked: Asked
    zero: float
    first: int
    after: int

    @property
    def times(self) -> NDArray[np.float64]:
        """A first frame that comes late is shown from zero on."""
        shown = self.source.playback.times[self.first : self.after] - self.zero
        return np.concatenate([np.zeros(1), shown[1:]]) if len(shown) else shown

    @property
    def numbers(self) -> NDArray[np.int64]:
        return self.source.playback.numbers[self.first : self.after]

    @property
    def pictures(self) -> NDArray[np.uint8]:
        return self.source.playback.pictures[self.first : self.after]

    @property
    def end(self) -> float:
        """The last moment that it may have, on the clip's clock. Beyond `asked.end` only where whole GOPs are copied."""
        overrun = self._last_moment if self.asked.accuracy == "fast" and len(self.numbers) else 0.0
        return min(max(self.asked.end, overrun), self.source.end) - self.zero

    @property
    def asked_end(self) -> float:
        """On the clip's clock."""
        return min(self.asked.end, self.source.end) - self.zero

    @property
    def last_frame(self) -> float:
        """For how long the last frame may be shown."""
        times = self.source.playback.times
        if not len(times):
            return 0.0
        following = times[self.after] if self.after < len(times) else max(self.source.end, times[-1] + 0.05)
        return float(following - times[self.after - 1])

    @property
    def _last_moment(self) -> float:
        times = self.source.playback.times
        return float(times[self.after]) if self.after < len(times) else self.source.end


def source_of(path: Path, demuxer: str, *, turn: int = 0, track: int = 0) -> Source:
    """The source as ffmpeg plays it. ffmpeg's zero is the first moment of any stream, ours is never before the file's own."""
    described = media(run(probe_command(made.FFPROBE, str(path), demuxer)).stdout, demuxer)
    playback, held = played(path, turn=turn, track=track), held_in(path, track=track)
    began = made.told(path, "format=start_time")[0]
    shift = 0.0 if began == "N/A" else float(began) - described.start_time
    times = playback.times + shift
    shifted = replace(playback, times=times, beeps=playback.beeps + shift, sound_end=playback.sound_end + shift)
    keys = tuple(float(t) for t in times if np.any(np.abs(np.array(held.keys) - described.start_time - t) < SAME_TIME))
    end = min((described.duration or math.inf) + shift, max(_picture_end(times), shifted.sound_end))
    return Source(path=path, media=described, turn=turn, track=track, playback=shifted, held=held, keys=keys, end=end)


def _picture_end(times: NDArray[np.float64]) -> float:
    """The last frame is shown for as long as most are."""
    return float(times[-1] + np.median(np.diff(times))) if len(times) else 0.0


def faults(source: Source, asked: Asked, event: ClipUploaded, path: Path) -> tuple[str, ...]:
    """All that is wrong with the clip, in words; nothing when it is right."""
    expected, held = expectation(source, asked, event), held_in(path)
    exactly = played(path, turn=source.turn, options=("-xerror",))
    ignoring = played(path, turn=source.turn, options=("-ignore_editlist", "1"))
    return (
        *_claims(expected, event, held),
        *_playing(expected, exactly, IN_STEP),
        *(f"ignoring edit lists, {fault}" for fault in _playing(expected, ignoring, IN_STEP + PRIMING)),
        *_nothing_else(expected, event, held, path),
        *_tags_kept(source, event, held),
        *_seeks(expected, path),
    )


def expectation(source: Source, asked: Asked, event: ClipUploaded) -> Expected:
    """The frames of the range; a fast copy has those from the keyframe at or before the start to where it says that it ends."""
    times = source.playback.times
    first, after = (int(np.searchsorted(times, edge - GRACE)) for edge in (asked.start, asked.end))
    if asked.accuracy == "fast" and event.cut_path == "copy":
        key = max((key for key in source.keys if key <= asked.start + GRACE), default=0.0)
        first = int(np.searchsorted(times, key))
        after = max(after, min(after + MOST_FRAMES_MORE, int(np.searchsorted(times, event.actual_end - GRACE))))
    return Expected(source, asked, event.actual_start, first, after)


def _claims(expected: Expected, event: ClipUploaded, held: Held) -> Iterator[str]:
    asked, source = expected.asked, expected.source
    begins = [float(source.playback.times[expected.first])] if len(expected.numbers) else [asked.start]
    usual = 1 / source.media.video.frame_rate if source.media.video and source.media.video.frame_rate else 0.0
    if begins[0] - asked.start > HELD_FRAMES * usual:
        begins.append(asked.start)
    slack = held.sound_packet if asked.accuracy == "fast" and not len(expected.numbers) else 0.0
    if all(abs(event.actual_start - at) > SAME_TIME + slack for at in begins):
        yield f"it says that it starts at {event.actual_start}, not at {begins}"
    if abs(held.start) > SAME_TIME:
        yield f"it begins at {held.start}"
    longest = 0.03 + expected.last_frame + slack
    is_told = abs(event.duration - held.duration) <= IN_STEP + PRIMING
    if not (is_told and expected.asked_end - 0.03 - slack <= held.duration <= expected.end + longest):
        yield f"it is {held.duration} s long and says {event.duration}, not {expected.end:.3f}"
    if event.has_video != bool(len(expected.numbers)) or event.has_audio != held.has_sound:
        yield "it says wrongly what it holds"


def _playing(expected: Expected, shown: Playback, in_step: float) -> Iterator[str]:
    if shown.complaints:
        yield f"it does not decode without a word: {shown.complaints[:200]}"
    if not np.array_equal(shown.numbers, expected.numbers):
        yield f"it shows {_spans(shown.numbers)}, not {_spans(expected.numbers)}"
    elif len(shown.times) and np.max(np.abs(shown.times - expected.times)) > SAME_TIME:
        worst = int(np.argmax(np.abs(shown.times - expected.times)))
        yield f"frame {worst} is shown at {shown.times[worst]:.4f}, not at {expected.times[worst]:.4f}"
    elif len(shown.times) and (unlike := _unlike(expected, shown)):
        yield f"its pictures are not the source's: {unlike}"
    yield from _heard(expected, shown.beeps, in_step)


def _unlike(expected: Expected, shown: Playback) -> list[int]:
    difference = np.abs(shown.pictures.astype(np.int16) - expected.pictures.astype(np.int16)).mean(axis=(1, 2))
    return [int(n) for n in shown.numbers[difference > LIKENESS]]


def _spans(numbers: NDArray[np.int64]) -> str:
    """1 2 3 7 8 as 1-3 7-8."""
    runs = np.split(numbers, np.flatnonzero(np.diff(numbers) != 1) + 1) if len(numbers) else []
    return f"{len(numbers)} frames " + " ".join(f"{run[0]}-{run[-1]}" for run in runs[:12])


def _heard(expected: Expected, beeps: NDArray[np.float64], in_step: float) -> Iterator[str]:
    """Each beep of the source is heard where it belongs, and no other."""
    belong = expected.source.playback.beeps - expected.zero
    for one, other, fault in ((belong, beeps, "there is no beep at"), (beeps, belong, "there is a beep too many at")):
        inside = one[(one > FADE + in_step) & (one < expected.end - FADE - in_step)]
        alone = [round(float(at), 4) for at in inside if not np.any(np.abs(other - at) <= in_step)]
        if alone:
            yield f"{fault} {alone[:4]}: heard {np.round(beeps[:4], 4).tolist()}"


def _nothing_else(expected: Expected, event: ClipUploaded, held: Held, path: Path) -> Iterator[str]:
    """Nothing outside the range is left in the file, and its index comes first."""
    found = list(boxes(path))
    names, media_bytes = [name for name, _ in found], sum(size - 8 for name, size in found if name == "mdat")
    if "moov" not in names or "mdat" not in names or names.index("moov") > names.index("mdat"):
        yield f"its index does not come first: {names}"
    if held.frames != len(expected.numbers) or held.hidden:
        yield f"it holds {held.frames} frames, {held.hidden} of them hidden, for {len(expected.numbers)}"
    if media_bytes - held.payload > max(0.01 * media_bytes, 16):
        yield f"{media_bytes - held.payload} of its {media_bytes} bytes of media are no sample's"
    if event.size != path.stat().st_size:
        yield "it is not as large as it says"
    yield from _sound_inside(expected, held)


def _sound_inside(expected: Expected, held: Held) -> Iterator[str]:
    """Where the source has sound the clip has it; at each end at most one packet more, and before it an encoder's priming."""
    begin, end = (at - expected.source.media.start_time - expected.zero for at in expected.source.held.sound)
    heard = min(end, expected.end) - max(begin, 0.0)
    length, packet = held.sound[1] - held.sound[0], held.sound_packet
    if abs(heard) > FADE and (heard > 0) != (length > 0):
        yield f"it has {length:.3f} s of sound, not {heard:.3f}"
    last = expected.end + expected.last_frame
    if length and (held.sound[0] < -2.01 * packet or held.sound[1] > last + 1.01 * packet):
        yield f"its sound reaches from {held.sound[0]:.3f} to {held.sound[1]:.3f} in {expected.end:.3f} s"


def _tags_kept(source: Source, event: ClipUploaded, held: Held) -> Iterator[str]:
    """All of them where frames are copied; the meaning of its colours wherever the codec stays."""
    copied = event.cut_path in {"copy", "smart"}
    same_codec = source.held.tags and source.held.codecs[0] == held.codecs[0]
    kept = {name: value for name, value in source.held.tags.items() if copied or (same_codec and name in PIXEL_TAGS)}
    lost = {name: (value, held.tags.get(name)) for name, value in kept.items() if held.tags.get(name) != value}
    if lost:
        yield f"it lost {lost}"


def _seeks(expected: Expected, path: Path) -> Iterator[str]:
    """A player that seeks shows what is shown there: from the keyframe before it on, nothing earlier is needed."""
    count = len(expected.numbers)
    for n in sorted({count // 2, count * 3 // 4}) if count else ():
        number = number_at(path, float(expected.times[n]), expected.source.turn)
        if number != expected.numbers[n]:
            yield f"a seek to {expected.times[n]:.3f} shows {number}, not {expected.numbers[n]}"
