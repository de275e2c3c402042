"""The client's words against the service's own: every field that the API takes or gives is there, under its name."""

import sys
from typing import Any, get_args, get_type_hints

import msgspec
import pytest

import clipstream
from clipstream import Job, Probe, Result, operator_models
from clipstream.job_options import JobOptions, body_of, camel, ranges
from clipstream.models import AudioTrack, Format, VideoTrack
from libs.common.domain import probing, values
from libs.common.domain.dead_letters import Line
from services.api import bodies, overview_views, probe_views, results
from services.api.admin_keys import KeyView
from services.api.views import JobView

SOURCE = {"sourceType", "uploadKey", "youtubeUrl"}
RANGE = {"start", "end", "segments", "joined"}


def wire_names(kind: Any) -> set[str]:
    return {field.encode_name for field in msgspec.structs.fields(kind)}


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (Job, JobView),
        (Probe, probe_views.ProbeView),
        (Result, results.Result),
        (VideoTrack, values.VideoTrack),
        (AudioTrack, values.AudioTrack),
        (Format, probing.Format),
        (operator_models.Key, KeyView),
        (operator_models.DeadLetter, Line),
        (operator_models.Queue, overview_views.QueueView),
        (operator_models.JobCounts, overview_views.JobCounts),
        (operator_models.FailureCount, overview_views.FailureCount),
    ],
    ids=lambda kind: kind.__module__.rpartition(".")[2] + "." + kind.__name__,
)
def test_a_model_has_all_that_the_service_gives(ours: Any, theirs: Any) -> None:
    assert wire_names(ours) == wire_names(theirs)


def test_an_overview_has_all_that_the_service_gives() -> None:
    assert wire_names(operator_models.Overview) | {"correlationId"} == wire_names(overview_views.OverviewAnswer)


def test_a_job_can_be_told_all_that_the_service_takes() -> None:
    assert {camel(name) for name in JobOptions.__annotations__} | SOURCE | RANGE == wire_names(bodies.NewJob)


@pytest.mark.parametrize("name", ["presets", "vertical_fit", "audio_format", "subtitle_task", "subtitle_style", "accuracy"])
def test_the_choices_are_those_of_the_service(name: str) -> None:
    ours = get_type_hints(JobOptions)[name]
    theirs = {"presets": values.Preset}.get(name) or getattr(values, "".join(word.capitalize() for word in name.split("_")))
    assert set(get_args(get_args(ours)[0] if name == "presets" else ours)) == set(get_args(theirs))


def test_an_option_that_there_is_not_is_told_before_anything_is_sent() -> None:
    with pytest.raises(TypeError, match="with_subtitels"):
        body_of({}, {}, {"with_subtitels": True})  # the slip is the point


def test_a_body_holds_what_was_said_and_nothing_else() -> None:
    part = ranges("0:01", None, (), joined=False)
    body = body_of(
        {"sourceType": "upload", "uploadKey": "k"}, part, {"with_subtitles": True, "presets": ("gif",), "metadata": {"a_b": "c"}}
    )
    assert body == {
        "sourceType": "upload",
        "uploadKey": "k",
        "start": "0:01",
        "withSubtitles": True,
        "presets": ("gif",),
        "metadata": {"a_b": "c"},
    }
    assert ranges(None, None, [(1, 2)], joined=True) == {"segments": [{"start": 1, "end": 2}], "joined": True}


def test_every_name_of_the_package_is_there() -> None:
    assert {name for name in clipstream.__all__ if getattr(clipstream, name).__name__ != name} == set()
    with pytest.raises(AttributeError):
        clipstream.nothing  # noqa: B018  the look is the point
    assert "clipstream" in sys.modules
