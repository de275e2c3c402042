"""What is decided about a job whose files are lost, and the walk that finds such jobs. Pure, by example and by property."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.domain.events import JobFailed, StageName
from libs.common.domain.job import Job, apply, fold
from libs.common.domain.values import Rendition, Section
from services.janitor.lost_files import FILES_LOST, envelopes, files_of, remedy, sources_of
from services.janitor.overdue import awaited_stage
from services.janitor.storage_walk import beside, by_owner, in_pages, owner_of
from tests.builders import burned, history, ready, requested, transcribed, uploaded

RESOLVER, CLIPPER, ASR, BURNER = StageName
CLIP, THUMB, GIF, SRT, BURNED = (
    "results/j/clip.mp4",
    "results/j/thumb.jpg",
    "results/j/clip.gif",
    "results/j/clip.srt",
    "results/j/clip.subbed.mp4",
)
AT = datetime(2026, 11, 21, tzinfo=UTC)


def done(**fields: Any) -> Job:
    rendition = Rendition(preset="gif", key=GIF, media_type="image/gif", size=1)
    asked = requested(**{"with_subtitles": True, "burn_subtitles": True} | fields)
    return fold(history(asked, ready(), uploaded(thumbnail_key=THUMB, renditions=(rendition,)), transcribed(), burned()))


def after(job: Job, *missing: str, has_source: bool = False) -> Job:
    """The job when its remedy is recorded."""
    for each in envelopes(job, remedy(job, missing, has_source=has_source), AT):
        job = apply(job, each)
    return job


def test_every_file_that_an_answer_names_is_looked_for() -> None:
    assert files_of(done()) == {CLIPPER: (CLIP, THUMB, GIF), ASR: (SRT,), BURNER: (BURNED,)}
    section = Section(start=1, end=2, source_key="sources/j/source-2.mp4", size=1)
    assert sources_of(fold(history(requested(), ready(sections=(section,))))) == ("sources/j/source.mp4", "sources/j/source-2.mp4")


@pytest.mark.parametrize(
    ("missing", "lost"),
    [
        pytest.param((CLIP,), (CLIPPER,), id="clip"),
        pytest.param((GIF,), (CLIPPER,), id="rendition"),
        pytest.param((SRT,), (ASR, BURNER), id="subtitles-and-so-what-shows-them"),
        pytest.param((BURNED,), (BURNER,), id="burned"),
        pytest.param((CLIP, THUMB, GIF, SRT, BURNED), (CLIPPER, ASR, BURNER), id="all"),
    ],
)
def test_a_job_whose_source_is_there_runs_again_from_the_first_stage_that_lost_files(missing: tuple, lost: tuple) -> None:
    chosen = remedy(done(), missing, has_source=True)
    assert (chosen.outcome, chosen.replayed.stage, chosen.replayed.lost) == ("repaired", lost[0], lost)
    assert awaited_stage(after(done(), *missing, has_source=True)) is lost[0]


def test_subtitles_are_made_again_of_the_clip_though_the_source_is_gone() -> None:
    assert awaited_stage(after(done(), SRT)) is ASR


def test_a_clip_is_fetched_again_where_its_source_was_a_url() -> None:
    job = after(done(source_type="youtube", source_url="https://v.example/1", upload_key=None), CLIP)
    assert (job.status, awaited_stage(job), job.source) == ("processing", RESOLVER, None)


def test_a_clip_whose_upload_is_gone_too_fails_its_job_with_what_to_do() -> None:
    job = after(done(), CLIP, SRT)
    assert (job.status, job.failed_stage, awaited_stage(job)) == ("failed", RESOLVER, None)
    assert isinstance(job.failure, JobFailed)
    assert "Send the file again" in job.failure.hint


def test_a_clip_never_falls_with_the_files_beside_it() -> None:
    for asked in (done(), done(source_type="youtube", source_url="https://v.example/1", upload_key=None)):
        job = after(asked, THUMB)
        assert (job.status, job.clip.thumbnail_key, len(job.clip.renditions)) == ("done", None, 1)
        assert job.warnings == (FILES_LOST,)
        job = after(asked, GIF, SRT)
        assert (job.status, awaited_stage(job), job.clip.renditions) == ("processing", ASR, ())


KEYS = [
    ("results/6f1f6b0e-27a1-4d3e-9d43-0f6f5d1c2b3a/clip.mp4", True),
    ("sources/6f1f6b0e-27a1-4d3e-9d43-0f6f5d1c2b3a/source.mp4", True),
    ("results/6F1F6B0E-27A1-4D3E-9D43-0F6F5D1C2B3A/clip.mp4", False),
    ("results/6f1f6b0e-27a1-4d3e-9d43-0f6f5d1c2b3a", False),
    ("results/6f1f6b0e-27a1-4d3e-9d43-0f6f5d1c2b3a/", False),
    ("results/6f1f6b0e-27a1-4d3e-9d43-0f6f5d1c2b3a/a b.mp4", False),
    ("uploads/6f1f6b0e-27a1-4d3e-9d43-0f6f5d1c2b3a/in.mp4", False),
    ("sources/cache/6f1f6b0e-27a1-4d3e-9d43-0f6f5d1c2b3a", False),
    ("results/../6f1f6b0e-27a1-4d3e-9d43-0f6f5d1c2b3a/clip.mp4", False),
    ("results/readme.txt", False),
]


@pytest.mark.parametrize(("key", "ours"), KEYS)
def test_only_a_key_of_our_making_has_an_owner(key: str, ours: bool) -> None:
    assert (owner_of(key) is not None) is ours


async def each(items):
    for item in items:
        yield item


ids = st.lists(st.uuids(), max_size=30, unique=True).map(sorted)


@given(ids, st.data())
async def test_the_walk_gives_every_job_exactly_its_own_keys(all_ids: list[UUID], data: st.DataObject) -> None:
    """Whatever jobs have no folder, whatever folders have no job, and whatever else lies between."""
    jobs = sorted(data.draw(st.sets(st.sampled_from(all_ids)))) if all_ids else []
    names = st.sets(st.sampled_from(["clip.mp4", "clip.srt", "thumb.jpg"]))
    folders = {one: {f"results/{one}/{name}" for name in data.draw(names)} for one in all_ids}
    listed = sorted({key for keys in folders.values() for key in keys} | {"results/00-not-ours", "results/readme.txt"})
    found = [(job, keys) async for job, keys in beside(each([(one, one) for one in jobs]), by_owner(each(listed)))]
    assert found == [(job, folders[job]) for job in jobs]


@given(st.lists(st.integers()), st.integers(1, 5))
async def test_pages_hold_all_in_order_and_none_is_larger_than_asked(items: list[int], size: int) -> None:
    pages = [page async for page in in_pages(each(items), size)]
    assert [item for page in pages for item in page] == items
    assert all(len(page) == size for page in pages[:-1])
    assert all(0 < len(page) <= size for page in pages)
