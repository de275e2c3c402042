"""Jobs by URL through the resolver's handler, on real S3, Postgres and sites: fetched once, kept for others, each job with a copy."""

import asyncio
from pathlib import Path
from uuid import uuid4

import pytest

from libs.common.domain.failures import Code
from tests.resolver.downloading import Downloads
from tests.sites.packagings import packaged


async def test_a_job_by_url_gets_a_section_of_its_own(downloads: Downloads, short: Path):
    job_id = uuid4()
    ready = await downloads.resolve(downloads.site.file(packaged(short, "faststart")), job_id=job_id)
    assert ready.source_key == f"sources/{job_id}/source.mp4"
    assert (ready.container, ready.duration) == ("mov", pytest.approx(20, abs=0.05))
    assert ready.clock_offset is not None
    assert ready.video is not None
    assert ready.video.codec == "h264"
    stored = await downloads.objects.sources.head(ready.source_key)
    assert stored is not None
    assert stored.size == ready.size < packaged(short, "faststart").stat().st_size


async def test_a_whole_file_is_described_as_an_upload_is(downloads: Downloads, short: Path):
    path = packaged(short, "mp3")
    ready = await downloads.resolve(downloads.site.file(path, how="whole"))
    assert (ready.container, ready.clock_offset, ready.size) == ("mp3", None, path.stat().st_size)
    assert ready.duration == pytest.approx(20, abs=0.1)
    assert ready.source_key.endswith(".mp3")


async def test_twenty_jobs_for_one_url_on_two_replicas_cause_one_fetch(downloads: Downloads, short: Path):
    url = downloads.site.file(packaged(short, "hls-ts"))
    async with downloads.replica() as other:
        answers = await asyncio.gather(*(replica.resolve(url) for replica in (downloads, other) for _ in range(10)))
    assert len({ready.source_key for ready in answers}) == 20
    segments = [request.path for request in downloads.site.requests if request.path.endswith(".ts")]
    assert len(segments) <= 5
    assert len({ready.size for ready in answers}) == 1


async def test_a_job_within_what_was_fetched_fetches_nothing(downloads: Downloads, short: Path):
    url = downloads.site.file(packaged(short, "faststart"))
    await downloads.resolve(url)
    asked = len(downloads.site.requests)
    ready = await downloads.resolve(url, 9.0, 12.0)
    assert len(downloads.site.requests) == asked
    assert ready.clock_offset is not None


async def test_another_section_is_fetched_for_itself(downloads: Downloads, short: Path):
    url = downloads.site.file(packaged(short, "faststart"))
    first, second = await downloads.resolve(url, 1.0, 3.0), await downloads.resolve(url, 15.0, 17.0)
    assert first.clock_offset != second.clock_offset
    assert downloads.fetches == 2


async def test_a_whole_file_serves_every_range(downloads: Downloads, short: Path):
    url = downloads.site.file(packaged(short, "faststart"), how="whole")
    await downloads.resolve(url, 1.0, 3.0)
    asked = len(downloads.site.requests)
    await downloads.resolve(url, 15.0, 17.0)
    assert len(downloads.site.requests) == asked


async def test_a_range_outside_a_whole_file_that_another_job_fetched_is_refused(downloads: Downloads, short: Path):
    url = downloads.site.file(packaged(short, "faststart"), how="whole")
    await downloads.resolve(url, 1.0, 3.0)
    assert (await downloads.refusal(url, 30.0, 34.0)).code is Code.RANGE_OUTSIDE_SOURCE
    assert (await downloads.refusal(url, MAX_CLIP_INPUT_DURATION_SEC="10")).code is Code.INPUT_TOO_LARGE


async def test_another_choice_of_formats_is_another_source(downloads: Downloads, short: Path):
    url = downloads.site.file(packaged(short, "faststart"))
    await downloads.resolve(url)
    asked = len(downloads.site.requests)
    await downloads.resolve(url, YTDLP_FORMAT="b")
    assert len(downloads.site.requests) > asked


async def test_a_cached_object_that_was_deleted_is_fetched_again(downloads: Downloads, short: Path):
    url = downloads.site.file(packaged(short, "faststart"))
    await downloads.resolve(url)
    cached = [found.key async for found in downloads.objects.sources.list("sources/cache/")]
    await downloads.objects.sources.delete(cached)
    refused = await downloads.refusal(url)
    assert (refused.code, refused.charged) == (Code.RETRYABLE_ERROR, True)  # a storage that keeps nothing must not be fetched for for ever
    await downloads.resolve(url)


async def test_progress_is_said_while_a_section_is_fetched(downloads: Downloads, short: Path):
    url = downloads.site.file(packaged(short, "faststart"), how="faults/chunked")
    await downloads.resolve(url)
    assert downloads.said == sorted(downloads.said)


async def test_a_scratch_folder_may_be_named_from_where_the_service_stands(
    downloads: Downloads, short: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    downloads.folder = Path()
    assert (await downloads.resolve(downloads.site.file(packaged(short, "faststart")))).clock_offset is not None


async def test_jobs_by_url_are_off_unless_enabled(downloads: Downloads, short: Path):
    refused = await downloads.refusal(downloads.site.file(packaged(short, "faststart")), ENABLE_YTDLP="false")
    assert refused.code is Code.YTDLP_DISABLED
    assert downloads.site.connections == 0


async def test_a_url_is_checked_again(downloads: Downloads):
    for url, code in (
        ("http://10.0.0.1/x", Code.SSRF_BLOCKED),
        ("file:///etc/passwd", Code.VALIDATION_FAILED),
        (None, Code.SOURCE_UNREADABLE),
    ):
        assert (await downloads.refusal(url)).code is code


async def test_only_the_hosts_that_are_listed_are_visited(downloads: Downloads, short: Path):
    refused = await downloads.refusal(downloads.site.file(packaged(short, "faststart")), ALLOWLIST_HOSTS="example.com")
    assert refused.code is Code.SOURCE_FORBIDDEN
    assert downloads.site.connections == 0


async def test_what_the_site_refuses_leaves_nothing_behind(downloads: Downloads):
    before = [found.key async for found in downloads.objects.sources.list("sources/")]
    assert (await downloads.refusal(downloads.site.url("/status/404/x"))).code is Code.NOT_FOUND
    assert [found.key async for found in downloads.objects.sources.list("sources/")] == before
