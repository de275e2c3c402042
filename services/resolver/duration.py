"""The duration of a file that does not tell it, as browsers' recordings don't: every packet is counted, none is decoded."""

from libs.common.domain.failures import Code, Failure
from libs.common.runtime.probe import Media, packet_of, packets_command
from libs.common.runtime.process import Limits, run


async def scanned_duration(url: str, media: Media, *, program: str, limits: Limits) -> float:
    """Seconds from what a player shows as 0:00 to the end of the last packet. Reads the whole file. Raises Failure."""
    end = media.start_time

    async def take(line: str) -> None:
        nonlocal end
        packet = packet_of(line)
        if packet and packet.time is not None:
            end = max(end, packet.time + packet.duration)

    await run(packets_command(program, url, media.container, None), limits=limits, on_line=take)
    if end <= media.start_time:
        raise Failure(Code.SOURCE_UNREADABLE, "the source holds nothing that can be played")
    return end - media.start_time
