"""Cues out of WebVTT and SubRip files. The only file that knows pysubs2.

pysubs2 reads on over what it can't read, takes a comment or a cue's name for text of the cue above, and a last line that is one number
for the next cue's. So it gets each cue under a number of our own, and nothing else; that way a refusal can name its line, too.
"""

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from pysubs2 import SSAFile

from libs.common.domain.failures import Code
from services.api.requests import Refused
from services.api.transcripts import GivenCue

STAMPS = {"srt": r"\d{1,2}:\d{1,2}:\d{1,2}[.,]\d{1,3}", "vtt": r"(?:\d{2,4}:)?\d{2}:\d{2}\.\d{3}"}
TAKEN_FOR_TIMES = STAMPS | {"vtt": r"(?:\d{0,4}:)?\d{2}:\d{2}\.\d{2,3}"}
"""Two of these in a line are a cue's times to pysubs2, whatever stands between them."""
SHAPES = {"srt": "00:00:01,000 --> 00:00:02,500", "vtt": "00:00:01.000 --> 00:00:02.500"}
MOST_LINES = 20_000
"""Ten for each cue that is allowed."""
COMMENTS = ("NOTE", "STYLE", "REGION")
"""What a WebVTT block that is no cue begins with (W3C WebVTT, 4.1)."""

_LINE_END = re.compile(r"\r\n|\r|\n")
_TAG = re.compile(
    r"</?(?:i|b|u|s|em|strong|font|c|v|lang|ruby|rt)(?:[.\s][^<>]*)?>"
    r"|<\d[\d:.]*>"  # when a word is said
    r"|\{\\[^{}]*\}",  # SubStation's, which SubRip files borrow
    re.IGNORECASE,
)


@dataclass(slots=True)
class _Sorted:
    """The cues of a file, each under a number, and the line that each one's times stand in."""

    kind: str
    lines: list[str] = field(default_factory=list)
    places: list[int] = field(default_factory=list)

    def cue(self, number: int, timing: str) -> None:
        stamp = STAMPS[self.kind]
        times = re.fullmatch(rf"\s*({stamp})\s*-->\s*({stamp})(?:\s.*)?", timing)
        if times is None:
            raise _refused(number, f"the times of a cue are written {SHAPES[self.kind]}")
        self.places.append(number)
        self.lines += ["", "0", f"{times[1]} --> {times[2]}"]  # without the settings that may follow

    def text(self, number: int, line: str) -> None:
        if len(re.findall(TAKEN_FOR_TIMES[self.kind], line)) > 1:
            raise _refused(number, "two times in one line of text look like those of a cue; write --> between them, or leave one out")
        self.lines += [line.strip()] if line.strip() else []


def from_file(body: bytes, kind: str) -> list[GivenCue]:
    """The cues of a file of this kind, vtt or srt, in its order. Raises Refused."""
    numbered = list(enumerate(_LINE_END.split(_text(body)), 1))
    if len(numbered) > MOST_LINES:
        raise Refused(None, f"the file has {len(numbered)} lines; at most {MOST_LINES} are allowed")
    found = _Sorted(kind)
    _sort_vtt(numbered, found) if kind == "vtt" else _sort_srt(numbered, found)
    events = SSAFile.from_string("\n".join([*found.lines, "", "0"]), format_=kind, keep_html_tags=True)
    return [
        GivenCue(f"line {place}", event.start, event.end, _shown(event.text, kind))
        for place, event in zip(found.places, events, strict=True)
    ]


def _text(body: bytes) -> str:
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _refused(body.count(b"\n", 0, error.start) + 1, "the file is not UTF-8 text", Code.BAD_REQUEST) from error


def _sort_srt(numbered: list[tuple[int, str]], found: _Sorted) -> None:
    """A blank line does not end a cue, the next one's number and times do."""
    for n, line in numbered:
        following = numbered[n][1] if n < len(numbered) else ""
        if "-->" in line:
            found.cue(n, line)
        elif line.strip().isdecimal() and ("-->" in following or not found.places):
            continue
        elif found.places:
            found.text(n, line)
        elif line.strip():
            raise _refused(n, f"this belongs to no cue; one begins with its times, {SHAPES['srt']}")


def _sort_vtt(numbered: list[tuple[int, str]], found: _Sorted) -> None:
    """Blank lines part cues, which may have a name in a line of its own, from each other and from comments."""
    blocks = _blocks(numbered)
    header = next(blocks, [(1, "")])
    if not re.match(r"WEBVTT(?:\s|$)", header[0][1]):
        raise _refused(1, "a WebVTT file begins with WEBVTT")
    if crowded := next((n for n, line in header if "-->" in line), None):
        raise _refused(crowded, "a blank line is missing between this and WEBVTT")
    for block in blocks:
        at = next((i for i, (_, line) in enumerate(block[:2]) if "-->" in line), None)
        if at is not None:
            found.cue(*block[at])
            for n, line in block[at + 1 :]:
                found.cue(n, line) if "-->" in line else found.text(n, line)
        elif not block[0][1].startswith(COMMENTS):
            raise _refused(block[0][0], "this belongs to no cue; a blank line ends a cue")
        elif crowded := next((n for n, line in block if "-->" in line), None):
            raise _refused(crowded, "a blank line is missing between this and the comment above")


def _blocks(numbered: list[tuple[int, str]]) -> Iterator[list[tuple[int, str]]]:
    """Runs of lines that are not blank."""
    block: list[tuple[int, str]] = []
    for n, line in [*numbered, (0, "")]:
        if line.strip():
            block.append((n, line))
        elif block:
            yield block
            block = []


def _shown(text: str, kind: str) -> tuple[str, ...]:
    """The lines as a player shows them: no tags, and no character references where the format has them."""
    untagged = _TAG.sub("", text.replace(r"\N", "\n"))
    return tuple((html.unescape(untagged) if kind == "vtt" else untagged).split("\n"))


def _refused(line: int, message: str, code: Code = Code.VALIDATION_FAILED) -> Refused:
    return Refused(None, f"line {line}: {message}", code)
