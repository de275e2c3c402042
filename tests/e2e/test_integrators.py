"""What integrators ask for beyond one clip: segments, renditions, a job followed live, a failed one run again. Through the whole stack."""

import json
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.e2e.test_main_job import ffmpeg, frame_count, seconds
from tests.e2e.test_urls import bytes_of
from tests.sites.films import FRAME_RATE, hour_film, numbers_in, short_film
from tests.sites.packagings import packaged
from tests.sites.site import Site
from tests.whole_stack import System

pytestmark = pytest.mark.timeout(600)
FAR = ((1800.4, 1802.4), (60.0, 61.0), (3500.3, 3501.3))


def numbers(*ranges: tuple[float, float]) -> list[int]:
    return [number for start, end in ranges for number in range(round(start * FRAME_RATE), round(end * FRAME_RATE))]


def segments(*ranges: tuple[float, float]) -> list[dict[str, float]]:
    return [{"start": start, "end": end} for start, end in ranges]


async def posted(system: System, path: str, body: object) -> dict[str, Any]:
    async with system.http.post(path, json=body) as answer:
        found: dict[str, Any] = await answer.json()
        assert answer.status in {200, 202}, found
        return found


async def clip_of(system: System, job_id: str, to: Path) -> Path:
    return await system.download((await system.result(job_id))["result"]["video"]["url"], to)


async def test_far_segments_are_joined_to_the_frame_without_fetching_the_hour(system: System, site: Site, tmp_path: Path) -> None:
    entry = packaged(hour_film(site.folder), "faststart")
    site.forget()
    body = {"sourceType": "youtube", "youtubeUrl": site.file(entry), "segments": segments(*FAR), "joined": True}
    job_id = (await posted(system, "/api/jobs", body))["job"]["id"]
    job = await system.until(job_id, status="done")
    assert site.sent < bytes_of(entry) / 5
    assert numbers_in(await clip_of(system, job_id, tmp_path / "clip.mp4")) == numbers(*FAR)
    assert [(one["start"], one["end"]) for one in job["segments"]] == list(FAR)


async def test_near_segments_are_a_clip_each_for_one_visit_of_the_site(system: System, site: Site, tmp_path: Path) -> None:
    ranges = ((2.4, 3.4), (8.0, 9.0), (5.0, 6.5))
    entry = packaged(short_film(site.folder), "hls-fmp4")
    site.forget()
    await system.until(await system.submit_url(site.file(entry, number=70), 2.4, 9.0), status="done")
    alone = asked_of(site)
    site.forget()
    group = await posted(
        system, "/api/jobs", {"sourceType": "youtube", "youtubeUrl": site.file(entry, number=71), "segments": segments(*ranges)}
    )
    for number, (job, wanted) in enumerate(zip(group["jobs"], ranges, strict=True)):
        await system.until(job["id"], status="done")
        assert numbers_in(await clip_of(system, job["id"], tmp_path / f"{number}.mp4")) == numbers(wanted)
    together = asked_of(site)
    assert any(".m3u8" in what for what in together)
    ahead = {what for what in {*together, *alone} if "index2.m4s" in what}  # the piece behind the range: asked for ahead, if there is time
    assert together.keys() ^ alone.keys() <= ahead
    assert {what: together[what] for what in together if ".m3u8" in what} == {what: alone[what] for what in alone if ".m3u8" in what}


def asked_of(site: Site) -> Counter[str]:
    """How often each thing was asked for. A playlist begins a visit; a piece may be asked for again where a connection broke."""
    return Counter(f"{one.path} {one.headers.get('Range', '')}" for one in site.requests)


async def test_a_job_of_a_ticket_is_followed_live_to_all_its_renditions(system: System, small: Path, tmp_path: Path) -> None:
    ticket = await posted(system, "/api/uploads", {"size": small.stat().st_size, "filename": "small.mp4", "contentType": "video/mp4"})
    async with aiohttp.ClientSession() as storage, storage.put(ticket["url"], data=small.read_bytes(), headers=ticket["headers"]) as stored:
        assert stored.status == 200
    presets = ["720p", "vertical", "audio", "gif"]
    body = {"sourceType": "upload", "uploadKey": ticket["uploadKey"], "start": 2, "end": 5, "presets": presets, "verticalFit": "blur"}
    job_id = (await posted(system, "/api/jobs", body))["job"]["id"]
    events = await followed(system, job_id)
    assert events[0]["type"] == "clips.requested"
    assert events[-1]["type"] == "clip.uploaded"
    assert (events[-1]["job"]["status"], events[-1]["job"]["progress"]) == ("done", 100)
    progress = [event["job"]["progress"] for event in events]
    assert progress == sorted(progress)
    assert "warnings" not in await system.job(job_id)
    result = (await system.result(job_id))["result"]
    assert set(result["renditions"]) == set(presets)
    files = {name: await system.download(part["url"], tmp_path / Path(part["key"]).name) for name, part in result["renditions"].items()}
    assert frame_count(files["720p"]) == frame_count(files["vertical"]) == 75
    assert shape(files["vertical"]) == pytest.approx(9 / 16, rel=0.03)
    assert abs(seconds(files["audio"], "a:0") - 3.0) < 0.1
    assert files["gif"].read_bytes()[:6] == b"GIF89a"
    thumb = await system.download(result["thumbnail"]["url"], tmp_path / "thumb.jpg")
    assert len(ffmpeg("-i", str(thumb), "-f", "rawvideo", "-pix_fmt", "gray", "-")) == 160 * 96


def shape(path: Path) -> float:
    entries = ["-select_streams", "v:0", "-show_entries", "stream=width,height", "-of", "csv=p=0"]
    width, height = subprocess.run(["ffprobe", "-v", "error", *entries, str(path)], check=True, capture_output=True).stdout.split(b",")
    return int(width) / int(height)


async def followed(system: System, job_id: str) -> list[dict[str, Any]]:
    """What the stream tells until it ends by itself."""
    async with system.http.get(f"/api/jobs/{job_id}/events", timeout=aiohttp.ClientTimeout(total=120)) as stream:
        assert stream.content_type == "text/event-stream"
        return [json.loads(line[6:]) async for line in stream.content if line.startswith(b"data: ")]


async def test_a_failed_job_is_run_again_by_its_client(system: System, tmp_path: Path) -> None:
    text = tmp_path / "letter.mp4"
    text.write_bytes(b"Dear sir or madam, " * 100)
    job_id = await system.submit(text, start=0, end=2)
    await system.until(job_id, status="failed")
    assert (await posted(system, f"/api/jobs/{job_id}/retry", None))["job"]["status"] == "processing"
    job = await system.until(job_id, status="failed")
    assert [event["type"] for event in job["events"]].count("job.replayed") == 1
    async with system.http.delete(f"/api/jobs/{job_id}/result") as deleted:
        assert deleted.status == 202
    async with system.http.get(f"/api/jobs/{job_id}") as gone:
        assert gone.status == 410
