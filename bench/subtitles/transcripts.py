"""What cues are made of here: two recordings as the local model hears them, transcripts made by chance, and those of a length."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from services.asr.local import open_local
from services.asr.transcriber import Audio
from services.asr.transcript import Word
from services.asr.wish import Wish
from tests.asr.generated import generated
from tests.asr.recordings import BECKETT, TWO_CITIES
from tests.asr.settings import asr_settings

WORD_SECONDS = 0.36
"""Of spoken English, with its pauses: about 165 words a minute."""


@dataclass(frozen=True, slots=True)
class Told:
    language: str
    words: Sequence[Word]
    seconds: float


async def recorded_ones() -> list[Told]:
    async with open_local(asr_settings()) as local:
        heard = [(one, await local.transcribe(Audio(one.path, one.seconds), Wish("en"))) for one in (TWO_CITIES, BECKETT)]
    return [Told("en", transcript.words, recording.seconds) for recording, transcript in heard]


def generated_ones(count: int) -> Iterator[Told]:
    for seed in range(count):
        made = generated(seed)
        yield Told(made.language, made.words, made.seconds)


def of_length(seconds: int, *, words: int | None = None) -> Told:
    """The text of a recording, again and again."""
    texts = TWO_CITIES.text.split()
    count = words or int(seconds / WORD_SECONDS)
    each = seconds / count
    return Told("en", [Word(texts[n % len(texts)], n * each, (n + 1) * each) for n in range(count)], seconds)
