"""How a clip's picture is shown, which decides how wide its subtitles may be."""

from pathlib import Path

import msgspec

from libs.common.domain.values import VideoTrack
from libs.common.runtime.probe import probe
from libs.common.runtime.process import Limits
from services.asr.settings import AsrSettings

SECONDS = 60
MEMORY_BYTES = 1 << 30


async def shown_picture(clip: Path, settings: AsrSettings) -> VideoTrack | None:
    """Of an MP4: its video as a player turns it, so that a phone's upright film is higher than wide; None without one. Raises Failure."""
    limits = Limits(wall=SECONDS, cpu=SECONDS, memory=MEMORY_BYTES, file_size=0)
    found = await probe(str(clip), "mov", program=settings.ffprobe_bin, limits=limits)
    if found.video is None or found.video_stream is None or not found.video_stream.rotation % 180:
        return found.video
    return msgspec.structs.replace(found.video, width=found.video.height, height=found.video.width)
