"""What a provider of transcripts promises. The providers are local.py and groq.py."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from services.asr.languages import is_known
from services.asr.model import find_model, is_english_only
from services.asr.settings import AsrSettings
from services.asr.transcript import Transcript


@dataclass(frozen=True, slots=True)
class Audio:
    """A FLAC file, 16 kHz mono, and how many seconds it lasts."""

    path: Path
    seconds: float


class Transcriber(Protocol):
    async def transcribe(self, audio: Audio, *, language: str) -> Transcript:
        """The words of the audio; none for silence. `language` is ISO 639-1, or `auto`.

        Raises Failure, within ASR_REQUEST_TIMEOUT_MS of the provider's beginning; a cancelled call leaves nothing running.
        """
        ...


def supports(settings: AsrSettings, language: str) -> bool:
    """Whether the provider and model in use can transcribe this language; an English-only one would invent English."""
    if settings.asr_provider == "local" and _is_english_only(settings.asr_model):
        return language in {"auto", "en"}
    return language == "auto" or is_known(language)


def _is_english_only(model: str) -> bool:
    folder = find_model(model)
    return folder is not None and is_english_only(folder)
