"""What is asked of a transcriber: which language, which task, and the words to expect. Pure."""

from dataclasses import dataclass

from libs.common.domain.values import SubtitleTask

PROMPT_TOKENS = 224
"""A Whisper model reads the end of a prompt, that many tokens of it (findings A1)."""
ASCII_CHARACTERS_A_TOKEN = 2.5
"""English has about four, lists of names fewer."""
BYTES_A_TOKEN = 2
"""Of what is not ASCII: a Cyrillic letter is one, a Han character one and a half."""


@dataclass(frozen=True, slots=True)
class Wish:
    """`language` is ISO 639-1, or `auto`; `prompt` names what is likely to be heard; to `translate` is into English."""

    language: str = "auto"
    prompt: str | None = None
    task: SubtitleTask = "transcribe"

    @property
    def written(self) -> str:
        """The language of the transcript, or `auto`."""
        return "en" if self.task == "translate" else self.language

    @property
    def hint(self) -> str:
        """As much of the prompt's end as a model reads, in whole words where there are any; empty for none."""
        text = " ".join((self.prompt or "").encode(errors="replace").decode().split())
        first = _first_kept(text)
        blank = text.find(" ", max(first - 1, 0))
        return text[first:] if first == 0 or blank < 0 else text[blank + 1 :]


def _first_kept(text: str) -> int:
    left = float(PROMPT_TOKENS)
    for at in range(len(text) - 1, -1, -1):
        left -= 1 / ASCII_CHARACTERS_A_TOKEN if text[at].isascii() else len(text[at].encode()) / BYTES_A_TOKEN
        if left < 0:
            return at + 1
    return 0
