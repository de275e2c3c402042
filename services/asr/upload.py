"""The forms in which a clip's sound is sent to a provider: as FLAC, as Opus where that is too large, and in parts where that is, too."""

from array import array
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from libs.common.domain.failures import Code, Failure
from libs.common.runtime.logs import logger
from libs.common.runtime.process import Completed, Limits, run
from services.asr.audio import MEMORY_BYTES
from services.asr.parts import Part, parts
from services.asr.settings import AsrSettings
from services.asr.transcriber import Audio

log = logger(__name__)
MEGABYTE = 1_000_000
OPUS_BYTES_A_SECOND = 24_000 // 8
"""Speech at 24 kbit/s is as intelligible to Whisper as its FLAC, at a fifth of the size (findings A1)."""
ROOM = 0.75
"""Share of the limit that a part is planned for: some minutes have more bits than others."""
LARGEST_PART = 0.25
"""Of the whole, whose Opus the provider may have refused though it was within our limit."""
LOUDNESS_RATE = 100


@dataclass(frozen=True, slots=True)
class Upload:
    """One file for one request, and where it lies in the whole."""

    path: Path
    media_type: str
    part: Part

    @property
    def size(self) -> int:
        return self.path.stat().st_size


Form = Callable[[Audio, AsrSettings], Awaitable[tuple[Upload, ...]]]


async def as_flac(audio: Audio, _: AsrSettings) -> tuple[Upload, ...]:
    return (Upload(audio.path, "audio/flac", _whole(audio)),)


async def as_opus(audio: Audio, settings: AsrSettings) -> tuple[Upload, ...]:
    return (await _opus(audio, _whole(audio), settings),)


async def as_parts(audio: Audio, settings: AsrSettings) -> tuple[Upload, ...]:
    """Opus again, cut where it is quietest."""
    limit = ROOM * settings.asr_max_upload_mb * MEGABYTE
    (whole,) = await as_opus(audio, settings)
    longest = audio.seconds * min(LARGEST_PART, limit / whole.size)
    cut = parts(await _loudness(audio, settings), LOUDNESS_RATE, audio.seconds, longest)
    return tuple([await _opus(audio, part, settings) for part in cut])


FORMS: tuple[Form, ...] = (as_flac, as_opus, as_parts)
"""The best first."""


def fits(uploads: tuple[Upload, ...], settings: AsrSettings) -> bool:
    return all(upload.size <= settings.asr_max_upload_mb * MEGABYTE for upload in uploads)


def _whole(audio: Audio) -> Part:
    return Part(0.0, audio.seconds)


async def _opus(audio: Audio, part: Part, settings: AsrSettings) -> Upload:
    path = audio.path.with_name(f"{audio.path.stem}-{part.start:.3f}-{part.end:.3f}.ogg")
    await _ffmpeg(encoding(settings.ffmpeg_bin, audio.path.name, part, path.name), audio, settings)
    return Upload(path, "audio/ogg", part)


async def _loudness(audio: Audio, settings: AsrSettings) -> Sequence[int]:
    ended = await _ffmpeg(loudness(settings.ffmpeg_bin, audio.path.name), audio, settings)
    samples = array("h")
    samples.frombytes(ended.stdout[: len(ended.stdout) // 2 * 2])
    return samples


async def _ffmpeg(argv: tuple[str, ...], audio: Audio, settings: AsrSettings) -> Completed:
    """Raises a retryable Failure: the audio is our own, and was readable a moment ago."""
    limits = Limits(
        wall=settings.clip_max_runtime_sec,
        cpu=settings.clip_max_runtime_sec,
        memory=MEMORY_BYTES,
        file_size=int(audio.seconds * OPUS_BYTES_A_SECOND * 2) + 65_536,
    )
    ended = await run(argv, limits=limits, cwd=audio.path.parent)
    if ended.code != 0:
        log.warning("the clip's sound can't be made smaller", code=ended.code, stderr=ended.stderr[-1000:])
        raise Failure(Code.RETRYABLE_ERROR, "the clip's sound could not be made ready for the transcription provider")
    return ended


def encoding(ffmpeg: str, flac: str, part: Part, ogg: str) -> tuple[str, ...]:
    """The command that writes a part of a FLAC file as Opus in Ogg, to the sample."""
    return (
        *(ffmpeg, "-nostdin", "-hide_banner", "-v", "error", "-y"),
        *("-protocol_whitelist", "file", "-f", "flac", "-threads", "1", "-i", flac),
        *("-af", f"atrim={part.start:.6f}:{part.end:.6f},asetpts=PTS-STARTPTS"),
        *("-threads", "1", "-c:a", "libopus", "-b:a", str(OPUS_BYTES_A_SECOND * 8), "-f", "ogg", ogg),
    )


def loudness(ffmpeg: str, flac: str) -> tuple[str, ...]:
    """The command that says how loud a FLAC file is, a hundred times a second: its amplitudes, smoothed, as 16-bit numbers on stdout."""
    return (
        *(ffmpeg, "-nostdin", "-hide_banner", "-v", "error"),
        *("-protocol_whitelist", "file,pipe", "-f", "flac", "-threads", "1", "-i", flac),
        *("-af", f"aeval=abs(val(0)):c=same,aresample={LOUDNESS_RATE}"),
        *("-threads", "1", "-c:a", "pcm_s16le", "-f", "s16le", "pipe:1"),
    )
