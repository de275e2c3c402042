"""The two recordings of real speech that come with the wheel moonshine-voice, and what is said in them (both texts are public)."""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import jiwer


@dataclass(frozen=True)
class Recording:
    """A mono WAV file of 48 kHz and its words; the speech is English."""

    name: str
    seconds: float
    text: str

    @property
    def path(self) -> Path:
        wheel = find_spec("moonshine_voice")
        if wheel is None or wheel.origin is None:
            raise FileNotFoundError("the wheel moonshine-voice is not installed: make setup")
        return Path(wheel.origin).parent / "assets" / self.name


TWO_CITIES = Recording(
    "two_cities.wav",
    44.374,
    "It was the best of times, it was the worst of times, it was the age of wisdom, it was the age of foolishness, "
    "it was the epoch of belief, it was the epoch of incredulity, it was the season of light, it was the season of darkness, "
    "it was the spring of hope, it was the winter of despair. We had everything before us, we had nothing before us, "
    "we were all going direct to heaven, we were all going direct the other way. In short, the period was so far like "
    "the present period that some of its noisiest authorities insisted on its being received, for good or for evil, "
    "in the superlative degree of comparison only.",
)
"""Charles Dickens, A Tale of Two Cities."""

BECKETT = Recording("beckett.wav", 9.963, "Ever tried. Ever failed. No matter. Try again. Fail again. Fail better.")
"""Samuel Beckett, Worstward Ho."""

_SPOKEN = jiwer.Compose(
    [
        jiwer.ToLowerCase(),
        jiwer.RemovePunctuation(),
        jiwer.RemoveMultipleSpaces(),
        jiwer.Strip(),
        jiwer.ReduceToListOfListOfWords(),
    ]
)


def word_error_rate(heard: str, spoken: str) -> float:
    """Wrong, missing and added words by words spoken, from 0.0; case and punctuation do not count."""
    return jiwer.wer(spoken, heard, reference_transform=_SPOKEN, hypothesis_transform=_SPOKEN)
