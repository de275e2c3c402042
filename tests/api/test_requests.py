"""From what clients send to the event that opens a job."""

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.domain.events import ClipsRequested, Priority
from libs.common.domain.failures import Code
from libs.common.domain.languages import abilities
from libs.common.domain.probing import Source
from services.api.bodies import ClipFields, NewJob, NewUpload, UploadWish
from services.api.caller import Caller
from services.api.openings import openings
from services.api.requests import Limits, Refused, decoded, from_form
from tests.fakes import NOW

KEY = f"uploads/{uuid4()}/talk.mp4"
UPLOAD = Source(source_type="upload", upload_key=KEY)
LIMITS = Limits(
    max_clip_seconds=120,
    min_duration_sec=0.5,
    coerce_min_duration=False,
    max_input_mb=1,
    retention_hours=72,
    max_retention_hours=168,
    max_segments=10,
    recogniser=abilities("whisper-large-v3"),
)
SUBTITLED = {"withSubtitles": True, "burnSubtitles": True}


def wanted(**fields: Any) -> ClipFields:
    given = {"start": 1, "end": 3, **fields}
    return msgspec.convert({name: value for name, value in given.items() if value is not None}, ClipFields)


def opening(limits: Limits = LIMITS, **fields: Any) -> ClipsRequested:
    (event,) = openings(wanted(**fields), UPLOAD, limits, Caller(), NOW)
    return event


def refusal(**fields: Any) -> tuple[str | None, Code]:
    with pytest.raises(Refused) as refused:
        opening(**fields)
    return refused.value.field, refused.value.code


def test_a_request_becomes_the_event_with_its_defaults() -> None:
    assert opening() == ClipsRequested(
        source_type="upload", upload_key=KEY, start=1.0, end=3.0, expires_at=NOW + timedelta(hours=72), subtitle_lang="auto"
    )


def test_all_that_was_asked_is_in_the_event() -> None:
    event = opening(
        start="00:00:01.250",
        end="1m1s",
        withSubtitles=True,
        burnSubtitles=True,
        subtitleLang="DE",
        subtitleTask="translate",
        subtitleStyle="karaoke",
        subtitlePrompt="  Dr. Müller,\n\u0000Charité\u202e ",
        accuracy="fast",
        metadata={"show": "42"},
    )
    assert (event.start, event.end) == (1.25, 61.0)
    assert (event.with_subtitles, event.burn_subtitles, event.subtitle_lang) == (True, True, "de")
    assert (event.subtitle_task, event.subtitle_style, event.subtitle_prompt) == ("translate", "karaoke", "Dr. Müller, Charité")
    assert (event.accuracy, event.metadata) == ("fast", {"show": "42"})


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"start": None}, "start"),
        ({"start": "soon"}, "start"),
        ({"end": -1}, "end"),
        ({"start": 3, "end": 3}, "end"),
        ({"start": 3, "end": 2.9}, "end"),
        ({"start": 3, "end": 3.499}, "end"),
        ({"burnSubtitles": True}, "burnSubtitles"),
        ({"withSubtitles": True, "subtitleLang": "xx"}, "subtitleLang"),
        ({"subtitleLang": "english"}, "subtitleLang"),
        ({"subtitleTask": "translate"}, "subtitleTask"),
        ({"subtitlePrompt": "Ada"}, "subtitlePrompt"),
        ({"withSubtitles": True, "subtitleStyle": "bold"}, "subtitleStyle"),
        ({"callbackUrl": "https://example.com/hook"}, "callbackUrl"),
        ({"metadata": {"a": "\0"}}, "metadata"),
        ({"metadata": {"\0": "a"}}, "metadata"),
    ],
)
def test_a_wrong_field_is_named(fields: dict[str, Any], field: str) -> None:
    assert refusal(**fields) == (field, Code.VALIDATION_FAILED)


def test_defaults_that_are_sent_need_nothing() -> None:
    assert opening(subtitleTask="transcribe", subtitleStyle="default", subtitlePrompt="") == opening()


def test_a_prompt_of_nothing_is_none() -> None:
    assert opening(**SUBTITLED, subtitlePrompt=" \u200e\n").subtitle_prompt is None


@pytest.mark.parametrize(
    ("model", "fields", "field"),
    [
        ("whisper-large-v3-turbo", {"subtitleTask": "translate"}, "subtitleTask"),
        ("tiny.en", {"subtitleTask": "translate"}, "subtitleTask"),
        ("tiny.en", {"subtitleLang": "de"}, "subtitleLang"),
        ("whisper-large-v3", {"subtitleLang": "zu"}, "subtitleLang"),
    ],
)
def test_what_the_model_can_not_do_is_refused_before_there_is_a_job(model: str, fields: dict[str, Any], field: str) -> None:
    limits = replace(LIMITS, recogniser=abilities(model))
    with pytest.raises(Refused) as refused:
        opening(limits, withSubtitles=True, **fields)
    assert (refused.value.field, refused.value.code) == (field, Code.VALIDATION_FAILED)


def test_the_refusal_of_a_language_says_which_it_can_be() -> None:
    with pytest.raises(Refused, match=r"can't transcribe de; it can do auto, en$"):
        opening(replace(LIMITS, recogniser=abilities("tiny.en")), withSubtitles=True, subtitleLang="DE")


@pytest.mark.parametrize("language", ["auto", "en", "EN"])
def test_english_is_asked_of_a_model_that_knows_nothing_else(language: str) -> None:
    limits = replace(LIMITS, recogniser=abilities("tiny.en"))
    assert opening(limits, withSubtitles=True, subtitleLang=language).subtitle_lang == language.lower()


def test_a_language_that_nobody_will_transcribe_is_not_held_against_the_model() -> None:
    assert opening(replace(LIMITS, recogniser=abilities("tiny.en")), subtitleLang="de").subtitle_lang == "de"


def test_a_clip_may_be_exactly_as_long_as_allowed_and_not_a_millisecond_longer() -> None:
    assert opening(start=10.1, end=130.1).end == 130.1
    assert refusal(start=10.1, end=130.101) == ("end", Code.CLIP_TOO_LONG)


def test_a_clip_that_is_too_short_is_lengthened_only_when_the_operator_says_so() -> None:
    coerce = replace(LIMITS, coerce_min_duration=True)
    assert opening(coerce, start=3, end=3.1).end == 3.5
    assert opening(coerce, start=3, end=3).end == 3.5
    assert refusal(start=3, end=3.1) == ("end", Code.VALIDATION_FAILED)


@given(start=st.integers(0, 10_000_000), length=st.integers(500, 120_000))
def test_any_allowed_range_passes_unchanged(start: int, length: int) -> None:
    event = opening(start=start / 1000, end=(start + length) / 1000)
    assert (round(event.start * 1000), round(event.end * 1000)) == (start, start + length)


@pytest.mark.parametrize(
    ("body", "field", "code"),
    [
        (b"", None, Code.BAD_REQUEST),
        (b"{", None, Code.BAD_REQUEST),
        (b'{"start": NaN}', None, Code.BAD_REQUEST),
        (b'{"start": "\xff"}', None, Code.BAD_REQUEST),
        (b'{"start": "\\ud800"}', None, Code.BAD_REQUEST),
        (b"[]", None, Code.VALIDATION_FAILED),
        (b'{"end": 1}', "sourceType", Code.VALIDATION_FAILED),
        (b'{"end": 1, "sourceType": "tape"}', "sourceType", Code.VALIDATION_FAILED),
        (b'{"sourceType": "upload", "end": null}', "end", Code.VALIDATION_FAILED),
        (b'{"sourceType": "upload", "start": null}', "start", Code.VALIDATION_FAILED),
        (b'{"sourceType": "upload", "colour": "red"}', "colour", Code.VALIDATION_FAILED),
        (b'{"sourceType": "upload", "source_type": "upload"}', "source_type", Code.VALIDATION_FAILED),
        (b'{"sourceType": "upload", "start": true}', "start", Code.VALIDATION_FAILED),
        (b'{"sourceType": "upload", "start": 1e999}', "start", Code.VALIDATION_FAILED),
        (b'{"sourceType": "upload", "withSubtitles": "true"}', "withSubtitles", Code.VALIDATION_FAILED),
        (b'{"sourceType": "upload", "priority": "now"}', "priority", Code.VALIDATION_FAILED),
        (b'{"sourceType": "upload", "accuracy": "good"}', "accuracy", Code.VALIDATION_FAILED),
        (b'{"sourceType": "upload", "subtitleStyle": "loud"}', "subtitleStyle", Code.VALIDATION_FAILED),
        (b'{"sourceType": "upload", "subtitleTask": "sing"}', "subtitleTask", Code.VALIDATION_FAILED),
        (b'{"sourceType": "upload", "subtitlePrompt": "%s"}' % (b"b" * 501), "subtitlePrompt", Code.VALIDATION_FAILED),
        (b'{"sourceType": "upload", "metadata": {"a": 1}}', "metadata", Code.VALIDATION_FAILED),
        (b'{"sourceType": "upload", "metadata": {"": "a"}}', "metadata", Code.VALIDATION_FAILED),
        (b'{"sourceType": "upload", "metadata": {"a": "%s"}}' % (b"b" * 257), "metadata", Code.VALIDATION_FAILED),
        (b'{"sourceType": "upload", "metadata": {%s}}' % b",".join(b'"%d":""' % n for n in range(17)), "metadata", Code.VALIDATION_FAILED),
    ],
)
def test_a_body_that_does_not_fit_is_refused_with_its_field(body: bytes, field: str | None, code: Code) -> None:
    with pytest.raises(Refused) as refused:
        decoded(NewJob, body)
    assert (refused.value.field, refused.value.code) == (field, code)


@given(st.binary())
def test_no_body_breaks_the_decoder(body: bytes) -> None:
    with pytest.raises(Refused):
        decoded(NewJob, body)


def test_text_fields_of_a_form_are_read_as_what_they_mean() -> None:
    form = {"start": "12.5", "end": "0:20", "withSubtitles": "true", "burnSubtitles": "0", "priority": "bulk", "metadata": '{"a":"b"}'}
    assert from_form(form) == NewUpload(start="12.5", end="0:20", with_subtitles=True, priority=Priority.BULK, metadata={"a": "b"})


@pytest.mark.parametrize(
    ("form", "field"),
    [
        ({"withSubtitles": "maybe"}, "withSubtitles"),
        ({"metadata": "a=b"}, "metadata"),
        ({"metadata": "[]"}, "metadata"),
        ({"uploadKey": KEY}, "uploadKey"),
        ({"sourceType": "youtube"}, "sourceType"),
    ],
)
def test_a_wrong_form_field_is_named(form: dict[str, str], field: str) -> None:
    with pytest.raises(Refused) as refused:
        from_form(form)
    assert refused.value.field == field


@pytest.mark.parametrize(
    "body", [b'{"size": 0}', b'{"size": "5"}', b'{"size": 5, "contentType": "a"}', b'{"size": 5, "contentType": "a/b\\nc"}']
)
def test_a_wish_to_upload_that_makes_no_sense_is_refused(body: bytes) -> None:
    with pytest.raises(Refused):
        decoded(UploadWish, body)


def test_the_largest_source_is_counted_in_mebibytes() -> None:
    assert LIMITS.largest == 1024 * 1024
