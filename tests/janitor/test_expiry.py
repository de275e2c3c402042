"""What becomes of a job whose time is up, and what its history names: by cases and by properties."""

from datetime import timedelta
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.domain.due import Due
from libs.common.domain.events import AnyEvent, AsrFailed, Envelope, JobCancelled, JobExpired, JobFailed, JobReplayed, StageName, encode
from services.janitor.expiry import Expire, Purge, PutOff, bytes_of, expired, fate_of, files_of, is_told
from tests.builders import burned, envelope, history, ready, requested, retried, started, transcribed, uploaded
from tests.fakes import NOW

KEPT = timedelta(hours=72)
FAILED = JobFailed(stage=StageName.CLIPPER, code="INTERNAL", message="no")


def due(*events: AnyEvent) -> Due:
    return due_of(history(*events))


def due_of(events: list[Envelope]) -> Due:
    return Due(events[0].job_id if events else uuid4(), tuple(events), len(events))


@pytest.mark.parametrize(
    "events",
    [(requested(), ready(), uploaded()), (requested(), FAILED), (requested(), JobCancelled(by="client"))],
    ids=["done", "failed", "cancelled"],
)
def test_a_job_that_is_over_expires_at_once(events: tuple[AnyEvent, ...]) -> None:
    fate = fate_of(due(*events), NOW + timedelta(seconds=3), KEPT)
    assert isinstance(fate, Expire)
    assert (fate.is_stuck, fate.event and fate.event.event) == (False, JobExpired())


@pytest.mark.parametrize("work", [(), (started(StageName.RESOLVER),), (ready(), started(StageName.CLIPPER))], ids=len)
@given(silence=st.timedeltas(timedelta(0), timedelta(days=10)))
def test_a_job_at_work_expires_when_it_was_silent_for_as_long_as_jobs_are_kept(work: tuple[AnyEvent, ...], silence: timedelta) -> None:
    one = due(requested(), *work)
    last = one.history[-1].at
    fate = fate_of(one, last + silence, KEPT)
    assert fate == PutOff(last + KEPT) if silence < KEPT else isinstance(fate, Expire) and fate.is_stuck


def test_a_job_that_runs_again_is_at_work() -> None:
    events = history(requested(), FAILED)
    again = JobReplayed(stage=StageName.CLIPPER, by="ada", source="DLQ:1")
    run = envelope(again, events[0].job_id, run=2, at=NOW + timedelta(minutes=1))
    assert fate_of(due_of([*events, run]), NOW + timedelta(hours=1), KEPT) == PutOff(run.at + KEPT)


def test_a_job_that_a_client_deleted_goes_though_it_was_at_work() -> None:
    fate = fate_of(due(requested(), started(StageName.RESOLVER), JobExpired()), NOW, KEPT)
    assert isinstance(fate, Expire)
    assert fate.event is None


def test_what_is_left_of_a_job_goes_last() -> None:
    assert [fate_of(each, NOW, KEPT) for each in (due(), due(JobExpired()), due(JobExpired(), uploaded()))] == [Purge()] * 3


@given(named=st.sets(st.from_regex(r"[a-z0-9][\w.-]{0,20}", fullmatch=True).filter(str.isascii), max_size=8))
def test_every_name_in_the_job_s_folders_is_found_and_no_other_job_s(named: set[str]) -> None:
    job, other = uuid4(), uuid4()
    told = {name: f"results/{job}/{name}" for name in named} | {"other": f"results/{other}/clip.mp4", "up": f"uploads/{job}/file.mp4"}
    told["beyond"] = f"results/{job}/../{other}"
    files = files_of(due_of(history(requested(metadata={f"m{n}": key for n, key in enumerate(told.values())}), job_id=job)))
    assert set(files.results) == {f"results/{job}/{name}" for name in named}
    assert files.sources == ()


def test_the_keys_of_all_answers_and_edits_are_named() -> None:
    job = uuid4()
    files = (
        ready(source_key=f"sources/{job}/source.mp4"),
        uploaded(video_key=f"results/{job}/clip.mp4", thumbnail_key=f"results/{job}/poster.jpg"),
        transcribed(srt_key=f"results/{job}/clip.srt", vtt_key=f"results/{job}/clip.vtt"),
        burned(video_key=f"results/{job}/clip.subbed.mp4"),
        JobReplayed(stage=StageName.ASR, by="client", source="edit:abc"),
    )
    found = files_of(due_of(history(requested(), *files, job_id=job)))
    assert found.sources == (f"sources/{job}/source.mp4",)
    assert [key.rpartition("/")[2] for key in found.results] == [
        *("clip.mp4", "clip.srt", "clip.subbed.mp4", "clip.vtt", "edited-abc.json", "poster.jpg"),
    ]
    assert bytes_of(due_of(history(requested(), *files, job_id=job))) == 1000 + 10 + 10


RESOLVED, CUT = (started(StageName.RESOLVER), ready()), (started(StageName.CLIPPER), uploaded())


@pytest.mark.parametrize(
    ("events", "told"),
    [
        ((*RESOLVED, *CUT), True),
        ((*RESOLVED, started(StageName.CLIPPER)), False),
        ((*RESOLVED, started(StageName.CLIPPER), retried(StageName.CLIPPER), *CUT), False),
        ((*RESOLVED, started(StageName.CLIPPER), FAILED), False),
        ((*RESOLVED, *CUT, started(StageName.ASR), AsrFailed(code="X", message="m")), False),
        ((FAILED,), True),
        ((JobExpired(),), True),
    ],
    ids=["all answered", "unanswered", "at the second try", "failed", "an optional stage failed", "never begun", "a trace"],
)
def test_only_where_each_start_came_to_its_answer_the_history_tells_all(events: tuple[AnyEvent, ...], *, told: bool) -> None:
    assert is_told(history(requested(), *events)) is told


def test_the_end_is_the_tenant_s_and_has_one_id() -> None:
    job = fate_of(due(requested(tenant="acme")), NOW + 2 * KEPT, KEPT)
    assert isinstance(job, Expire)
    assert job.event is not None
    assert job.event.event == JobExpired(tenant="acme")
    assert encode(expired(job.event.job_id, job.job, job.event.at)) == encode(job.event)
