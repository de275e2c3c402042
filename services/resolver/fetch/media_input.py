"""Media opened with libav: the streams that we take of it, and their packets. What libav raises becomes a Failure here."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from typing import TypeAlias

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Discard, Disposition, Stream
from av.video.stream import VideoStream

from libs.common.domain.failures import Code, Failure
from libs.common.runtime.media import WRAPPING, input_options
from services.resolver.fetch.gateway import RECEIVE_BUFFER_BYTES

CodedPacket: TypeAlias = "av.Packet[Stream]"
OPEN_SECONDS, READ_SECONDS = 600, 180
"""libav's own limits; where bytes come too slowly, the connection to the site is cut long before."""

MOST_AWAITED = 1_000
"""Packets read to learn when a stream begins."""

# An MP4's index says all that is asked, but for the size of MPEG-4 part 2: no decoder is opened, no sample parsed, no time guessed.
_BY_INDEX = {"mov": {"probesize": "32", "analyzeduration": "0", "codec_whitelist": "none", "fflags": "+noparse+nofillin"}}
_LOOPBACK = {"recv_buffer_size": str(RECEIVE_BUFFER_BYTES)}


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaInput:
    """An open file or stream, and what is taken of it."""

    container: InputContainer
    demuxer: str
    picture: VideoStream | None
    sound: AudioStream | None
    start_time: float
    """What a player shows as 0:00, in seconds on its own clock."""
    origin: float = 0.0
    """Seconds on that clock at which its packets count from zero: not 0 for audio that has no clock of its own."""

    @property
    def streams(self) -> tuple[Stream, ...]:
        return tuple(stream for stream in (self.picture, self.sound) if stream)

    @property
    def duration(self) -> float | None:
        """Seconds from 0:00 to the end, as it claims. Matroska says when the last packet ends; MP4 may count a late beginning or not."""
        told = (self.container.duration or 0) / av.time_base
        match self.demuxer:
            case "mov" if all(stream.duration for stream in self.streams):
                told = max(_seconds((stream.start_time or 0) + (stream.duration or 0), stream) for stream in self.streams) - self.start_time
            case "matroska":
                told -= self.start_time
        return told if told > 0 else None

    @property
    def lead(self) -> float:
        """Seconds from 0:00 to the first picture, or else the first sound."""
        first = self.streams[0]
        return 0.0 if first.start_time is None else _seconds(first.start_time, first) + self.origin - self.start_time

    def seek(self, seconds: float) -> None:
        """On its own clock, to a keyframe of the picture at or before it, as far as the format can find one. Raises Failure."""
        stream = self.streams[0]
        with libav_failures():
            self.container.seek(int(seconds / (stream.time_base or Fraction(1))), stream=stream)

    def packets(self) -> Iterator[CodedPacket]:
        """In the file's order, from where it stands. Raises Failure, SOURCE_FORBIDDEN for encrypted ones."""
        with libav_failures():
            for packet in self.container.demux(*self.streams):
                if packet.has_sidedata("encryption_info"):
                    raise Failure(Code.SOURCE_FORBIDDEN, "the video is protected against copying")
                if packet.size and (packet.pts is not None or packet.dts is not None):
                    yield packet


@contextmanager
def open_media(url: str, demuxer: str, *, has_video: bool = True, has_audio: bool = True, is_seekable: bool = True) -> Iterator[MediaInput]:
    """`url` is a loopback URL or a path; `has_video` and `has_audio`: whether those are wanted of it. Raises Failure."""
    guards = {name: value for name, value in input_options(url, demuxer).items() if name != "f"}
    guards |= _LOOPBACK if url.startswith("http") else {}
    indexed = _BY_INDEX.get(demuxer, {}) if is_seekable else {}
    with _opened(url, demuxer, guards | indexed) as by_index, ExitStack() as stack:
        is_vague = bool(indexed) and any(not stream.width for stream in _moving(by_index))
        container = stack.enter_context(_opened(url, demuxer, guards)) if is_vague else by_index
        picture = _picture(container) if has_video else None
        sound = _sound(container) if has_audio else None
        if picture is None and sound is None:
            raise Failure(Code.SOURCE_UNREADABLE, "the source holds neither video nor audio")
        for stream in container.streams:
            stream.discard = Discard.default if stream in (picture, sound) else Discard.all
        start_time = _start_time(container, demuxer, tuple(stream for stream in (picture, sound) if stream))
        yield MediaInput(container=container, demuxer=demuxer, picture=picture, sound=sound, start_time=start_time)


def _opened(url: str, demuxer: str, options: dict[str, str]) -> InputContainer:
    with libav_failures():
        return av.open(url, format=demuxer, options=options, metadata_errors="replace", timeout=(OPEN_SECONDS, READ_SECONDS))


@contextmanager
def libav_failures() -> Iterator[None]:
    try:
        yield
    except MemoryError:
        raise
    except av.FFmpegError as error:
        is_slow = isinstance(error, TimeoutError | av.ExitError)
        code = Code.RETRYABLE_ERROR if is_slow else Code.SOURCE_UNREADABLE
        raise Failure(code, "the video could not be read in time" if is_slow else "the video can't be read") from None


def _start_time(container: InputContainer, demuxer: str, streams: tuple[Stream, ...]) -> float:
    """A fragmented MP4 has it in its first packets only. What lies before zero only primes an audio decoder."""
    told = container.start_time
    start = min(_first_times(container, streams), default=0.0) if told is None else told / av.time_base
    return start if demuxer in WRAPPING else max(start, 0.0)


def _first_times(container: InputContainer, streams: tuple[Stream, ...]) -> Iterator[float]:
    awaited = {stream.index for stream in streams}
    with libav_failures():
        for packet in islice(container.demux(*streams), MOST_AWAITED):
            if packet.pts is not None and packet.stream.index in awaited:
                awaited.remove(packet.stream.index)
                yield _seconds(packet.pts, packet.stream)
            if not awaited:
                return


def _seconds(ticks: int, stream: Stream) -> float:
    return float(ticks * (stream.time_base or Fraction(0)))


def _moving(container: InputContainer) -> list[VideoStream]:
    return [stream for stream in container.streams.video if Disposition.attached_pic not in stream.disposition and stream.codec_context]


def _picture(container: InputContainer) -> VideoStream | None:
    """The first moving picture of a size; as libs.common.runtime.media chooses. Raises Failure."""
    moving = _moving(container)
    sized = (stream for stream in moving if stream.width > 0 and stream.height > 0)
    picture = next(sized, None)
    if moving and picture is None:
        raise Failure(Code.SOURCE_UNREADABLE, "the source's picture can't be read, or is too large")
    return picture


def _sound(container: InputContainer) -> AudioStream | None:
    """The default, or else the first."""
    heard = [stream for stream in container.streams.audio if stream.codec_context and stream.channels > 0]
    marked = (stream for stream in heard if Disposition.default in stream.disposition)
    return next(marked, next(iter(heard), None))
