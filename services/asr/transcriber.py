"""What a provider of transcripts promises. The providers are local.py and groq.py; kept.py and fallback.py are wrapped around them."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from libs.common.domain.failures import Code, Failure
from libs.common.domain.languages import Abilities
from services.asr.transcript import Transcript
from services.asr.wish import Wish


@dataclass(frozen=True, slots=True)
class Audio:
    """A FLAC file, 16 kHz mono, and how many seconds it lasts. The folder is the transcriber's too, for other forms of it."""

    path: Path
    seconds: float

    def sha256(self) -> bytes:
        """Of the whole file, read for it."""
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest()


class Transcriber(Protocol):
    @property
    def provider(self) -> str: ...

    @property
    def model(self) -> str: ...

    def refusal(self, wish: Wish) -> Failure | None:
        """Why the model can't do this; None when it can."""
        ...

    async def transcribe(self, audio: Audio, wish: Wish) -> Transcript:
        """The words of the audio; none for silence.

        Raises Failure, within ASR_REQUEST_TIMEOUT_MS of each request's beginning; a cancelled call leaves nothing running.
        """
        ...


class Around:
    """Does more around another transcriber; what it is and what it can do is the other's."""

    __slots__ = ()
    inner: Transcriber

    @property
    def provider(self) -> str:
        return self.inner.provider

    @property
    def model(self) -> str:
        return self.inner.model

    def refusal(self, wish: Wish) -> Failure | None:
        return self.inner.refusal(wish)


def refusal(able: Abilities, wish: Wish) -> Failure | None:
    """What a model can't do it is not asked for: an English-only one would invent English, a turbo one not translate."""
    if wish.task == "translate" and not able.translates:
        return Failure(Code.VALIDATION_FAILED, f"subtitleTask: the speech model '{able.model}' can't translate")
    if wish.language != "auto" and wish.language not in able.languages:
        return Failure(
            Code.VALIDATION_FAILED, f"subtitleLang: the speech model '{able.model}' doesn't know the language '{wish.language[:20]}'"
        )
    return None
