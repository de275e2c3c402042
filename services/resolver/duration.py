"""A source's duration: what the file tells, or, where it tells nothing or a guess, what its packets add up to; none is decoded."""

from libs.common.domain.failures import Code, Failure
from libs.common.runtime.probe import Media, packet_of, packets_command
from libs.common.runtime.process import Limits, run

ESTIMATED = frozenset({"aac", "mp3"})
"""Formats without an index: ffprobe guesses from the first frames' bit rate. Measured: 1167 s for 120 s that begin in silence."""
COUNTED_FROM_ZERO = frozenset({"mov", "matroska"})
"""Formats that tell when the last packet ends on their own clock, which need not begin at zero."""
LATE_START_SECONDS = 0.5


async def duration_of(url: str, media: Media, *, program: str, limits: Limits) -> float:
    """Seconds from what a player shows as 0:00 to the end. Raises Failure."""
    told = told_duration(media)
    return await _counted(url, media, program=program, limits=limits) if told is None else told


def told_duration(media: Media) -> float | None:
    """What the file claims, in seconds, or None where that would be no claim about what can be played."""
    is_late = media.container in COUNTED_FROM_ZERO and media.start_time > LATE_START_SECONDS
    return None if is_late or media.container in ESTIMATED else media.duration


async def _counted(url: str, media: Media, *, program: str, limits: Limits) -> float:
    """To the end of the last packet. Reads the whole file."""
    end = media.start_time

    async def take(line: str) -> None:
        nonlocal end
        packet = packet_of(line)
        if packet and packet.time is not None:
            end = max(end, packet.time + packet.duration)

    ended = await run(packets_command(program, url, media.container, None), limits=limits, on_line=take)
    if ended.code < 0:
        raise Failure(Code.RETRYABLE_ERROR, f"ffprobe was killed by signal {-ended.code}")
    if end <= media.start_time:
        raise Failure(Code.SOURCE_UNREADABLE, "the source holds nothing that can be played")
    return end - media.start_time
