"""The wire: names, versions, and the ids that make an answer unique."""

from uuid import uuid4

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.domain.event_ids import answer_id, replay_id
from libs.common.domain.events import CONSUMES, SUBJECTS, AnyEvent, StageName, decode, encode, is_known, type_of
from tests.builders import envelope, ready, requested, uploaded


def test_work_travels_on_the_subjects_of_the_contract() -> None:
    assert list(SUBJECTS.values()) == ["clips.requested", "source.ready", "clip.uploaded", "asr.done"]
    assert list(CONSUMES) == list(StageName)


def test_the_wire_is_camel_case_and_tagged() -> None:
    body = msgspec.json.decode(encode(envelope(requested(with_subtitles=True))))
    assert body["event"]["type"] == "clips.requested"
    assert body["event"]["withSubtitles"] is True
    assert {"id", "jobId", "run", "at", "correlationId", "version"} <= set(body)


def test_unknown_fields_of_a_newer_version_are_ignored() -> None:
    sent = envelope(ready())
    body = msgspec.json.decode(encode(sent))
    body["later"] = 1
    body["event"]["laterToo"] = {"a": 1}
    assert decode(msgspec.json.encode(body)) == sent


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"event":{"type":"clip.sung"}}', b"\xff\xfe", b"{}"])
def test_what_is_no_envelope_is_refused(body: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        decode(body)


@given(st.lists(st.sampled_from(["\0", "\\", "\\u0000", "u0000", '"', "a"]), max_size=6).map("".join))
def test_a_text_with_a_nul_is_refused_and_one_that_only_looks_like_it_is_not(text: str) -> None:
    body = encode(envelope(requested(metadata={"title": text})))
    if "\0" in text:
        with pytest.raises(msgspec.DecodeError, match="NUL"):
            decode(body)
    else:
        assert encode(decode(body)) == body


@given(st.integers(1, 50), st.integers(1, 50), st.sampled_from(list(StageName)), st.sampled_from(list(StageName)))
def test_an_answer_has_one_id_for_its_job_stage_and_run(run: int, other_run: int, stage: StageName, other: StageName) -> None:
    job = uuid4()
    assert (answer_id(job, stage, run) == answer_id(job, other, other_run)) == ((stage, run) == (other, other_run))
    assert answer_id(job, stage, run) != replay_id(job, run)


def test_every_event_is_known_by_its_name() -> None:
    assert all(is_known(type_of(event)) for event in AnyEvent.__args__)
    assert not is_known("clip.sung")
    assert type_of(uploaded()) == "clip.uploaded"
