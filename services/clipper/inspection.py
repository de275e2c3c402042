"""Reads a finished MP4 with libav, by another path than the one that wrote it; what it finds is judged in output_checks.py.

The main of a warm process: the service itself never imports it, for libav belongs into children under limits.
"""

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from itertools import islice, pairwise
from typing import NamedTuple

import av
import av.logging
import av.subtitles.stream  # PyAV imports it at the first opening, which would be in each child
import msgspec
from av.container import InputContainer
from av.stream import Discard, Stream
from av.video.frame import VideoFrame
from av.video.reformatter import Colorspace
from av.video.stream import VideoStream

from libs.common.runtime.media import UNKNOWN_CODEC, input_options
from libs.common.runtime.warm_process import serve
from services.clipper.decoded_whole import decoded_whole
from services.clipper.inspected import PICTURE_HEIGHT, PICTURE_WIDTH, SIDEWAYS, UNSPECIFIED, Inspect, Inspected, Look, Looked, believable
from services.clipper.poster import moments, poster

MOST_COMPLAINTS = 2_000
"""Characters."""
GRACE = 0.001
"""Seconds by which a picture may miss its time."""
SOUND_PACKETS = 4
"""Decoded at the sound's beginning: enough to tell a wrong configuration of its decoder."""
INDEPENDENT = frozenset({"aac", "ac3", "eac3", "opus", "flac", "alac"})
"""Audio of which any packet may be the first; MP3 borrows bits from packets that a cut leaves behind."""
LENGTH_SIZE_AT = {"h264": 4, "hevc": 21}
"""Where lengthSizeMinusOne stands in avcC and hvcC (ISO/IEC 14496-15, 5.3.3.1 and 8.3.3.1)."""

# An MP4's index says all that is asked at the opening: nothing is decoded for it, and no time guessed.
_AS_WRITTEN = {"probesize": "32", "skip_frame": "all", "fflags": "+noparse+nofillin"}
_STRICT = {"err_detect": "crccheck+bitstream+buffer+explode"}
_QUICK = _STRICT | {"skip_loop_filter": "all"}
"""For a picture that is made smaller: the edges of blocks, which that filter would smooth, are lost in it anyway."""
_MP4 = "mov"


class Sample(NamedTuple):
    """When a coded frame is shown and decoded, in units of its track's timescale."""

    shown: int
    decoded: int
    is_key: bool


class Shown(NamedTuple):
    """What a decoded picture says of itself: by how many degrees it is to be turned clockwise, and of its colours (H.273)."""

    rotation: int = 0
    transfer: int = UNSPECIFIED
    matrix: int = UNSPECIFIED


class Run(NamedTuple):
    """The samples to decode for a look: from a keyframe to the last that is needed; and when the wanted ones are shown, in order."""

    first: Sample
    last: Sample
    wanted: tuple[int, ...]


def inspect(asked: Inspect) -> Inspected:
    """What the file holds; whatever libav or a check objects to is among the complaints. Raises MemoryError alone."""
    av.logging.set_level(av.logging.ERROR)
    with av.logging.Capture() as logged:
        found = _found(asked)
    return msgspec.structs.replace(found, complaints="\n".join(text.strip() for _, _, text in logged)[:MOST_COMPLAINTS])


def _complain(complaint: object) -> None:
    """Among libav's own."""
    av.logging.log(av.logging.ERROR, "inspection", str(complaint))


def _found(asked: Inspect) -> Inspected:
    try:
        if asked.form != _MP4:
            return decoded_whole(asked.path, asked.form)
        with _opened(asked.path) as file:
            return _read(file, asked)
    except MemoryError:
        raise
    except av.FFmpegError as error:
        _complain(error.strerror)
        return Inspected()


def _opened(path: str) -> InputContainer:
    guards = {name: value for name, value in input_options(path, _MP4).items() if name != "f"}
    return av.open(path, format=_MP4, options=guards | _AS_WRITTEN, metadata_errors="replace")


def _read(file: InputContainer, asked: Inspect) -> Inspected:
    video, audio = next(iter(file.streams.video), None), next(iter(file.streams.audio), None)
    samples = _samples(file, video) if video else []
    sounds = [entry.timestamp for entry in audio.index_entries] if audio else []
    looks = [_looked(asked.path, look, samples) if samples else (Looked(), Shown()) for look in asked.looks]
    shown = next((shown for looked, shown in looks if looked.picture), Shown())
    stretch = float(video.sample_aspect_ratio or 1) if video else 1.0
    if audio:
        _listen(file, audio)
    return Inspected(
        video=_seconds(sorted(sample.shown for sample in samples), video) if video else (),
        audio=_heard(audio, sounds) if audio else None,
        duration=(file.duration or 0) / av.time_base,
        has_video=video is not None,
        has_audio=audio is not None,
        codecs=tuple(_codec(stream) for stream in file.streams),
        width=video.width if video and video.codec_context else 0,
        height=video.height if video and video.codec_context else 0,
        timescale=round(1 / video.time_base) if video and video.time_base else 0,
        rotation=shown.rotation,
        transfer=shown.transfer,
        matrix=shown.matrix,
        stretch=stretch,
        channels=audio.codec_context.channels if audio and audio.codec_context else 0,
        first_is_key=bool(samples) and samples[0].is_key,
        is_monotonic=_rise([sample.decoded for sample in samples]) and _rise(sounds),
        looks=tuple(looked for looked, _ in looks),
        poster=_poster(asked.path, samples, believable(stretch)) if asked.poster and samples else None,
    )


def _seconds(ticks: Iterable[int], stream: Stream) -> tuple[float, ...]:
    clock = stream.time_base or Fraction(0)
    numerator, denominator = clock.numerator, clock.denominator
    return tuple(tick * numerator / denominator for tick in ticks)


def _codec(stream: Stream) -> str:
    return stream.codec_context.codec.canonical_name if stream.codec_context else UNKNOWN_CODEC


def _rise(times: Sequence[int]) -> bool:
    return all(one < other for one, other in pairwise(times))


def _only(file: InputContainer, wanted: Stream) -> None:
    """Other streams' bytes are not even read."""
    for stream in file.streams:
        stream.discard = Discard.default if stream is wanted else Discard.all


def _samples(file: InputContainer, video: VideoStream) -> list[Sample]:
    """All of the picture's, in decode order."""
    _only(file, video)
    size = length_size(_codec(video), video.codec_context.extradata or b"") if video.codec_context else None
    samples = []
    for packet in file.demux(video):
        if packet.pts is None or packet.dts is None:
            continue
        samples.append(Sample(packet.pts, packet.dts, packet.is_keyframe))
        if packet.is_corrupt or (size and not is_framed(memoryview(packet), size)):
            _complain(f"the packet at {packet.pts} x {video.time_base} s is broken")
    return samples


def length_size(codec: str, configuration: bytes) -> int | None:
    """Bytes of the length before each NAL unit, by the decoder's configuration (avcC, hvcC); None for codecs without."""
    at = LENGTH_SIZE_AT.get(codec)
    return (configuration[at] & 3) + 1 if at and len(configuration) > at else None


def is_framed(packet: memoryview, size: int) -> bool:
    """Whether a packet is NAL units and nothing else, each after its length in `size` bytes (ISO/IEC 14496-15, 4.3.3)."""
    at, end = 0, len(packet)
    while at < end:
        at += size + int.from_bytes(packet[at : at + size])
    return at == end


def _heard(audio: Stream, sounds: Sequence[int]) -> tuple[float, float] | None:
    """From the first to the last sound that the edit list leaves, and no longer than there are packets for."""
    if audio.start_time is None or audio.duration is None or not sounds:
        return None
    last = sounds[-1] - sounds[-2] if len(sounds) > 1 else audio.duration
    begin, end = _seconds((audio.start_time, min(audio.start_time + audio.duration, sounds[-1] + last)), audio)
    return begin, end


def _listen(file: InputContainer, audio: Stream) -> None:
    """Every packet lies within the file, and the first few decode."""
    size = file.size
    if any(entry.pos + entry.size > size for entry in audio.index_entries):
        _complain("the sound ends beyond the file")
    if _codec(audio) not in INDEPENDENT:
        return
    _only(file, audio)
    file.seek(0, stream=audio)
    audio.options = dict(_STRICT)
    for packet in islice(file.demux(audio), SOUND_PACKETS):
        packet.decode()


def _looked(path: str, look: Look, samples: Sequence[Sample]) -> tuple[Looked, Shown]:
    """What the look shows, and what that says of itself. The file is opened anew: as by a player that jumps there."""
    picture, decoded, shown = None, 0, Shown()
    try:
        with _opened(path) as file:
            for frame, at in _wanted(file, look, samples):
                decoded += not frame.is_corrupt
                if abs(at - look.at) <= GRACE:
                    shown = Shown(-frame.rotation % 360, int(frame.color_trc), int(frame.colorspace))
                    picture = _tiny(frame, shown.rotation if look.upright else 0)
    except MemoryError:
        raise
    except av.FFmpegError as error:
        _complain(error.strerror)
    return Looked(picture, decoded), shown


def _poster(path: str, samples: Sequence[Sample], stretch: float) -> bytes | None:
    """None where none can be made: of what libav says then nothing counts against the clip."""
    clocks = moments([sample.shown for sample in samples], [sample.shown for sample in samples if sample.is_key])
    with av.logging.Capture():
        try:
            return poster((frame for at in clocks for frame in _pictured(path, at, samples)), stretch)
        except (av.FFmpegError, ValueError, MemoryError):
            return None


def _pictured(path: str, at: int, samples: Sequence[Sample]) -> Iterator[VideoFrame]:
    """The picture shown at this tick; none where it doesn't decode."""
    try:
        with _opened(path) as file:
            run = run_of(samples, at, 1)
            yield from (frame for frame in (_frames(file, file.streams.video[0], run, _QUICK) if run else ()) if frame.pts == at)
    except av.FFmpegError:
        return


def _wanted(file: InputContainer, look: Look, samples: Sequence[Sample]) -> Iterator[tuple[VideoFrame, float]]:
    """Each picture with its seconds: decoded frames don't know their timescale."""
    video = file.streams.video[0]
    clock = float(video.time_base or 1)
    run = run_of(samples, (look.at - GRACE) / clock, look.frames)
    if run:
        yield from ((frame, frame.pts * clock) for frame in _frames(file, video, run) if frame.pts in run.wanted)


def run_of(samples: Sequence[Sample], since: float, frames: int) -> Run | None:
    """What to decode, and from which keyframe, for the first `frames` shown at `since` or later, in ticks. None if there are none."""
    wanted = sorted(sample.shown for sample in samples if sample.shown >= since)[:frames]
    places = [place for place, sample in enumerate(samples) if wanted and wanted[0] <= sample.shown <= wanted[-1]]
    if not places:
        return None
    keys = (s for s in reversed(samples[: places[0] + 1]) if s.is_key and s.shown <= wanted[0])
    first = next(keys, None)
    return Run(first, samples[places[-1]], tuple(wanted)) if first else None


def _frames(file: InputContainer, video: VideoStream, run: Run, options: dict[str, str] = _STRICT) -> Iterator[VideoFrame]:
    """Pictures shown before the keyframe but decoded after it need what lies before it: they are left out, as in any seek."""
    _only(file, video)
    video.thread_count = 1
    video.options = dict(options)
    file.seek(run.first.decoded, stream=video)
    for packet in file.demux(video):
        if packet.dts is None or packet.pts is None or packet.dts > run.last.decoded:
            break
        if packet.dts >= run.first.decoded and packet.pts >= run.first.shown:
            yield from video.decode(packet)
    yield from video.decode(None)


def _tiny(frame: VideoFrame, turn: int) -> bytes:
    """Turned clockwise by these degrees, if they are quarters."""
    width, height = (PICTURE_HEIGHT, PICTURE_WIDTH) if turn in SIDEWAYS else (PICTURE_WIDTH, PICTURE_HEIGHT)
    # One matrix on both sides: luma is compared as it is stored, whatever the file says or does not say of its colours.
    plane = frame.reformat(width, height, "gray", Colorspace.ITU601, Colorspace.ITU601, "AREA", threads=1).planes[0]
    data, stride = bytes(plane), plane.line_size
    rows = [data[row * stride : row * stride + width] for row in range(height)]
    for _ in range(round(turn / 90) % 4):
        rows = [bytes(column) for column in zip(*reversed(rows), strict=True)]
    return b"".join(rows)


def _answer(request: bytes) -> bytes:
    return msgspec.json.encode(inspect(msgspec.json.decode(request, type=Inspect)))


if __name__ == "__main__":
    serve(_answer)
