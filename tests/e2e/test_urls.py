"""Whole jobs by URL: two hours are not read for ten seconds, and the clip is cut in the source's own time."""

import asyncio
from pathlib import Path

import pytest

from tests.sites.films import FRAME_RATE, hour_film, numbers_in, short_film
from tests.sites.packagings import packaged
from tests.sites.site import Site
from tests.thorough import some
from tests.whole_stack import System

pytestmark = pytest.mark.timeout(600)
START, END = 1800.4, 1810.4


def bytes_of(entry: Path) -> int:
    """Of the film in this packaging: a file, or all the pieces of a playlist."""
    return sum(part.stat().st_size for part in ([entry] if entry.suffix == ".mp4" else entry.parent.iterdir()))


@pytest.mark.parametrize("kind", some(["faststart", "moov-at-end", "hls-ts", "hls-fmp4", "dash"], 2))
async def test_ten_seconds_of_an_hour_cost_less_than_a_twentieth_of_its_bytes(system: System, site: Site, tmp_path: Path, kind: str):
    entry = packaged(hour_film(site.folder), kind)
    site.forget()
    job_id = await system.submit_url(site.file(entry), START, END)
    job = await system.until(job_id, status="done")
    assert site.sent < bytes_of(entry) / 20
    assert abs(job["actualStart"] - START) < 0.05
    clip = await system.download((await system.result(job_id))["result"]["video"]["url"], tmp_path / "clip.mp4")
    assert numbers_in(clip) == list(range(round(START * FRAME_RATE), round(END * FRAME_RATE)))


async def test_twenty_jobs_for_one_url_fetch_once(system: System, site: Site):
    entry = packaged(short_film(site.folder), "hls-fmp4")
    site.forget()
    jobs = await asyncio.gather(*(system.submit_url(site.file(entry), 8.4, 12.4) for _ in range(20)))
    for job_id in jobs:
        await system.until(job_id, status="done")
    segments = [request.path for request in site.requests if request.path.endswith(".m4s")]
    assert 0 < len(segments) == len(set(segments))


@pytest.mark.parametrize(("status", "code"), [(404, "NOT_FOUND"), (403, "SOURCE_FORBIDDEN")])
async def test_what_a_site_refuses_fails_the_job_with_what_to_do(system: System, site: Site, status: int, code: str):
    job_id = await system.submit_url(site.url(f"/status/{status}/film"), 1, 3)
    job = await system.until(job_id, status="failed")
    assert (job["error"]["code"], bool(job["error"]["hint"])) == (code, True)
    answer = await system.result(job_id)
    assert answer["error"]["code"] == code
    assert (answer["error"]["details"]["retryable"], answer["error"]["details"]["hint"]) == (False, job["error"]["hint"])


async def test_a_probe_tells_of_a_url_without_making_a_job(system: System, site: Site):
    url = site.file(packaged(short_film(site.folder), "hls-variants"))
    async with system.http.post("/api/probe", json={"sourceType": "youtube", "youtubeUrl": url, "start": 8.4, "end": 12.4}) as answer:
        assert answer.status == 200
        probe = (await answer.json())["probe"]
    assert (probe["accepted"], probe["section"], probe["duration"]) == (True, True, pytest.approx(20, abs=0.1))
    assert len(probe["formats"]) == 2
    assert probe["keyframes"][0] <= 8.4 < probe["keyframes"][-1]


@pytest.mark.thorough
async def test_a_resolver_that_is_killed_while_it_fetches_loses_nothing(system: System, site: Site, tmp_path: Path):
    entry = packaged(short_film(site.folder), "hls-ts-ranges")
    site.forget()
    job_id = await system.submit_url(site.file(entry, number=90), 6.0, 16.0)
    async with asyncio.timeout(60):
        while not site.requests:
            await asyncio.sleep(0.01)
    system.kill("resolver")
    await system.until(job_id, status="done")
    clip = await system.download((await system.result(job_id))["result"]["video"]["url"], tmp_path / "clip.mp4")
    assert numbers_in(clip) == list(range(60, 160))


async def test_the_url_is_told_to_nobody(system: System, site: Site):
    url = site.file(packaged(short_film(site.folder), "faststart"), token="planted-secret")
    job_id = await system.submit_url(url, 2, 4)
    job = await system.until(job_id, status="done")
    assert "planted-secret" not in str(job)
    assert "planted-secret" not in system.log.read_text()
