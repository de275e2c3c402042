"""Documents and recipes as a newcomer reads them: every command, against one whole stack; what answers is what is shown."""

import json
import re
import runpy
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
import yaml

from clipstream import RateLimited, Upload
from libs.common.runtime.embedded_home import PortClaims
from tests.documents.blocks import ROOT, Block, blocks_of, is_shown, last_answer
from tests.documents.conftest import Reader
from tests.documents.n8n import Run, Stopped
from tests.sites.films import numbers_in, short_film
from tests.sites.site import Site
from tests.whole_stack import Callbacks, System

pytestmark = pytest.mark.timeout(180)
RECIPES = ROOT / "deploy" / "recipes"
PATHS, BULK, RECEIVER = blocks_of("docs/recipes.md", "bash")
[CRONTAB] = blocks_of("docs/recipes.md", "crontab")
FILM = "ffmpeg -v error -y -f lavfi -i testsrc2=size=160x96:rate=25:duration=40 -f lavfi -i sine=duration=40 -shortest -preset ultrafast"


def shown(blocks: list[Block]) -> list[tuple[int, Block]]:
    """The answers in a document, each with the place of what it answers."""
    beside = enumerate(pairwise(blocks))
    return [(place, after) for place, (before, after) in beside if (before.language, after.language) == ("bash", "json")]


async def test_every_call_answers_as_its_section_says(reader: Reader, callbacks: Callbacks) -> None:
    blocks = blocks_of("docs/api-calls.md")
    printed = await reader.pastes(blocks, CALLBACK=callbacks.url)
    wrong = {
        block.heading: (block.text, printed[place])
        for place, block in shown(blocks)
        if not is_shown(json.loads(block.text), last_answer(printed[place]))
    }
    assert not wrong
    assert len(shown(blocks)) > 25
    assert [event["type"] for event in callbacks.heard][:1] == ["job.done"]


async def test_the_quick_start_leads_to_a_clip(reader: Reader) -> None:
    await reader.pastes(blocks_of("docs/quick-start.md"))
    [clip] = (reader.folder / "out" / "clips").glob("*.mp4")
    assert b"ftyp" in clip.read_bytes()[:12]


async def test_the_readme_works_from_its_first_command_to_its_last(reader: Reader) -> None:
    printed = "".join(await reader.pastes(blocks_of("README.md")))
    assert last_answer(printed)["result"]["video"]["key"].endswith("clip.mp4")


async def test_a_transcript_is_put_back_as_the_page_on_subtitles_says(reader: Reader, system: System, small: Path) -> None:
    job_id = await system.submit(small, start=1, end=4, withSubtitles=True)
    await system.until(job_id, status="done")
    [answer] = await reader.pastes(blocks_of("docs/subtitles.md"), JOB=job_id)
    assert json.loads(answer)["job"]["subtitlesEdited"]


async def test_a_job_is_followed_as_the_page_on_events_says(reader: Reader, system: System, small: Path) -> None:
    job_id = await system.submit(small, start=1, end=3)
    followed = blocks_of("docs/events.md", "console")
    [printed] = await reader.pastes(followed, JOB=job_id)
    shown = fields(followed[0].text)
    assert len(shown) == 7
    assert fields(printed)[:7] == shown


def fields(stream: str) -> list[str]:
    """The names of the lines of Server-Sent Events."""
    return re.findall(r"^(retry|id|event|data):", stream, re.MULTILINE)


async def jobs(system: System) -> int:
    async with system.http.get("/metrics") as answer:
        return round(sum(map(float, re.findall(r"^clip_jobs_created_total\{.*\} (\S+)$", await answer.text(), re.MULTILINE))))


async def test_a_list_becomes_a_folder_of_clips_and_what_fails_is_named(reader: Reader) -> None:
    _, printed = await reader.pastes([PATHS, BULK])
    assert "not all of them" in printed
    assert sorted(path.stem for path in (reader.folder / "out" / "clips").iterdir()) == ["ending", "opening"]


async def test_a_list_with_a_file_that_is_not_there_and_a_range_that_is_none_still_gives_its_other_clips(reader: Reader) -> None:
    rows = "source,start,end,name\nno.mp4,1,2,nofile\nfilm.mp4,soon,2,norange\nfilm.mp4,1,2,clip\n"
    (reader.folder / "ranges.csv").write_text(rows)
    printed = await reader.types(f"{FILM} film.mp4; ! python deploy/recipes/bulk_clips.py ranges.csv clips 2>&1")
    assert re.findall(r"^(\w+): ", printed, re.MULTILINE) == ["nofile", "norange"]
    assert [path.name for path in (reader.folder / "clips").iterdir()] == ["clip.mp4"]


class OneAtATime:
    """A service that takes a second job of ours when the first one is over, as one full of long jobs does."""

    def __init__(self) -> None:
        self.under_way: list[str] = []
        self.ended: list[str] = []

    def upload(self, path: str) -> Upload:
        return Upload(key=f"uploads/1/{path}", id="1", size=1)

    def create(self, source: Upload, start: str, end: str) -> SimpleNamespace:
        if self.under_way:
            raise RateLimited("TOO_MANY_ACTIVE_JOBS", "one job is under way", retryable=True)
        self.under_way.append(start)
        return SimpleNamespace(id=start)

    def wait(self, job_id: str) -> None:
        self.under_way.remove(job_id)

    def download(self, job_id: str, folder: str, **_: Any) -> dict[str, Path]:
        self.ended.append(job_id)
        return {"video": Path(folder) / f"{job_id}.mp4"}


def test_a_list_longer_than_the_jobs_that_one_client_may_have_is_cut_to_its_end() -> None:
    service, rows = OneAtATime(), [{"source": "film.mp4", "start": str(at), "end": "9", "name": f"clip{at}"} for at in range(4)]
    clips = runpy.run_path(str(RECIPES / "bulk_clips.py"))["Clips"](service, "out")
    for row in rows:
        clips.order(row)
    clips.fetch_oldest()
    assert (clips.failed, service.ended, len(clips.pending)) == (0, ["0", "1", "2", "3"], 0)


async def test_a_receiver_fetches_the_clip_that_it_is_told_of_and_believes_nobody_else(reader: Reader, callbacks: Callbacks) -> None:
    given = {"PORT": str(callbacks.other_port), "CALLBACK": f"http://127.0.0.1:{callbacks.other_port}/"}
    await reader.types(f"mkdir out; {FILM} out/film.mp4")
    await reader.pastes([RECEIVER], **given)
    [clip] = (reader.folder / "clips").iterdir()
    assert b"ftyp" in clip.read_bytes()[:12]
    _, start, until_it_listens, *_ = RECEIVER.text.splitlines()
    claims = PortClaims()  # the first receiver may still be ending: it would take the call, and reset it
    forged = """curl -s -o out/nothing -w '%{http_code}' http://127.0.0.1:$PORT/ -d '{"type": "job.done", "data": {"id": "x"}}'"""
    other = {"PORT": str(claims.claim_any()), "WEBHOOK_SECRET": "whsec_c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"}
    assert await reader.types(f"{start}\n{until_it_listens}\n{forged}", **other) == "401"
    claims.close()


async def test_a_nightly_clip_that_is_asked_for_again_is_one_job(reader: Reader, system: System) -> None:
    minute_to_weekday, command = re.fullmatch(r"((?:\S+ ){5})(.*)\n", CRONTAB.text).groups()
    assert minute_to_weekday == "15 6 * * * "
    command = command.replace(r"\%", "%")
    await reader.types(f"mkdir -p recordings clips; {FILM} recordings/$(date +%F).mp4")
    before = await jobs(system)
    first = await reader.types(f"{command}; cat clips/*.mp4 | sha256sum")
    assert await jobs(system) == before + 1
    for again in (command, f"rm clips/*; {command}"):
        assert await reader.types(f"{again}; cat clips/*.mp4 | sha256sum") == first
    assert await jobs(system) == before + 1


async def test_a_nightly_clip_that_fails_says_why_and_leaves_nothing(reader: Reader) -> None:
    noise = "mkdir -p clips; head -c 50000 /dev/urandom > noise.mp4"
    printed = await reader.types(f"{noise}; ! deploy/recipes/nightly-clip.sh noise.mp4 0 2 clips/noise.mp4 2>&1")
    assert "no video" in printed
    assert "Check that the source plays" in printed
    assert not list((reader.folder / "clips").iterdir())


async def test_a_nightly_clip_that_is_refused_says_why(reader: Reader) -> None:
    printed = await reader.types(
        f"mkdir -p clips; {FILM} film.mp4; ! deploy/recipes/nightly-clip.sh film.mp4 0:05 0:02 clips/film.mp4 2>&1"
    )
    assert "end must be after start" in printed
    assert "Traceback" not in printed
    assert not list((reader.folder / "clips").iterdir())


async def test_a_workflow_of_github_leaves_the_teaser(reader: Reader) -> None:
    """Its steps in bash, but for what asks the internet: `gh` makes a film, and `pip` looks at what it was to install."""
    workflow = yaml.safe_load((RECIPES / "github-actions.yml").read_text())
    assert workflow[True] == {"release": {"types": ["published"]}}  # YAML 1.1 reads `on` so; GitHub doesn't
    programs = reader.folder / ".venv" / "bin"
    (programs / "gh").write_text(
        f'#!/bin/sh\n[ "$1 $2 $3" = "release download v1.2" ] && shift 7 && [ "$1" = --output ] && exec {FILM} "$2"\n'
    )
    (programs / "pip").write_text(
        '#!/bin/sh\n[ "$1" = install ] && [ -f "$2/pyproject.toml" ] && grep -q \'name = "clipstream-client"\' "$2/pyproject.toml"\n'
    )
    for name in ("gh", "pip"):
        (programs / name).chmod(0o755)
    steps = workflow["jobs"]["teaser"]["steps"]
    for step in steps:
        if "run" in step:
            await reader.types(step["run"], TAG="v1.2", GITHUB_REPOSITORY="you/yours")
    [kept] = [step["with"]["path"] for step in steps if step.get("uses", "").startswith("actions/upload-artifact")]
    assert [path.suffix for path in (reader.folder / kept).iterdir() if path.suffix == ".mp4"] == [".mp4"]


def workflow_of(name: str, **settings: str) -> dict[str, Any]:
    """As imported, with these written into its node Settings."""
    workflow: dict[str, Any] = json.loads((RECIPES / name).read_text())
    [node] = [node for node in workflow["nodes"] if node["name"] == "Settings"]
    for field in node["parameters"]["assignments"]["assignments"]:
        field["value"] = settings.get(field["name"], field["value"])
    return workflow


async def test_n8n_ends_with_the_clip(system: System, site: Site, tmp_path: Path) -> None:
    given = {"clipstream": system.stack.url, "source": site.file(short_film(site.folder)), "start": "0:05", "end": "0:07.5"}
    async with httpx.AsyncClient(timeout=30) as http:
        run = Run(workflow_of("n8n-clip.json", **given), http)
        await run.begin({})
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(run.files["clip"])
    assert numbers_in(clip) == list(range(50, 75))


async def test_n8n_stops_with_the_reason_and_what_to_do(system: System, site: Site) -> None:
    given = {"clipstream": system.stack.url, "source": site.file(short_film(site.folder)), "start": "5:00", "end": "5:02"}
    async with httpx.AsyncClient(timeout=30) as http:
        with pytest.raises(Stopped, match=r"failed.*Choose start and end inside the source's duration"):
            await Run(workflow_of("n8n-clip.json", **given), http).begin({})


async def test_n8n_fetches_the_clip_that_a_webhook_tells_of(system: System, small: Path) -> None:
    job_id = await system.submit(small, start=1, end=3)
    await system.until(job_id, status="done")
    async with httpx.AsyncClient(timeout=30) as http:
        run = Run(workflow_of("n8n-webhook.json", clipstream=system.stack.url), http)
        await run.begin({"body": {"type": "job.done", "data": {"id": job_id}}})
        assert b"ftyp" in run.files["clip"][:12]
        failed = Run(workflow_of("n8n-webhook.json", clipstream=system.stack.url), http)
        await failed.begin({"body": {"type": "job.failed", "data": {"id": job_id}}})
        assert not failed.requests
        forged = Run(workflow_of("n8n-webhook.json", clipstream=system.stack.url), http)
        with pytest.raises(httpx.HTTPStatusError, match="404"):
            await forged.begin({"body": {"type": "job.done", "data": {"id": "../admin/keys?x="}}})
        assert "admin%2Fkeys" in forged.requests[0]
