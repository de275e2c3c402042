"""Packets on the source's clock, which begins at what a player shows as 0:00; and from which of them a section begins."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

from av.stream import Stream

from services.resolver.fetch.media_input import CodedPacket, MediaInput

GRACE = 0.0005
"""Seconds: times travel as milliseconds, and a frame counts as at a time when it is, to the nearest one."""
AUDIO_BEFORE = 0.5
"""Seconds of sound that are kept before the keyframe that a section begins with."""
MOST_HELD = 5_000


@dataclass(frozen=True, slots=True)
class TimedPacket:
    """`zero` is the source's 0:00 on the packet's own clock, in seconds; `shown` and `decoded` are seconds on the source's."""

    packet: CodedPacket
    zero: float
    shown: float
    decoded: float

    @property
    def is_picture(self) -> bool:
        return self.packet.stream.type == "video"

    @property
    def is_key(self) -> bool:
        return self.is_picture and self.packet.is_keyframe

    @property
    def end(self) -> float:
        return self.shown + float((self.packet.duration or 0) * self.packet.time_base)


@dataclass(frozen=True, slots=True)
class Beginning:
    """The streams of a section as they are where it begins; its packets; and the first that counts: sound may come before it."""

    streams: tuple[Stream, ...]
    packets: Iterator[TimedPacket]
    first: TimedPacket


def timed(media: MediaInput, zero: float) -> Iterator[TimedPacket]:
    """Raises Failure."""
    for packet in media.packets():
        yield timed_packet(packet, zero - media.origin)


def timed_packet(packet: CodedPacket, zero: float) -> TimedPacket:
    """Of two times one may be missing; then the other stands in for it."""
    shown = packet.pts if packet.pts is not None else packet.dts
    decoded = packet.dts if packet.dts is not None else packet.pts
    clock = packet.time_base
    return TimedPacket(packet, zero, float((shown or 0) * clock) - zero, float((decoded or 0) * clock) - zero)


def beginning(streams: tuple[Stream, ...], packets: Iterator[TimedPacket], start: float, *, is_last_try: bool = False) -> Beginning | None:
    """From the first keyframe on, with some sound before it. None where that is after `start`, unless there is no earlier one."""
    has_picture = any(stream.type == "video" for stream in streams)
    held: deque[TimedPacket] = deque(maxlen=MOST_HELD)
    for packet in packets:
        if packet.is_key or not has_picture:
            if packet.shown > start + GRACE and not is_last_try:
                return None
            kept = [sound for sound in held if sound.shown >= packet.shown - AUDIO_BEFORE]
            return Beginning(streams, chain(kept, [packet], packets), packet)
        if not packet.is_picture:
            held.append(packet)
    return None
