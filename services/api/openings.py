"""How a request becomes the event that opens its job, or the question that a resolver is asked. Pure: every refusal names its field."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from msgspec import UNSET
from msgspec.structs import replace

from libs.common.domain.events import ClipsRequested
from libs.common.domain.failures import Code, Failure
from libs.common.domain.fetching import shared_part
from libs.common.domain.languages import ISO_639_1, Abilities
from libs.common.domain.probing import ProbeRequest, Source
from libs.common.domain.values import Segment
from services.api.bodies import ClipFields, NewProbe, Time
from services.api.caller import Caller
from services.api.plain_text import plain
from services.api.requests import Limits, Refused
from services.api.timecode import milliseconds
from services.api.webhooks.callback_url import checked_callback
from services.api.youtube import start_in

SOONEST_EXPIRY = timedelta(minutes=5)
"""From now: a job gets this long at least."""


def openings(fields: ClipFields, source: Source, limits: Limits, caller: Caller, now: datetime) -> list[ClipsRequested]:
    """The events that open the jobs of a request, one a clip. Raises Refused for the first field that is wrong."""
    ranges = _ranges(fields, source, limits)
    _check_subtitles(fields, limits.recogniser)
    _check_extras(fields)
    common = _common(fields, source, limits, caller, now)
    if fields.joined:
        return [_joined(common, ranges)]
    if 0 < (most := caller.max_active_jobs) < len(ranges):
        raise Refused("segments", f"at most {most} of your jobs may be under way at once, so one request may have {most} segments at most")
    shared = shared_part(ranges) if len(ranges) > 1 and source.source_url else (None,) * len(ranges)
    return [replace(common, start=wanted.start, end=wanted.end, fetch=part) for wanted, part in zip(ranges, shared, strict=True)]


def _joined(common: ClipsRequested, ranges: Sequence[Segment]) -> ClipsRequested:
    start, end = min(wanted.start for wanted in ranges), max(wanted.end for wanted in ranges)
    return replace(common, start=start, end=end, segments=tuple(ranges) if len(ranges) > 1 else ())


def _common(fields: ClipFields, source: Source, limits: Limits, caller: Caller, now: datetime) -> ClipsRequested:
    """All but the times."""
    return ClipsRequested(
        source_type=source.source_type,
        upload_key=source.upload_key,
        source_url=source.source_url,
        start=0.0,
        end=0.0,
        tenant=caller.tenant,
        client=caller.client,
        accuracy=fields.accuracy,
        presets=fields.presets,
        vertical_fit=fields.vertical_fit,
        audio_format=fields.audio_format,
        with_subtitles=fields.with_subtitles,
        burn_subtitles=fields.burn_subtitles,
        subtitle_lang=fields.subtitle_lang.lower(),
        subtitle_task=fields.subtitle_task,
        subtitle_style=fields.subtitle_style,
        subtitle_prompt=plain(fields.subtitle_prompt) or None,
        callback_url=_callback(fields, limits),
        metadata=fields.metadata,
        expires_at=_expiry(fields.expires_at, limits, now),
    )


def _callback(fields: ClipFields, limits: Limits) -> str | None:
    if fields.callback_url is None:
        return None
    try:
        return checked_callback(fields.callback_url, limits.callbacks)
    except Failure as failure:
        raise Refused("callbackUrl", f"callbackUrl: {failure.message}", failure.code, hint=failure.own_hint) from failure


def _expiry(asked: datetime | None, limits: Limits, now: datetime) -> datetime:
    if asked is None:
        return now + timedelta(hours=limits.retention_hours)
    latest = now + timedelta(hours=limits.max_retention_hours)
    if not now + SOONEST_EXPIRY <= asked <= latest:
        minutes = SOONEST_EXPIRY // timedelta(minutes=1)
        raise Refused("expiresAt", f"expiresAt must be between {minutes} minutes and {limits.max_retention_hours:g} hours from now")
    return asked.astimezone(UTC)


def _ranges(fields: ClipFields, source: Source, limits: Limits) -> list[Segment]:
    """What to cut, in seconds."""
    if not fields.segments:
        if fields.joined:
            raise Refused("joined", "joined needs segments")
        return [_segment(_range(_start(fields.start, source), fields.end, limits))]
    _check_segments(fields, limits)
    ranges = [_range(one.start, one.end, limits, f"segments[{number}].") for number, one in enumerate(fields.segments)]
    together = sum(end - start for start, end in ranges)
    if fields.joined and together > limits.max_clip_seconds * 1000:
        too_long = f"the clip would be {together / 1000:g} s long; at most {limits.max_clip_seconds:g} s are allowed"
        raise Refused("segments", too_long, Code.CLIP_TOO_LONG)
    return [_segment(one) for one in ranges]


def _check_segments(fields: ClipFields, limits: Limits) -> None:
    if fields.start is not UNSET or fields.end is not UNSET:
        raise Refused("segments", "send either segments, or start and end")
    if len(fields.segments) > limits.max_segments:
        raise Refused("segments", f"at most {limits.max_segments} segments are allowed in one request")
    if fields.joined and fields.accuracy != "exact":
        raise Refused("accuracy", "a joined clip is always exact")


def _segment(milliseconds: tuple[int, int]) -> Segment:
    return Segment(start=milliseconds[0] / 1000, end=milliseconds[1] / 1000)


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


def _range(first: Time, last: Time, limits: Limits, within: str = "") -> tuple[int, int]:
    """In milliseconds, so that no rounding decides whether a clip is too long. `within` goes before the names of the fields."""
    start, end = _time(f"{within}start", first), _time(f"{within}end", last)
    least = round(limits.min_duration_sec * 1000)
    if end < start or (end == start and not limits.coerce_min_duration):
        raise Refused(f"{within}end", f"{within}end must be after start")
    if end - start < least:
        if not limits.coerce_min_duration:
            raise Refused(f"{within}end", f"a clip must be at least {limits.min_duration_sec:g} s long")
        end = start + least
    if end - start > limits.max_clip_seconds * 1000:
        too_long = f"the clip would be {(end - start) / 1000:g} s long; at most {limits.max_clip_seconds:g} s are allowed"
        raise Refused(f"{within}end", too_long, Code.CLIP_TOO_LONG)
    return start, end


def _time(name: str, value: Time) -> int:
    if value is UNSET:
        raise Refused(name, f"{name} is required")
    try:
        return milliseconds(value)
    except ValueError as error:
        raise Refused(name, f"{name}: {error}") from error


def _check_subtitles(fields: ClipFields, recogniser: Abilities) -> None:
    if (language := fields.subtitle_lang.lower()) != "auto" and language not in ISO_639_1:
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
    if (language := fields.subtitle_lang.lower()) != "auto" and language not in recogniser.languages:
        known = ", ".join(sorted(recogniser.languages))
        raise Refused("subtitleLang", f"this service can't transcribe {language}; it can do auto, {known}")
    if fields.subtitle_task == "translate" and not recogniser.translates:
        raise Refused("subtitleTask", "this service can't translate; its model can only transcribe")


def _check_extras(fields: ClipFields) -> None:
    if len(set(fields.presets)) < len(fields.presets):
        raise Refused("presets", "presets must not name one twice")
    if fields.vertical_fit != "crop" and "vertical" not in fields.presets:
        raise Refused("verticalFit", "verticalFit needs the preset vertical")
    if fields.audio_format != "m4a" and "audio" not in fields.presets:
        raise Refused("audioFormat", "audioFormat needs the preset audio")
    if any("\0" in text for item in fields.metadata.items() for text in item):  # Postgres can't store it
        raise Refused("metadata", "metadata must not hold NUL characters")
