"""The main job as a person sees it: upload the sample, cut a sentence out of it, with subtitles, also burned in; save its files.

Run by `make demo` inside a running stack (CLIPSTREAM_URL says where). Exits 1, saying why, when the job does not end well.
"""

import asyncio
import os
import sys
import time
from pathlib import Path
from typing import Any

import aiohttp

from tools.sample import SENTENCE_END, SENTENCE_START, make_sample

OUT = Path("out")
FILES = {
    "video": "clip.mp4",
    "burnedVideo": "clip.subbed.mp4",
    "srt": "clip.srt",
    "vtt": "clip.vtt",
    "text": "clip.txt",
    "json": "clip.json",
    "thumbnail": "thumb.jpg",
}
POLL_SECONDS = 0.2
PATIENCE_SECONDS = 300
WIDTH = 30


class DemoFailed(RuntimeError):
    """Why there is no clip, in words."""


async def demo() -> None:
    home = Path(os.environ.get("CLIPSTREAM_HOME") or ".clipstream")
    say("making the sample (60 s, 720p, time code, speech) …")
    sample = await make_sample(home / "samples" / "two_cities.mp4")
    async with aiohttp.ClientSession(os.environ["CLIPSTREAM_URL"]) as session:
        job_id = await submit(session, sample)
        await follow(session, job_id)
        await save(session, job_id)


async def submit(session: aiohttp.ClientSession, sample: Path) -> str:
    say(f"uploading {sample.name} and asking for {SENTENCE_START} s to {SENTENCE_END} s, with subtitles, burned in …")
    form = aiohttp.FormData({"start": str(SENTENCE_START), "end": str(SENTENCE_END), "withSubtitles": "true", "burnSubtitles": "true"})
    with sample.open("rb") as file:
        form.add_field("file", file, filename=sample.name, content_type="video/mp4")
        answer = await answered(session.post("/api/jobs/upload", data=form))
    job_id: str = answer["job"]["id"]
    say(f"job {job_id}")
    return job_id


async def follow(session: aiohttp.ClientSession, job_id: str) -> None:
    """Show the job's progress until it is over."""
    began, shown = time.monotonic(), ""
    while time.monotonic() - began < PATIENCE_SECONDS:
        job = (await answered(session.get(f"/api/jobs/{job_id}")))["job"]
        shown = show(bar(job["progress"], job["stage"] if job["status"] != "done" else "done"), shown)
        if job["status"] in {"done", "failed", "cancelled"}:
            return end(job, time.monotonic() - began)
        await asyncio.sleep(POLL_SECONDS)
    raise DemoFailed(f"the job took more than {PATIENCE_SECONDS} s")


def bar(progress: float, stage: str) -> str:
    filled = round(WIDTH * progress / 100)
    return f"[{'█' * filled}{'░' * (WIDTH - filled)}] {progress:3.0f} %  {stage}"


def show(line: str, shown: str) -> str:
    """In a terminal the line moves in place; elsewhere each change is a line."""
    if sys.stdout.isatty():
        print(f"\r\x1b[K{line}", end="", flush=True)
    elif line != shown:
        print(line, flush=True)
    return line


def end(job: dict[str, Any], seconds: float) -> None:
    if sys.stdout.isatty():
        print()
    if job["status"] != "done":
        raise DemoFailed(f"the job is {job['status']}: {job.get('error')}")
    for warning in job.get("warnings", ()):
        raise DemoFailed(f"the job is done, but: {warning['message']}")
    say(f"done in {seconds:.1f} s, cut by {job['cutPath']} from {job['actualStart']} s to {job['actualEnd']} s")


async def save(session: aiohttp.ClientSession, job_id: str) -> None:
    result = (await answered(session.get(f"/api/jobs/{job_id}/result")))["result"]
    OUT.mkdir(exist_ok=True)
    for name, file in FILES.items():
        async with aiohttp.ClientSession() as storage, storage.get(result[name]["url"]) as response:
            response.raise_for_status()
            (OUT / file).write_bytes(await response.read())
        say(f"  {OUT / file}  {(OUT / file).stat().st_size:,} bytes")
    print(f"\n{(OUT / FILES['srt']).read_text()}")


async def answered(request: Any) -> dict[str, Any]:
    """The JSON of an answer. Raises DemoFailed with the API's own message."""
    async with request as response:
        body: dict[str, Any] = await response.json()
        if response.status >= 400:  # noqa: PLR2004  where HTTP's errors begin
            raise DemoFailed(f"{response.status}: {body['error']['message']}")
        return body


def say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    try:
        asyncio.run(demo())
    except DemoFailed as failed:
        sys.exit(f"demo: {failed}")
