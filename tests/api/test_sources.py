"""Which source a request means: an upload's key or a URL, and the moment that the URL names."""

import re
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.domain.events import ClipsRequested
from libs.common.domain.failures import Code
from libs.common.domain.probing import ProbeRequest, Source
from libs.common.domain.source_urls import url_rules
from libs.common.runtime.settings import SettingsError, load
from services.api.bodies import ClipFields, NewJob, NewProbe
from services.api.caller import Caller
from services.api.openings import openings, probe_request
from services.api.requests import Refused
from services.api.settings import ApiSettings
from services.api.sources import new_upload_key, source_of
from tests.api.test_requests import KEY, LIMITS, wanted
from tests.fakes import NOW

RULES = url_rules("", "", "80,443")


@pytest.mark.parametrize(
    ("fields", "field", "code"),
    [
        ({"sourceType": "youtube", "youtubeUrl": "https://youtu.be/x"}, "sourceType", Code.YTDLP_DISABLED),
        ({"sourceType": "youtube"}, "sourceType", Code.YTDLP_DISABLED),
        ({"sourceType": "upload"}, "uploadKey", Code.VALIDATION_FAILED),
        ({"sourceType": "upload", "uploadKey": KEY, "youtubeUrl": "x"}, "youtubeUrl", Code.VALIDATION_FAILED),
        *(
            ({"sourceType": "upload", "uploadKey": key}, "uploadKey", Code.VALIDATION_FAILED)
            for key in (
                "",
                "talk.mp4",
                f"{KEY}/..",
                f"/{KEY}",
                f"{KEY}\n",
                KEY.replace("uploads", "sources"),
                "uploads/1/talk.mp4",
                f"{KEY}?a=b",
            )
        ),
    ],
)
def test_a_source_that_we_did_not_hand_out_is_refused(fields: dict[str, Any], field: str, code: Code) -> None:
    for kind in (NewJob, NewProbe):
        with pytest.raises(Refused) as refused:
            source_of(msgspec.convert({"end": 1, **fields}, kind), None)
        assert (refused.value.field, refused.value.code) == (field, code)


def opened(fields: ClipFields, source: Source) -> ClipsRequested:
    (event,) = openings(fields, source, LIMITS, Caller(), NOW)
    return event


def by_url(url: str, rules: str = "", **fields: Any) -> Source:
    wish = msgspec.convert({"end": 1, "sourceType": "youtube", "youtubeUrl": url, **fields}, NewJob)
    return source_of(wish, url_rules(rules, "", "80,443"))


@pytest.mark.parametrize(
    ("fields", "field", "code"),
    [
        ({"youtubeUrl": None}, "youtubeUrl", Code.VALIDATION_FAILED),
        ({"youtubeUrl": "see it yourself"}, "youtubeUrl", Code.VALIDATION_FAILED),
        ({"youtubeUrl": "file:///etc/passwd"}, "youtubeUrl", Code.VALIDATION_FAILED),
        ({"youtubeUrl": "http://127.0.0.1/"}, "youtubeUrl", Code.SSRF_BLOCKED),
        ({"youtubeUrl": "http://2130706433/"}, "youtubeUrl", Code.SSRF_BLOCKED),
        ({"youtubeUrl": "http://me:secret@example.com/"}, "youtubeUrl", Code.SSRF_BLOCKED),
        ({"youtubeUrl": "https://example.com:8443/"}, "youtubeUrl", Code.SSRF_BLOCKED),
        ({"youtubeUrl": "https://youtu.be/x", "uploadKey": KEY}, "uploadKey", Code.VALIDATION_FAILED),
    ],
)
def test_a_url_that_may_not_be_fetched_is_refused_by_its_field(fields: dict[str, Any], field: str, code: Code) -> None:
    with pytest.raises(Refused) as refused:
        source_of(msgspec.convert({"end": 1, "sourceType": "youtube", **fields}, NewJob), RULES)
    assert (refused.value.field, refused.value.code) == (field, code)
    assert "secret" not in refused.value.message


def test_only_hosts_that_the_operator_names_are_taken() -> None:
    assert by_url("https://www.example.com/a?b=c", "example.com").source_url == "https://www.example.com/a?b=c"
    with pytest.raises(Refused) as refused:
        by_url("https://example.org/", "example.com")
    assert (refused.value.field, refused.value.code) == ("youtubeUrl", Code.SOURCE_FORBIDDEN)


def test_a_job_by_url_carries_the_url_as_it_was_checked() -> None:
    event = opened(wanted(), by_url("HTTPS://YouTu.be:443/x"))
    assert (event.source_type, event.upload_key, event.source_url) == ("youtube", None, "https://youtu.be/x")


def test_the_moment_that_a_youtube_url_names_is_the_start_unless_another_is_asked_for() -> None:
    source = by_url("https://www.youtube.com/watch?v=x&t=1m30s")
    assert opened(wanted(start=None, end=95), source).start == 90
    assert opened(wanted(start=91, end=95), source).start == 91
    with pytest.raises(Refused) as refused:
        opened(wanted(start=None, end=60), source)
    assert refused.value.field == "end"


def probed(url: str, **fields: Any) -> ProbeRequest:
    wish = msgspec.convert({"sourceType": "youtube", "youtubeUrl": url, **fields}, NewProbe)
    return probe_request(wish, source_of(wish, RULES), LIMITS)


def test_a_probe_needs_no_range_and_takes_the_one_that_a_job_would() -> None:
    asked = [probed("https://youtu.be/x"), probed("https://youtu.be/x?t=9"), probed("https://youtu.be/x", start=1, end="0:03")]
    assert [(a.start, a.end) for a in asked] == [(None, None), (9, None), (1, 3)]


@pytest.mark.parametrize(
    ("fields", "field", "code"),
    [
        ({"end": 3}, "start", Code.VALIDATION_FAILED),
        ({"start": "soon"}, "start", Code.VALIDATION_FAILED),
        ({"start": 3, "end": 1}, "end", Code.VALIDATION_FAILED),
        ({"start": 3, "end": 300}, "end", Code.CLIP_TOO_LONG),
    ],
)
def test_a_range_that_no_job_could_have_is_refused_of_a_probe_too(fields: dict[str, Any], field: str, code: Code) -> None:
    with pytest.raises(Refused) as refused:
        probed("https://youtu.be/x", **fields)
    assert (refused.value.field, refused.value.code) == (field, code)


@given(st.text())
def test_whatever_a_file_is_called_its_key_is_one_that_we_take_back(filename: str) -> None:
    upload_id = uuid4()
    key = new_upload_key(upload_id, filename)
    assert key.startswith(f"uploads/{upload_id}/")
    assert source_of(NewJob(end=1, source_type="upload", upload_key=key), None).upload_key == key


@pytest.mark.parametrize(
    ("filename", "name"),
    [
        ("talk.mp4", "talk.mp4"),
        ("My talk (1).MP4", "My_talk_1.MP4"),
        ("../../etc/passwd", "passwd"),
        ("C:\\videos\\a.mov", "a.mov"),
        ("видео.mp4", "file.mp4"),
        (".mp4", "file.mp4"),
        ("", "file"),
        ("x" * 300 + ".mkv", "x" * 100 + ".mkv"),
    ],
)
def test_a_key_keeps_what_is_safe_of_the_files_name(filename: str, name: str) -> None:
    assert re.sub(r"^uploads/[^/]+/", "", new_upload_key(uuid4(), filename)) == name


def test_what_is_wrong_with_the_allow_lists_is_named(servers: dict[str, str]) -> None:
    wrong = {"ALLOWLIST_HOSTS": "a b", "ALLOWLIST_NETWORKS": "10.0.0.0/8, nowhere", "ALLOWLIST_PORTS": "80, http"}
    with pytest.raises(SettingsError) as raised:
        load(ApiSettings, {**servers, **wrong})
    assert [problem.partition(":")[0] for problem in str(raised.value).splitlines()] == list(wrong)


def test_urls_are_taken_only_when_they_are_switched_on(servers: dict[str, str]) -> None:
    assert load(ApiSettings, servers).fetching_rules is None
    given = {"ENABLE_YTDLP": "true", "ALLOWLIST_HOSTS": "example.com", "ALLOWLIST_NETWORKS": "10.0.0.0/8", "ALLOWLIST_PORTS": "443"}
    assert load(ApiSettings, {**servers, **given}).fetching_rules == url_rules("example.com", "10.0.0.0/8", "443")
