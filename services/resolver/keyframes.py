"""The keyframes near a range, read from a file's packets with libav; nothing is decoded. For the child process alone."""

from collections.abc import Iterator
from fractions import Fraction
from itertools import islice

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from services.resolver.described import Keyframes

NEAR_SECONDS = 15.0
"""How far is read on from where a look begins: GOPs are seldom longer."""
STEPS_BACK = (0.0, 2.0, 10.0)
"""Seconds before a moment where a look begins: some formats find only about the place that they are asked for."""
MAX_PACKETS = 20_000


def keyframes_near(file: InputContainer, stream: VideoStream, asked: Keyframes) -> list[float]:
    """Times on the file's own clock: the last keyframe at or before each end of the range, the first after it, and what was met on the way.

    Reads about 30 s of the file for each end, at most. Raises av.FFmpegError.
    """
    found = _around(file, stream, asked.start, asked.end)
    if not found or found[-1] < asked.end:
        found += _around(file, stream, asked.end, asked.end)
    return sorted(set(found))


def _around(file: InputContainer, stream: VideoStream, moment: float, until: float) -> list[float]:
    """From the last keyframe at or before `moment` to the first at or after `until`, or as far as is near."""
    found: list[float] = []
    for back in STEPS_BACK:
        found = list(_keys(file, stream, moment - back, until, moment + NEAR_SECONDS))
        before = [time for time in found if time <= moment]
        if before:
            return [time for time in found if time >= before[-1]]
    return found


def _keys(file: InputContainer, stream: VideoStream, since: float, until: float, limit: float) -> Iterator[float]:
    clock = stream.time_base or Fraction(1, av.time_base)
    file.seek(int(Fraction(since) / clock), stream=stream, backward=True)
    for packet in islice(file.demux(stream), MAX_PACKETS):
        ticks = packet.dts if packet.pts is None else packet.pts
        if ticks is None:
            continue
        time = float(ticks * clock)
        if packet.is_keyframe:
            yield time
        if time > limit or (packet.is_keyframe and time >= until):
            return
