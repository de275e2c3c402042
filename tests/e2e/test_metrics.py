"""The metrics of every service after real jobs: each documented name is there, no label takes just any value, the counts are right."""

import asyncio
import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from libs.common.domain.events import Priority, StageName, known_types
from libs.common.domain.failures import Code
from tests.monitoring.page import written
from tests.sites.films import short_film
from tests.sites.packagings import packaged
from tests.sites.site import Site
from tests.whole_stack import Callbacks, System, said_by_proc
from tools.metrics_page import SERVICES, Documented
from tools.monitoring.programs import program

pytestmark = pytest.mark.timeout(600)
CLOSED: dict[str, set[str]] = {
    "stage": set(StageName),
    "lane": set(Priority),
    "priority": set(Priority),
    "code": set(Code),
    "type": set(known_types()),
    "dependency": {"postgres", "nats", "s3", "groq", "site", "webhook", "asr"},
    "direction": {"read", "written"},
    "path": {"copy", "smart", "reencode", "fallback"},
    "provider": {"groq", "local"},
    "service": set(SERVICES),
    "source": {"upload", "youtube"},
    "stream": {"CLIPS", "DLQ"},
    "subtitles": {"none", "asked"},
    "verdict": {"Advance", "TryLater", "GiveUp", "Ignore", "Leave", "Defer"},
    "way": {"api", "direct"},
}
WORD = re.compile(r"[A-Za-z0-9_.+-]{0,40}")
ROUTE = re.compile(r"(/[a-z.-]*|/\{[a-z_]+\})+|unmatched")
ANY_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}|[0-9a-f]{16}")
FILE = re.compile(r"\.(mp4|srt|vtt|m3u8|mpd|json|txt|jpg)\b")
Pages = dict[str, str]


@cache
def known() -> dict[str, Documented]:
    return written()


@dataclass
class Run:
    """The pages by service, before some jobs and behind them."""

    system: System
    before: Pages
    after: Pages

    def moved(self, service: str, name: str, **labels: str) -> float:
        return value(self.after[service], name, labels) - value(self.before[service], name, labels)

    async def until(self, holds: Callable[["Run"], bool]) -> None:
        """What is counted after a client has its answer, and what is measured every so often, is waited for."""
        async with asyncio.timeout(90):
            while not holds(self):
                await asyncio.sleep(0.2)
                self.after = await pages(self.system)


def value(page: str, name: str, labels: dict[str, str]) -> float:
    """The sum of the samples of that name that have these labels."""
    samples = (sample for family in text_string_to_metric_families(page) for sample in family.samples)
    return sum(sample.value for sample in samples if sample.name == name and labels.items() <= sample.labels.items())


async def pages(system: System) -> Pages:
    return dict(zip(SERVICES, await asyncio.gather(*(scraped(system, service) for service in SERVICES)), strict=True))


async def scraped(system: System, service: str) -> str:
    if service == "api":
        async with system.http.get("/metrics") as answer:
            assert answer.status == 200
            return await answer.text()
    [port] = [said.partition("=")[2] for said in said_by_proc(system.pid(service), "environ") if said.startswith("HEALTH_PORT=")]
    async with aiohttp.ClientSession() as http, http.get(f"http://127.0.0.1:{port}/metrics") as answer:
        return await answer.text()


async def uploaded_directly(system: System, file: Path) -> None:
    wish = {"filename": file.name, "size": file.stat().st_size, "contentType": "video/mp4"}
    async with system.http.post("/api/uploads", json=wish) as answer:
        ticket: dict[str, Any] = await answer.json()
    async with aiohttp.ClientSession() as http, http.put(ticket["url"], data=file.read_bytes(), headers=ticket["headers"]) as sent:
        assert sent.status == 200, await sent.text()
    async with system.http.post(
        "/api/jobs", json={"sourceType": "upload", "uploadKey": ticket["uploadKey"], "start": 2, "end": 4}
    ) as answer:
        assert answer.status == 202, await answer.text()
        await system.until((await answer.json())["job"]["id"], status="done")


@pytest.fixture(scope="module")
async def run(system: System, site: Site, callbacks: Callbacks, spoken: Path, small: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """One job with subtitles, one that fails, one by URL, one of a direct upload, one with a webhook; a request for what isn't there."""
    broken = tmp_path_factory.mktemp("broken") / "broken.mp4"
    broken.write_bytes(b"no film at all" * 1000)
    before = await pages(system)
    said = await system.submit(spoken, start=0, end=9, withSubtitles=True)
    failed = await system.submit(broken, start=1, end=2)
    visited = await system.submit_url(site.file(packaged(short_film(site.folder), "hls-fmp4")), 3.4, 6.4)
    async with system.http.post("/api/webhooks/secrets") as answer:
        assert answer.status < 300, await answer.text()
    told = await system.submit(small, start=1, end=3, callbackUrl=callbacks.url)
    await uploaded_directly(system, small)
    async with system.http.get("/api/jobs/nothing") as answer:
        assert answer.status == 404
    await system.until(failed, status="failed")
    for job_id in (said, visited, told):
        await system.until(job_id, status="done")
    return Run(system, before, await pages(system))


@pytest.mark.parametrize("service", SERVICES)
async def test_a_service_shows_every_name_that_is_documented_for_it_and_no_other(run: Run, service: str) -> None:
    shown = dict(re.findall(r"^# TYPE (\S+) (\S+)$", run.after[service], re.MULTILINE))
    assert shown == {name: metric.kind for name, metric in known().items() if service in metric.services}


@pytest.mark.parametrize("service", SERVICES)
async def test_every_sample_has_the_labels_that_are_documented(run: Run, service: str) -> None:
    series = {name: set(metric.labels) for metric in known().values() for name in metric.series}
    for family in text_string_to_metric_families(run.after[service]):
        assert [sample for sample in family.samples if set(sample.labels) - {"le"} != series[sample.name]] == []


@pytest.mark.parametrize("service", SERVICES)
async def test_no_label_has_an_open_set_of_values(run: Run, service: str) -> None:
    labelled = [
        one for family in text_string_to_metric_families(run.after[service]) for sample in family.samples for one in sample.labels.items()
    ]
    assert [one for one in labelled if not is_closed(*one)] == []


def is_closed(label: str, told: str) -> bool:
    if label in CLOSED:
        return told in CLOSED[label]
    form = ROUTE if label == "route" else WORD
    return bool(form.fullmatch(told)) and not ANY_ID.search(told) and (label == "route" or not FILE.search(told))


@pytest.mark.parametrize("service", SERVICES)
def test_prometheus_own_rules_for_names_are_kept(run: Run, service: str) -> None:
    judged = subprocess.run(
        [program("promtool"), "check", "metrics"], input=run.after[service], text=True, capture_output=True, timeout=60, check=False
    )
    assert (judged.returncode, judged.stderr) == (0, "")


def test_our_names_have_our_prefix_and_base_units() -> None:
    foreign = {name for name in known() if not name.startswith("clip_")}
    assert all(name.startswith(("process_", "python_")) for name in foreign)
    counters = {name for name, metric in known().items() if metric.kind == "counter"}
    assert {name for name in known() if name.endswith("_total")} == counters
    assert [name for name in known() if re.search(r"_(ms|millis|minutes|hours|kb|mb|percent)(_|$)", name)] == []


async def test_jobs_and_their_stages_are_counted_where_they_end(run: Run) -> None:
    await run.until(lambda now: now.moved("clipper", "clip_jobs_finished_total", outcome="done") >= 3)
    await run.until(lambda now: now.moved("asr", "clip_jobs_finished_total", outcome="done") >= 1)
    assert run.moved("api", "clip_jobs_created_total", source="upload") >= 4
    assert run.moved("api", "clip_jobs_created_total", source="youtube", priority="normal") >= 1
    assert run.moved("resolver", "clip_jobs_finished_total", outcome="failed") >= 1
    assert run.moved("resolver", "clip_job_seconds_count", outcome="failed", subtitles="none") >= 1
    assert run.moved("resolver", "clip_dead_letters_total", code="SOURCE_UNREADABLE") >= 1
    assert run.moved("asr", "clip_job_seconds_count", outcome="done", subtitles="asked") >= 1
    assert 0 < run.moved("clipper", "clip_job_seconds_sum", outcome="done", subtitles="none") < 120
    for service, stage in (("resolver", "resolver"), ("clipper", "clipper"), ("asr", "asr")):
        assert run.moved(service, "clip_stage_seconds_count", stage=stage, verdict="Advance") >= 1
        assert run.moved(service, "clip_stage_wait_seconds_count", stage=stage) >= 1
        assert value(run.after[service], "clip_build_info", {"service": service}) == 1


async def test_what_was_cut_read_written_and_fetched_is_counted_also_where_children_did_it(run: Run) -> None:
    await run.until(lambda now: now.moved("clipper", "clip_source_read_bytes_total") > 10_000)
    assert run.moved("clipper", "clip_cuts_total") >= 4
    assert run.moved("clipper", "clip_storage_bytes_total", direction="written") > 10_000
    assert run.moved("clipper", "clip_children_cpu_seconds_total") > 0.05
    assert run.moved("resolver", "clip_source_visits_total", outcome="ok") >= 1
    assert run.moved("resolver", "clip_source_fetched_bytes_total") > 10_000
    assert run.moved("asr", "clip_asr_audio_seconds_total") + run.moved("asr", "clip_asr_reused_total") > 0


async def test_uploads_have_a_way_a_size_and_a_time(run: Run, small: Path) -> None:
    assert run.moved("api", "clip_upload_bytes_total", way="direct") >= small.stat().st_size
    assert run.moved("api", "clip_upload_seconds_count", way="direct") >= 1
    assert run.moved("api", "clip_upload_bytes_total", way="api") >= small.stat().st_size + 14_000
    assert run.moved("api", "clip_upload_seconds_count", way="api") >= 3


async def test_every_dependency_has_its_calls(run: Run) -> None:
    await run.until(lambda now: now.moved("api", "clip_dependency_seconds_count", dependency="webhook") >= 1)
    for service in SERVICES:
        for dependency in ("postgres", "nats", "s3"):
            called = {"name": "clip_dependency_seconds_count", "dependency": dependency}
            await run.until(lambda now, of=service, called=called: now.moved(of, **called) > 0)
            assert value(run.after[service], "clip_dependency_up", {"dependency": dependency}) == 1
    assert run.moved("resolver", "clip_dependency_seconds_count", dependency="site", operation="fetch") >= 1


async def test_a_refusal_is_counted_by_its_code(run: Run) -> None:
    assert run.moved("api", "clip_http_problems_total", code="NOT_FOUND") >= 1
    assert run.moved("api", "clip_http_requests_total", route="/api/jobs/{job_id}", status="404") >= 1


async def test_the_janitor_tells_of_the_whole_system(run: Run) -> None:
    await run.until(lambda now: value(now.after["janitor"], "clip_dead_letters_waiting", {}) >= 1)
    for stream in ("CLIPS", "DLQ"):
        assert value(run.after["janitor"], "clip_canary_up", {"stream": stream}) == 1
        assert value(run.after["janitor"], "clip_canary_seconds_count", {"stream": stream}) >= 1
    assert run.after["janitor"].count("\nclip_queue_pending{") == 12
    assert value(run.after["janitor"], "clip_jobs_open", {}) >= 0
