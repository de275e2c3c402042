"""Words and hypothesis's strategies for them: as a recogniser gives them, and as nobody should."""

from hypothesis import strategies as st

from services.asr.cleaning import clean
from services.asr.cues import Cue
from services.asr.transcript import Word, spread

any_text = st.text(st.characters(exclude_categories=[]), max_size=60) | st.sampled_from(
    ["-->", "\n\n", "1", "{x}", "\\N", "<b>", "word.", "one,", "我们走。", "x" * 50, "我" * 30, "1" * 60, "", "שלום", "น้ำ", "--", ">我"]
)
any_time = st.floats() | st.floats(-1, 130) | st.integers(-1, 130).map(float)
any_words = st.lists(st.builds(Word, any_text, any_time, any_time), max_size=40)
orderly_words = st.lists(st.text("abcdefg.,?", min_size=1, max_size=12), max_size=120).map(lambda texts: spread(" ".join(texts), 0.5, 60.0))
any_seconds = st.floats(0.05, 130)


def said(text: str, *, start: float = 0.0, pace: float = 0.3) -> list[Word]:
    return [Word(word, start + n * pace, start + (n + 1) * pace) for n, word in enumerate(text.split())]


def text_of(shown: tuple[Cue, ...]) -> str:
    return "".join("".join("".join(cue.lines).split()) for cue in shown)


def text_said(words: list[Word]) -> str:
    return "".join("".join(clean(word.text).split()) for word in words)
