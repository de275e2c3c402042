"""A clip's sound to its transcript: taken out of the clip, looked up, or asked for."""

from collections.abc import Awaitable, Callable
from pathlib import Path

from services.asr.audio import extract_audio
from services.asr.settings import AsrSettings
from services.asr.transcriber import Transcriber
from services.asr.transcript import Transcript
from services.asr.wish import Wish

EXTRACTED = 0.2
TRANSCRIBED = 0.9
Progress = Callable[[float], Awaitable[None]]


async def transcribed(clip: Path, seconds: float, wish: Wish, tools: Transcriber, settings: AsrSettings, progress: Progress) -> Transcript:
    """The words of the first `seconds` of an MP4 with sound; its folder is used for scratch. Raises Failure.

    A wish that the model can't be asked fails before any work.
    """
    if refused := tools.refusal(wish):
        raise refused
    audio = await extract_audio(clip, seconds, settings)
    await progress(EXTRACTED)
    transcript = await tools.transcribe(audio, wish)
    await progress(TRANSCRIBED)
    return transcript
