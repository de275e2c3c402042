"""A recording in parts: cut where it is quietest, their transcripts joined again. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

import msgspec

from services.asr.transcript import Transcript, Word

QUIET_SECONDS = 0.3
"""How long it has to be quiet around a cut: shorter pauses are inside words."""
SEARCHED = 0.4
"""The share of a part, its last, in which the quietest place is looked for."""


@dataclass(frozen=True, slots=True)
class Part:
    """Seconds of the whole recording."""

    start: float
    end: float


def parts(loudness: Sequence[int], rate: int, seconds: float, longest: float) -> tuple[Part, ...]:
    """Parts of at most `longest` seconds, one behind the other, that are the whole; `loudness` has `rate` values a second."""
    cuts = [0.0, *_cuts(loudness, rate, seconds, longest), seconds]
    return tuple(Part(start, end) for start, end in pairwise(cuts))


def _cuts(loudness: Sequence[int], rate: int, seconds: float, longest: float) -> Iterator[float]:
    sums = [0, *accumulate(map(abs, loudness))]
    at = 0.0
    while seconds - at > longest:
        at = _quietest(sums, rate, at + (1 - SEARCHED) * longest, at + longest)
        yield at


def _quietest(sums: Sequence[int], rate: int, after: float, before: float) -> float:
    """The middle of the quietest stretch between two times, the latest of equals; `before` where the loudness isn't known."""
    span = round(QUIET_SECONDS * rate)
    starts = range(int(after * rate) + 1, min(int(before * rate), len(sums) - 1) - span + 1)
    if not starts:
        return before
    best = min(starts, key=lambda at: (sums[at + span] - sums[at], -at))
    return (best + span / 2) / rate


def joined(transcripts: Sequence[tuple[Part, Transcript]], seconds: float) -> Transcript:
    """One transcript with the times of the whole: no word outside its part. The language is that of most words."""
    first = transcripts[0][1]
    words = tuple(_moved(word, part) for part, transcript in transcripts for word in transcript.words)
    most = max((transcript for _, transcript in transcripts), key=lambda transcript: len(transcript.words))
    return msgspec.structs.replace(first, language=most.language, words=words, audio_seconds=seconds)


def _moved(word: Word, part: Part) -> Word:
    return Word(word.text, min(part.start + word.start, part.end), min(part.start + word.end, part.end))
