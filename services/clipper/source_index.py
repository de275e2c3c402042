"""Reads the packets around a range from the source: from far enough before it, and no farther than the plan needs."""

from collections.abc import Callable, Iterator

from libs.common.runtime.media import Media, Packet
from libs.common.runtime.probe import packets
from services.clipper.cut_plan import covers
from services.clipper.frames import GRACE, PacketIndex, Wanted
from services.clipper.rendering import limits
from services.clipper.settings import ClipperSettings

BEYOND = 1.0
"""Seconds of picture read after the range: the frames after it say where the last one ends."""
AUDIO_LAG = 2.0
"""Seconds by which audio may lie behind the picture in the file; no more is read to find its end."""
STEPS_BACK = (2.0, 10.0, 60.0)


async def packet_index(url: str, media: Media, want: Wanted, settings: ClipperSettings) -> PacketIndex:
    """The index, begun at a keyframe at or before the range: formats without an index of their own are searched backwards."""
    index = PacketIndex((), (), None, is_whole=False)
    for since in _beginnings(media, want):
        index = await _read(url, media, since, want, settings)
        if covers(index, media, want):
            break
    return index


def _beginnings(media: Media, want: Wanted) -> Iterator[float | None]:
    """MP4 finds each track's own place; elsewhere audio may lie before the keyframe that it belongs to."""
    near = (0.0, *STEPS_BACK) if media.container == "mov" and media.video else STEPS_BACK
    for step in near:
        if want.start - step > media.start_time:
            yield want.start + GRACE - step
    yield None


async def _read(url: str, media: Media, since: float | None, want: Wanted, settings: ClipperSettings) -> PacketIndex:
    found, is_whole = await packets(
        url, media.container, program=settings.ffprobe_bin, limits=limits(settings), since=since, enough=_enough(media, want)
    )
    picture = media.video_stream.index if media.video_stream else None
    return PacketIndex(
        video=tuple(p for p in found if p.stream == picture),
        audio=tuple(p for p in found if p.stream == media.audio_index),
        since=since,
        is_whole=is_whole,
    )


def _enough(media: Media, want: Wanted) -> Callable[[Packet], bool]:
    """A packet that is decoded after the range is the last that matters; audio gets some time more to come to its own end."""
    heard = media.audio is None
    picture = media.video_stream.index if media.video_stream else None

    def enough(packet: Packet) -> bool:
        nonlocal heard
        at = packet.decode_time if packet.decode_time is not None else packet.time
        if at is None:
            return False
        if packet.stream == media.audio_index:
            heard = heard or at >= want.end
        if picture is None:
            return heard
        return packet.stream == picture and at >= want.end + (BEYOND if heard else BEYOND + AUDIO_LAG)

    return enough
