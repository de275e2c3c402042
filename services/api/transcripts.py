"""Edited transcripts as clients send them, and how they become the one that is kept. Pure: every refusal names its cue."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from libs.common.domain.edits import EditedCue, EditedTranscript
from libs.common.domain.languages import CODES, ISO_639_1, UNDETERMINED
from services.api.plain_text import plain
from services.api.requests import Refused, decoded

MOST_CUES = 2000
LONGEST_CUE = 500
"""Characters; a cue of two lines has 84."""
MOST_LINES = 6
SLACK = 100
"""Milliseconds that a cue may outlast the clip, since editors count in whole frames; what is over is cut off."""

Seconds = Annotated[float, Meta(ge=0, le=86_400, description="Seconds from the clip's first frame; milliseconds are kept.")]


class WrittenCue(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A cue as clip.json has it; words and whatever else is there are passed over."""

    start: Seconds
    end: Seconds
    lines: Annotated[tuple[str, ...] | UnsetType, Meta(description="What is shown, line by line.")] = UNSET
    text: Annotated[str | UnsetType, Meta(description="The same in one string, where lines is left out.")] = UNSET


class NewTranscript(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The job's clip.json with other words or times; or the same as WebVTT or SubRip."""

    language: Annotated[str | UnsetType, Meta(description="ISO 639-1; as it was where it is left out.")] = UNSET
    cues: Annotated[tuple[WrittenCue, ...], Meta(max_length=MOST_CUES, description="In order, apart from each other, within the clip.")]


@dataclass(frozen=True, slots=True)
class GivenCue:
    """A cue and where the client wrote it (`line 12`, `cues[3]`); milliseconds."""

    place: str
    start: int
    end: int
    lines: tuple[str, ...]


def from_json(body: bytes) -> tuple[list[GivenCue], str | None]:
    """The cues and the language, if it is named. Raises Refused."""
    written = decoded(NewTranscript, body)
    given = [GivenCue(f"cues[{n}]", _ms(cue.start), _ms(cue.end), _lines(n, cue)) for n, cue in enumerate(written.cues)]
    return given, None if written.language is UNSET else _language(written.language)


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


def _lines(n: int, cue: WrittenCue) -> tuple[str, ...]:
    if cue.lines is UNSET:
        if cue.text is UNSET:
            raise Refused("cues", f"cues[{n}]: lines or text is required")
        return tuple(cue.text.splitlines())
    if cue.text is not UNSET and _letters(cue.text) != _letters("".join(cue.lines)):
        raise Refused("cues", f"cues[{n}]: lines and text say different things; leave one of them out")
    return cue.lines


def _letters(text: str) -> str:
    return plain(text).replace(" ", "")


def _language(code: str) -> str:
    if code.lower() not in ISO_639_1 | CODES | {UNDETERMINED}:
        raise Refused("language", "language must be a two-letter ISO 639-1 code")
    return code.lower()


def transcript(given: Sequence[GivenCue], *, seconds: float, language: str) -> EditedTranscript:
    """The cues as they are kept, for a clip that lasts `seconds`: cleaned, without empty ones. Raises Refused for the first wrong one."""
    if len(given) > MOST_CUES:
        raise Refused("cues", f"there are {len(given)} cues; at most {MOST_CUES} are allowed")
    until, cues, since = math.ceil(round(seconds * 1000, 3)), [], 0
    for cue in given:
        kept = EditedCue(cue.start, min(cue.end, until), tuple(line for text in cue.lines if (line := plain(text))))
        if problem := _problem(cue, kept, since, until):
            raise Refused("cues", f"{cue.place}: {problem}")
        since = kept.end
        cues += [kept] if kept.lines else []
    return EditedTranscript(language, tuple(cues))


def _problem(cue: GivenCue, kept: EditedCue, since: int, until: int) -> str | None:
    """What is wrong with a cue that follows one which ends at `since`, of a clip that ends at `until`."""
    if cue.end <= cue.start:
        return "a cue must end after it begins"
    if cue.start < since:
        return "this cue begins before the one above it ends"
    if cue.start >= until or cue.end > until + SLACK:
        return f"this cue lies outside the clip, which lasts {until / 1000:g} s"
    if sum(map(len, kept.lines)) > LONGEST_CUE or len(kept.lines) > MOST_LINES:
        return f"this cue is too long; at most {LONGEST_CUE} characters and {MOST_LINES} lines are allowed"
    return None
