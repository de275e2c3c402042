"""Asks ffprobe what a media file holds. What its answers mean is in media.py. Shared by the resolver and the clipper."""

from collections.abc import Callable

from libs.common.domain.failures import Code, Failure
from libs.common.runtime.logs import logger
from libs.common.runtime.media import Media, Packet, media, packet_of, packets_command, probe_command
from libs.common.runtime.process import Limits, run

__all__ = ["Media", "Packet", "media", "packet_of", "packets", "packets_command", "probe", "probe_command"]

log = logger(__name__)


async def probe(url: str, demuxer: str, *, program: str, limits: Limits) -> Media:
    """What the file says of itself. `url` is a loopback URL or a path. Raises Failure(SOURCE_UNREADABLE)."""
    ended = await run(probe_command(program, url, demuxer), limits=limits)
    _unless_killed(ended.code)
    if ended.code > 0:
        log.info("ffprobe refused the source", stderr=ended.stderr[-500:])
        raise Failure(Code.SOURCE_UNREADABLE, "the source is no video or audio file that can be read")
    return media(ended.stdout, demuxer)


async def packets(
    url: str, demuxer: str, *, program: str, limits: Limits, since: float | None, enough: Callable[[Packet], bool]
) -> tuple[list[Packet], bool]:
    """Packets in the file's order from around `since` up to the first that is `enough`, and whether the file's end came first."""
    found: list[Packet] = []

    async def take(line: str) -> None:
        packet = packet_of(line)
        if packet:
            found.append(packet)
            if enough(packet):
                raise _EnoughError

    try:
        ended = await run(packets_command(program, url, demuxer, since), limits=limits, on_line=take)
    except _EnoughError:
        return found, False
    _unless_killed(ended.code)
    return found, True


def _unless_killed(code: int) -> None:
    if code < 0:
        raise Failure(Code.RETRYABLE_ERROR, f"ffprobe was killed by signal {-code}")


class _EnoughError(Exception):
    """Ends ffprobe from within its own output."""
