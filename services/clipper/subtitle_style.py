"""Subtitles as ASS, for libass to draw into the picture: our own style, and text that is only ever text. Pure."""

import re
import unicodedata
from dataclasses import dataclass

import pysubs2

WIDEST_LINE = 21.0
"""Ems that a line of 42 characters takes: the text is made no larger than lets it fit a narrow picture."""
USABLE_WIDTH = 0.9
AUTODETECT_DIRECTION = -1
"""As a style's encoding: libass takes the direction of Arabic and Hebrew from the text itself."""

_EMOJI = re.compile(
    "[\U0001f1e6-\U0001f1ff\U0001f300-\U0001faff\U0001f004\U0001f0cf\U0001f18e\U0001f191-\U0001f19a\U0001f201-\U0001f265]"
    "[\U0001f3fb-\U0001f3ff\ufe0f\u20e3\U000e0020-\U000e007f]*\u200d?"
    "|[\u2300-\u2bff\u3030\u303d\u3297\u3299\u00a9\u00ae\u203c\u2049\u2122\u2139\u2190-\u21ff0-9#*]\ufe0f\u20e3?\u200d?"
)
"""What is drawn as a colour picture; libass can't, so it is left out. Text signs such as a note or an arrow stay."""
_SPACES = re.compile(r"[ \t\u00a0]+")
_WORD_JOINER = "\u2060"


@dataclass(frozen=True, slots=True)
class Look:
    """A font family, and sizes in per cent of the picture's height."""

    font: str
    size: float
    outline: float
    margin: float


def ass(srt: str, look: Look, width: int, height: int) -> str | None:
    """The SRT's cues as an ASS file for a picture of this size in pixels; None when nothing of them can be drawn."""
    cues = pysubs2.SSAFile.from_string(srt, format_="srt", keep_html_tags=True, keep_unknown_html_tags=True)
    events = [pysubs2.SSAEvent(start=cue.start, end=cue.end, text=drawable(cue.text)) for cue in cues]
    drawn = pysubs2.SSAFile()
    drawn.events = [event for event in events if event.text]
    drawn.info.update(
        {"PlayResX": str(width), "PlayResY": str(height), "WrapStyle": "2", "ScaledBorderAndShadow": "yes", "YCbCr Matrix": "None"}
    )
    drawn.styles = {"Default": _style(look, width, height)}
    return drawn.to_string("ass") if drawn.events else None


def _style(look: Look, width: int, height: int) -> pysubs2.SSAStyle:
    return pysubs2.SSAStyle(
        fontname=look.font,
        fontsize=round(min(height * look.size / 100, width * USABLE_WIDTH / WIDEST_LINE), 1),
        outline=round(height * look.outline / 100, 1),
        shadow=0,
        marginv=round(height * look.margin / 100),
        encoding=AUTODETECT_DIRECTION,
    )


def drawable(text: str) -> str:
    r"""A cue's text as ASS: lines joined by \N, and nothing in it that libass would take for a command."""
    lines = (_line(line) for line in re.split(r"\\N|\r\n|\r|\n", text))
    return r"\N".join(line for line in lines if line)


def _line(line: str) -> str:
    """Braces become the full-width ones; a word joiner, which has no width, makes of a backslash a mere sign."""
    plain = "".join(" " if unicodedata.category(sign) in {"Cc", "Zl", "Zp", "Cs"} else sign for sign in _EMOJI.sub("", line))
    guarded = plain.replace("{", "\uff5b").replace("}", "\uff5d").replace("\\", f"\\{_WORD_JOINER}")
    return _SPACES.sub(" ", guarded).strip()
