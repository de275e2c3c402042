"""Jobs of a group, that share what is fetched, and joined clips, whose parts lie far apart; on real S3, Postgres and sites."""

import asyncio
from pathlib import Path
from uuid import uuid4

import pytest

from libs.common.domain.events import SourceReady
from libs.common.domain.failures import Code, Failure
from libs.common.domain.fetching import parts_to_fetch
from libs.common.domain.values import Section, Segment
from tests.resolver.downloading import Downloads
from tests.sites.films import FRAME_RATE
from tests.sites.packagings import packaged

RANGES = [(10.0, 12.0), (14.5, 17.0), (20.0, 26.0), (24.0, 30.0), (38.0, 40.0)]
FETCH = Segment(start=10, end=40)
EARLY, NEAR, LATE = Segment(start=5, end=8), Segment(start=20, end=24), Segment(start=150.5, end=155)


def pictures(start: float, end: float) -> set[int]:
    return set(range(round(start * FRAME_RATE), round(end * FRAME_RATE)))


def of_group(start: float, end: float, fetch: Segment = FETCH) -> dict[str, object]:
    return {"start": start, "end": end, "fetch": fetch}


def asked_of(downloads: Downloads) -> list[tuple[str, str | None]]:
    """What the site was asked since it was asked last."""
    asked = [(request.path, request.range) for request in downloads.site.requests]
    downloads.site.forget()
    return asked


async def why(resolving: asyncio.Task[SourceReady]) -> Failure:
    with pytest.raises(Failure) as raised:
        await resolving
    return raised.value


@pytest.mark.parametrize("kind", ["faststart", "hls-ts"])
async def test_a_group_of_five_jobs_with_one_fetch_costs_one_visit(downloads: Downloads, long: Path, kind: str):
    url = downloads.site.file(packaged(long, kind))
    async with downloads.replica() as other:
        replicas = (downloads, other, downloads, other, downloads)
        answers = await asyncio.gather(
            *(replica.answer(url, of_group(*wanted)) for replica, wanted in zip(replicas, RANGES, strict=True)),
        )
    asked = asked_of(downloads)
    await downloads.resolve(url, FETCH.start, FETCH.end, YTDLP_FORMAT="b")
    assert asked == asked_of(downloads)
    for ready, (start, end) in zip(answers, RANGES, strict=True):
        assert ready.sections == ()
        assert pictures(start, end) <= set(await downloads.numbers(ready.source_key))


async def test_a_later_job_of_the_group_asks_the_site_for_nothing(downloads: Downloads, long: Path):
    url = downloads.site.file(packaged(long, "faststart"))
    await downloads.answer(url, of_group(10, 12))
    downloads.site.forget()
    ready = await downloads.answer(url, of_group(38, 40))
    assert downloads.site.requests == []
    assert pictures(38, 40) <= set(await downloads.numbers(ready.source_key))


@pytest.mark.parametrize("how", ["files", "whole"])
async def test_a_fetch_past_the_sources_end_fails_only_the_jobs_that_are_outside(downloads: Downloads, short: Path, how: str):
    url = downloads.site.file(packaged(short, "faststart"), how=how)
    fetch = Segment(start=15, end=70)
    outside, inside, at_the_end = (
        asyncio.create_task(downloads.answer(url, of_group(start, end, fetch))) for start, end in [(60, 70), (15, 17), (18, 20)]
    )
    assert (await why(outside)).code is Code.RANGE_OUTSIDE_SOURCE
    for resolving in (inside, at_the_end):
        assert pictures(18, 20) <= set(await downloads.numbers((await resolving).source_key))
    assert downloads.fetches == (1 if how == "files" else 2)


async def test_a_fetch_that_begins_past_the_end_is_refused_before_anything_is_fetched(downloads: Downloads, short: Path):
    url = downloads.site.file(packaged(short, "hls-ts"))
    fetch = Segment(start=30, end=70)
    assert (await why(asyncio.create_task(downloads.answer(url, of_group(30, 34, fetch))))).code is Code.RANGE_OUTSIDE_SOURCE
    assert downloads.site.asked(".ts") == []


async def test_a_job_whose_own_range_is_outside_says_nothing_of_the_group_that_waits_for_it(downloads: Downloads, short: Path):
    url = downloads.site.file(packaged(short, "faststart"))
    alone = asyncio.create_task(downloads.resolve(url, 15, 70))
    async with asyncio.timeout(90):
        while not downloads.site.requests:
            await asyncio.sleep(0.005)
    ready = await downloads.answer(url, of_group(15, 17, Segment(start=15, end=70)))
    assert (await why(alone)).code is Code.RANGE_OUTSIDE_SOURCE
    assert pictures(15, 17) <= set(await downloads.numbers(ready.source_key))


async def test_of_a_joined_clip_the_parts_that_lie_apart_are_fetched_apart(downloads: Downloads, long: Path):
    job_id, path = uuid4(), packaged(long, "faststart")
    ready = await downloads.join(downloads.site.file(path), LATE, EARLY, NEAR, job_id=job_id)
    assert sum(part.size for part in ready.sections) < path.stat().st_size / 4
    first, second = ready.sections
    assert [(part.start, part.end) for part in ready.sections] == [(5, 24), (150.5, 155)]
    assert (first.source_key, second.source_key) == (f"sources/{job_id}/source.mp4", f"sources/{job_id}/source-2.mp4")
    assert first == Section(start=5, end=24, source_key=ready.source_key, size=ready.size, clock_offset=ready.clock_offset)
    assert downloads.fetches == 2
    for part in ready.sections:
        stored = await downloads.objects.sources.head(part.source_key)
        assert stored is not None
        assert stored.size == part.size
        assert pictures(part.start, part.end) <= set(await downloads.numbers(part.source_key))
    assert second.clock_offset is not None
    assert 140 < second.clock_offset < 150.5
    assert ready.duration == pytest.approx(200, abs=0.05)
    assert downloads.said == sorted(downloads.said)


async def test_segments_that_lie_close_together_are_one_part(downloads: Downloads, long: Path):
    ready = await downloads.join(downloads.site.file(packaged(long, "faststart")), NEAR, EARLY)
    assert ready.sections == ()
    assert downloads.fetches == 1
    assert pictures(5, 24) <= set(await downloads.numbers(ready.source_key))


@pytest.mark.parametrize("kind", ["faststart", "mp3"])
async def test_a_whole_file_is_fetched_once_for_all_parts(downloads: Downloads, long: Path, kind: str):
    path = packaged(long, kind)
    url = downloads.site.file(path, how="whole")
    ready = await downloads.join(url, LATE, EARLY, SOURCE_CACHE_TTL_SEC="0.001")
    assert (ready.sections, ready.clock_offset, ready.size) == ((), None, path.stat().st_size)
    assert [request.sent for request in downloads.site.requests].count(path.stat().st_size) == 1
    assert downloads.fetches == 2  # yt-dlp's own look is the other


async def test_parts_that_one_fetched_section_holds_are_one_file(downloads: Downloads, long: Path):
    url, job_id = downloads.site.file(packaged(long, "faststart")), uuid4()
    await downloads.resolve(url, 1, 160)
    downloads.site.forget()
    ready = await downloads.join(url, LATE, EARLY, job_id=job_id)
    assert (ready.sections, downloads.site.requests) == ((), [])
    assert [found.key async for found in downloads.objects.sources.list(f"sources/{job_id}/")] == [ready.source_key]


async def test_a_joined_clip_resolved_twice_gives_the_same_answer_and_fetches_nothing(downloads: Downloads, long: Path):
    url, job_id = downloads.site.file(packaged(long, "hls-fmp4")), uuid4()
    first = await downloads.join(url, LATE, EARLY, job_id=job_id)
    downloads.site.forget()
    assert await downloads.join(url, LATE, EARLY, job_id=job_id) == first
    assert downloads.site.requests == []


async def test_a_segment_outside_is_refused_before_the_other_parts_are_fetched(downloads: Downloads, long: Path):
    url = downloads.site.file(packaged(long, "faststart"))
    failure = await why(asyncio.create_task(downloads.join(url, EARLY, LATE, Segment(start=300, end=305))))
    assert (failure.code, "300.000 to 305.000" in failure.message) == (Code.RANGE_OUTSIDE_SOURCE, True)
    assert downloads.fetches == 1


async def test_parts_that_are_too_large_together_are_refused(downloads: Downloads, long: Path):
    url = downloads.site.file(packaged(long, "faststart"))
    parts = (Segment(start=5, end=30), Segment(start=150, end=175))
    assert len(parts_to_fetch(parts)) == 2
    assert (await why(asyncio.create_task(downloads.join(url, *parts, MAX_INPUT_MB="1")))).code is Code.INPUT_TOO_LARGE
    assert (await downloads.resolve(url, 5, 30, MAX_INPUT_MB="1")).size < 1 << 20
