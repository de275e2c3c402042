"""The clip's sound as a recogniser wants it: 16 kHz mono FLAC, from the clip's first frame to its end."""

from pathlib import Path

from libs.common.domain.failures import Code, Failure
from libs.common.runtime.logs import logger
from libs.common.runtime.process import Completed, Limits, run
from services.asr.settings import AsrSettings
from services.asr.transcriber import Audio

log = logger(__name__)

NAME = "clip.flac"
MEMORY_BYTES = 1 << 30
HEADROOM_SECONDS = 5.0
BYTES_A_SECOND = 2 * 16_000
"""Of 16-bit mono samples; FLAC of them is smaller."""


async def extract_audio(clip: Path, seconds: float, settings: AsrSettings) -> Audio:
    """Write the first audio track of an MP4, `seconds` of it, beside it. Raises Failure, for good when there is nothing to decode."""
    limits = Limits(
        wall=settings.clip_max_runtime_sec,
        cpu=settings.clip_max_runtime_sec,
        memory=MEMORY_BYTES,
        file_size=int((seconds + HEADROOM_SECONDS) * BYTES_A_SECOND) + 65_536,
    )
    ended = await run(extraction(settings.ffmpeg_bin, clip.name, seconds), limits=limits, cwd=clip.parent)
    if ended.code != 0:
        raise _failure(ended)
    return Audio(clip.with_name(NAME), seconds)


def _failure(ended: Completed) -> Failure:
    """Killed, by a limit or the machine's lack of memory, it may do better elsewhere; having looked and refused, it won't."""
    log.warning("the clip's sound can't be extracted", code=ended.code, stderr=ended.stderr[-1000:])
    if ended.code < 0:
        return Failure(Code.RETRYABLE_ERROR, "the extraction of the clip's sound was killed")
    return Failure(Code.SOURCE_UNREADABLE, "the clip's sound can't be decoded")


def extraction(ffmpeg: str, clip: str, seconds: float) -> tuple[str, ...]:
    """The ffmpeg command. Sound that begins late is preceded by silence, sound that ends early is followed by it: times are the clip's.

    The same sound gives the same bytes, without ffmpeg's version and the clip's metadata: transcripts are kept by them.
    """
    return (
        *(ffmpeg, "-nostdin", "-hide_banner", "-v", "error", "-y", "-filter_threads", "1"),
        *("-protocol_whitelist", "file", "-format_whitelist", "mov", "-f", "mov", "-threads", "1", "-i", clip),
        *("-map", "0:a:0", "-vn", "-sn", "-dn", "-map_metadata", "-1"),
        *("-af", "aresample=16000:async=1:min_hard_comp=0.01:first_pts=0,apad", "-t", f"{seconds:.6f}"),
        *("-ac", "1", "-threads", "1", "-c:a", "flac", "-flags:a", "+bitexact", "-fflags", "+bitexact", "-f", "flac", NAME),
    )
