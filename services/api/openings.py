"""How a request becomes the event that opens its job, or the question that a resolver is asked. Pure: every refusal names its field."""

from datetime import datetime, timedelta

from msgspec import UNSET

from libs.common.domain.events import ClipsRequested
from libs.common.domain.failures import Code
from libs.common.domain.languages import ISO_639_1, Abilities
from libs.common.domain.probing import ProbeRequest, Source
from services.api.bodies import ClipFields, NewProbe, Time
from services.api.plain_text import plain
from services.api.requests import Limits, Refused
from services.api.timecode import milliseconds
from services.api.youtube import start_in


def requested(fields: ClipFields, source: Source, limits: Limits, now: datetime) -> ClipsRequested:
    """The event that opens a job on a source. Raises Refused for the first field that is wrong."""
    start, end = _range(_start(fields.start, source), fields.end, limits)
    _check_subtitles(fields, limits.recogniser)
    _check_extras(fields)
    return ClipsRequested(
        source_type=source.source_type,
        upload_key=source.upload_key,
        source_url=source.source_url,
        start=start / 1000,
        end=end / 1000,
        accuracy=fields.accuracy,
        with_subtitles=fields.with_subtitles,
        burn_subtitles=fields.burn_subtitles,
        subtitle_lang=fields.subtitle_lang.lower(),
        subtitle_task=fields.subtitle_task,
        subtitle_style=fields.subtitle_style,
        subtitle_prompt=plain(fields.subtitle_prompt) or None,
        metadata=fields.metadata,
        expires_at=now + timedelta(hours=limits.retention_hours),
    )


def probe_request(wish: NewProbe, source: Source, limits: Limits) -> ProbeRequest:
    """What a resolver is asked. Raises Refused where a job with this range would be."""
    first = _start(wish.start, source)
    if wish.end is not UNSET:
        start, end = _range(first, wish.end, limits)
        return ProbeRequest(source=source, start=start / 1000, end=end / 1000)
    return ProbeRequest(source=source, start=None if first is UNSET else _time("start", first) / 1000)


def _start(asked: Time, source: Source) -> Time:
    """As asked, or else as a YouTube URL names it."""
    named = start_in(source.source_url) if asked is UNSET and source.source_url else None
    return asked if named is None else named


def _range(first: Time, last: Time, limits: Limits) -> tuple[int, int]:
    """In milliseconds, so that no rounding decides whether a clip is too long."""
    start, end = _time("start", first), _time("end", last)
    least = round(limits.min_duration_sec * 1000)
    if end < start or (end == start and not limits.coerce_min_duration):
        raise Refused("end", "end must be after start")
    if end - start < least:
        if not limits.coerce_min_duration:
            raise Refused("end", f"a clip must be at least {limits.min_duration_sec:g} s long")
        end = start + least
    if end - start > limits.max_clip_seconds * 1000:
        too_long = f"the clip would be {(end - start) / 1000:g} s long; at most {limits.max_clip_seconds:g} s are allowed"
        raise Refused("end", too_long, Code.CLIP_TOO_LONG)
    return start, end


def _time(name: str, value: Time) -> int:
    if value is UNSET:
        raise Refused(name, f"{name} is required")
    try:
        return milliseconds(value)
    except ValueError as error:
        raise Refused(name, f"{name}: {error}") from error


def _check_subtitles(fields: ClipFields, recogniser: Abilities) -> None:
    if fields.subtitle_lang.lower() not in ISO_639_1 | {"auto"}:
        raise Refused("subtitleLang", "subtitleLang must be auto or a two-letter ISO 639-1 code")
    if fields.subtitle_style != "default" and not fields.burn_subtitles:
        raise Refused("subtitleStyle", "subtitleStyle needs burnSubtitles")
    asked = {
        "burnSubtitles": fields.burn_subtitles,
        "subtitleTask": fields.subtitle_task != "transcribe",
        "subtitlePrompt": fields.subtitle_prompt != "",
    }
    if fields.with_subtitles:
        _check_abilities(fields, recogniser)
    elif name := next((name for name, wanted in asked.items() if wanted), None):
        raise Refused(name, f"{name} needs withSubtitles")


def _check_abilities(fields: ClipFields, recogniser: Abilities) -> None:
    """A model that is asked for what it can't do makes something up instead."""
    if fields.subtitle_lang.lower() not in recogniser.languages | {"auto"}:
        known = ", ".join(sorted(recogniser.languages))
        raise Refused("subtitleLang", f"this service can't transcribe {fields.subtitle_lang.lower()}; it can do auto, {known}")
    if fields.subtitle_task == "translate" and not recogniser.translates:
        raise Refused("subtitleTask", "this service can't translate; its model can only transcribe")


def _check_extras(fields: ClipFields) -> None:
    if fields.callback_url is not None:
        raise Refused("callbackUrl", "callbackUrl is not supported yet; ask for the job's status instead")
    if any("\0" in text for item in fields.metadata.items() for text in item):  # Postgres can't store it
        raise Refused("metadata", "metadata must not hold NUL characters")
