"""What a job can be told, and the body that says so to POST /api/jobs. Pure."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, TypedDict

Time = float | str
"""Seconds, or text as people write it: HH:MM:SS.mmm, MM:SS, 1m30s."""
Segment = tuple[Time, Time]


class JobOptions(TypedDict, total=False):
    """The fields of POST /api/jobs, in snake_case; /schema of a running API describes each."""

    presets: Sequence[Literal["720p", "1080p", "vertical", "audio", "gif"]]
    vertical_fit: Literal["crop", "pad", "blur"]
    audio_format: Literal["m4a", "mp3"]
    with_subtitles: bool
    burn_subtitles: bool
    subtitle_lang: str
    subtitle_task: Literal["transcribe", "translate"]
    subtitle_prompt: str
    subtitle_style: Literal["default", "bold", "boxed", "karaoke"]
    accuracy: Literal["exact", "fast"]
    priority: Literal["fast", "normal", "bulk"]
    expires_at: datetime
    callback_url: str
    metadata: Mapping[str, str]


def ranges(start: Time | None, end: Time | None, segments: Sequence[Segment], *, joined: bool) -> dict[str, Any]:
    """The fields that say which part of the source. What is None is left to the server."""
    if segments:
        named = [{"start": first, "end": last} for first, last in segments]
        return {"segments": named, "joined": True} if joined else {"segments": named}
    return {name: value for name, value in (("start", start), ("end", end)) if value is not None}


def body_of(source: Mapping[str, str], part: Mapping[str, Any], options: JobOptions) -> dict[str, Any]:
    """Raises TypeError for an option that there is not."""
    unknown = options.keys() - JobOptions.__annotations__.keys()
    if unknown:
        raise TypeError(f"a job has no option {', '.join(sorted(unknown))}")
    named = {camel(name): value for name, value in options.items() if value is not None}
    return {**source, **part, **named}


def camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(word.capitalize() for word in others)
