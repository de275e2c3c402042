"""Writes a section: packets as they are, on the source's clock less a constant, into MP4 where that can hold them, else Matroska."""

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import floor
from pathlib import Path
from time import monotonic
from typing import Literal

import av
from av.container import OutputContainer
from av.stream import Stream

from libs.common.domain.failures import Code, Failure
from services.resolver.fetch.disk import writing
from services.resolver.fetch.media_input import CodedPacket, libav_failures
from services.resolver.fetch.timed import AUDIO_BEFORE, Beginning, TimedPacket
from services.resolver.fetch.words import BEYOND

MOST_LAG = 10.0
"""Seconds for which a track that has nothing to show is waited for."""
MOST_PACKETS = 4_000_000
TIMESCALE = 35_280_000
"""Of a movie whose edit lists are to tell any track's time exactly: a multiple of 90,000, 48,000 and 44,100."""
SAY_SECONDS = 0.25

Container = Literal["mov", "matroska"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Remuxed:
    """`begins` and `ends`: between them all tracks are held. Seconds of the source, which are `clock_offset` more than the file's own."""

    path: Path
    container: Container
    clock_offset: float
    begins: float
    ends: float
    is_whole: bool
    """Whether the source ended with it."""


@dataclass(slots=True)
class _Progress:
    """How far each track is."""

    begins: float
    stop: float
    reached: dict[str, float]
    last: float = 0.0
    said_at: float = field(default_factory=monotonic)

    def take(self, packet: TimedPacket) -> None:
        self.reached[packet.packet.stream.type] = packet.decoded
        self.last = max(self.last, packet.end)

    @property
    def is_enough(self) -> bool:
        return min(self.reached.values()) >= self.stop or max(self.reached.values()) >= self.stop + MOST_LAG

    def say(self, say: Callable[[float], None]) -> None:
        if monotonic() - self.said_at >= SAY_SECONDS:
            self.said_at = monotonic()
            say(min(max((self.last - self.begins) / max(self.stop - self.begins, 1e-3), 0.0), 1.0))


def remuxed(parts: Sequence[Beginning], end: float, folder: Path, say: Callable[[float], None]) -> Remuxed:
    """From where the parts begin to a little after `end`, or to their own end. The first part's clock counts. Raises Failure."""
    streams = [stream for part in parts for stream in part.streams]
    muxer = muxer_for(streams)
    container: Container = "matroska" if muxer == "matroska" else "mov"
    path = folder / ("section.mkv" if muxer == "matroska" else "section.mp4")
    clock_offset = _clock_offset(parts)
    begins = max(part.first.shown for part in parts)
    progress = _Progress(begins, end + BEYOND, {stream.type: begins for stream in streams})
    with libav_failures(), writing(), av.open(str(path), "w", format=muxer, options=_options(muxer, streams)) as output:
        writer = _Writer(output, [(stream, _copy_of(output, stream)) for stream in streams], clock_offset)
        is_whole = _written(parts, writer, progress, say)
    ends = progress.last if is_whole else progress.stop
    return Remuxed(path=path, container=container, clock_offset=clock_offset, begins=begins, ends=ends, is_whole=is_whole)


def muxer_for(streams: Sequence[Stream]) -> str:
    """MP4, or QuickTime for what that does not take; Matroska for what comes from it, or is in neither."""
    codecs = {stream.codec_context.codec.canonical_name for stream in streams}
    from_matroska = any("matroska" in stream.container.format.name for stream in streams)
    fitting = (muxer for muxer in ("mp4", "mov") if not from_matroska and codecs <= _codecs_of(muxer))
    return next(fitting, "matroska")


def _codecs_of(muxer: str) -> set[str]:
    return set(av.open("/dev/null", "w", format=muxer).supported_codecs)


def _clock_offset(parts: Sequence[Beginning]) -> float:
    """Such that the first track's clock is moved by whole seconds, which every timescale can tell, and nothing lies before zero."""
    lowest = min(min(part.first.shown, part.first.decoded) for part in parts) - AUDIO_BEFORE
    zero = parts[0].first.zero
    return floor(lowest + zero) - 1 - zero


def _options(muxer: str, streams: Sequence[Stream]) -> dict[str, str]:
    if muxer == "matroska":
        return {}
    clock = next((stream.time_base for stream in streams if stream.type == "video"), None)
    timescale = {"video_track_timescale": str(clock.denominator)} if clock and clock.numerator == 1 else {}
    return {"movie_timescale": str(TIMESCALE), **timescale}


def _copy_of(output: OutputContainer, stream: Stream) -> Stream:
    copy = output.add_stream_from_template(stream, opaque=True)
    if stream.codec_context.codec.canonical_name == "hevc" and "matroska" not in output.format.name:
        copy.codec_context.codec_tag = "hvc1"
    return copy


def _written(parts: Sequence[Beginning], writer: "_Writer", progress: _Progress, say: Callable[[float], None]) -> bool:
    """Whether the parts ended first. Raises Failure."""
    packets = heapq.merge(*(part.packets for part in parts), key=lambda packet: packet.decoded)
    for number, packet in enumerate(packets):
        if number > MOST_PACKETS:
            raise Failure(Code.INPUT_TOO_LARGE, "the part of the video holds too many packets")
        writer.write(packet)
        progress.take(packet)
        progress.say(say)
        if progress.is_enough:
            return False
    return True


@dataclass(slots=True)
class _Writer:
    """Moves packets to the section's clock. `streams`: those of the first packets, with their copies."""

    output: OutputContainer
    streams: list[tuple[Stream, Stream]]
    clock_offset: float
    _last: dict[int, int] = field(default_factory=dict)

    def write(self, timed: TimedPacket) -> None:
        packet = timed.packet
        stream, copy = next(pair for pair in self.streams if pair[0].type == packet.stream.type)
        if packet.stream is not stream:
            _check_same(packet.stream, stream)
        self._move(packet, round((timed.zero + self.clock_offset) / packet.time_base), copy.index)
        packet.stream = copy
        self.output.mux_one(packet)

    def _move(self, packet: CodedPacket, ticks: int, track: int) -> None:
        """Where pieces overlap, the later ones wait: decode times must rise."""
        if packet.dts is None:
            packet.pts = (packet.pts or 0) - ticks
            return
        dts = max(packet.dts - ticks, self._last.get(track, packet.dts - ticks - 1) + 1)
        packet.pts = max((packet.dts if packet.pts is None else packet.pts) - ticks, dts)
        packet.dts = self._last[track] = dts


def _check_same(stream: Stream, first: Stream) -> None:
    """Raises Failure for pieces that need another decoder than the first did."""
    one, other = stream.codec_context, first.codec_context
    if one.codec.id != other.codec.id or one.extradata != other.extradata or stream.time_base != first.time_base:
        raise Failure(Code.SOURCE_UNREADABLE, "the video changes its format within the range; choose a range on one side of it")
