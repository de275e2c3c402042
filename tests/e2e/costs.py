"""What a job costs in round trips and programs, counted exactly: times are noisy, these numbers are not. A new round trip fails here.

Counted are the calls in the job's trace, from the request to the last ack, by every service. Left out, since they go by the clock and
not by the job: pings, pulls (an idle lane asks every 3 s, a free place at once), heartbeats, progress (at most one a second), the look
every 2 s whether the job is still wanted, the read model's pages (every 0.5 s, of all jobs together), and what clients ask meanwhile.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.collector import Span
from tests.sites.films import short_film
from tests.sites.packagings import packaged
from tests.sites.site import Site
from tests.whole_stack import System

LIMITED = {"MAX_ACTIVE_JOBS_PER_CLIENT": "100", "RATE_LIMIT_MAX": "1000"}
"""As by default: what limits cost belongs to a job."""

ENTRY = {"active": 1, "count_request": 1, "open": 1, "send clips.requested": 1}
RESOLVING = {"process clips.requested": 1, "begin": 1, "description": 1, "append": 1, "send source.ready": 1, "ack": 1}
CLIPPING = {"process source.ready": 1, "begin": 1, "inspection": 1, "S3.PutObject": 2, "append": 1, "ack": 1}
TRANSCRIBING = {"process clip.uploaded": 1, "begin": 1, "S3.GetObject": 1, "ffprobe": 1, "ffmpeg": 1, "claim": 1, "transcribe": 1}
KEEPING = {"finish": 1, "S3.PutObject": 4, "append": 1, "ack": 1}
COSTS: dict[str, dict[str, dict[str, int]]] = {
    "clip": {
        "api": {**ENTRY, "S3.PutObject": 1},
        "resolver": {**RESOLVING, "S3.HeadObject": 1, "S3.GetObject": 4},
        "clipper": {**CLIPPING, "S3.GetObject": 3},
    },
    "subtitles": {
        "api": {**ENTRY, "S3.PutObject": 1},
        "resolver": {**RESOLVING, "S3.HeadObject": 1, "S3.GetObject": 4},
        "clipper": {**CLIPPING, "S3.GetObject": 3, "send clip.uploaded": 1},
        "asr": {**TRANSCRIBING, **KEEPING},
    },
    "url": {
        "api": ENTRY,
        "resolver": {**RESOLVING, "claim": 1, "site fetch": 1, "S3.PutObject": 1, "finish": 1, "S3.CopyObject": 1},
        "clipper": {**CLIPPING, "S3.GetObject": 3},
    },
}
"""By kind of job and by service: what is called, and how often. SQL by its statement's name or its transaction's, S3 by its operation,
NATS as `send` (published), `process` (delivered) and `ack`; programs by their name, of which a warm one forks for each."""


async def costing(system: System, site: Site, small: Path, spoken: Path) -> dict[str, str]:
    """A job of each kind, after another one of it: what is done once in a process is no job's. Their ids by `name_of`."""
    jobs = {}
    for turn in range(2):
        jobs[name_of("clip", turn)] = await done(system, await system.submit(small, start=2, end=5 + turn))
        job_id = await system.submit(spoken, start=1, end=8 + turn, withSubtitles=True, subtitleLang="en")
        jobs[name_of("subtitles", turn)] = await done(system, job_id)
        url = site.file(packaged(short_film(site.folder), ("hls-ts", "faststart")[turn]))
        jobs[name_of("url", turn)] = await done(system, await system.submit_url(url, 8.4, 12.4))
    return jobs


def name_of(kind: str, turn: int = 1) -> str:
    return f"cost of {kind}" if turn else f"first {kind}"


def counted(spans: Sequence[Span]) -> dict[str, dict[str, int]]:
    """Of one trace, without its request."""
    [root] = [span for span in spans if span.kind == "server"]
    found = Counter((span.service, span.name) for span in spans if span is not root)
    services = sorted({service for service, _ in found})
    return {service: {name: count for (of, name), count in sorted(found.items()) if of == service} for service in services}


async def done(system: System, job_id: str) -> str:
    job = await system.until(job_id, status="done")
    assert (job["cutPath"], job.get("warnings", [])) == ("copy", [])
    return job_id


def differences(found: Mapping[str, Mapping[str, int]], expected: Mapping[str, Mapping[str, int]]) -> list[str]:
    now, before = flat(found), flat(expected)
    names = sorted(now.keys() | before.keys())
    return [f"{name}: {now[name]}, it was {before[name]}" for name in names if now[name] != before[name]]


def flat(costs: Mapping[str, Mapping[str, int]]) -> Counter[str]:
    return Counter({f"{service}: {name}": count for service, calls in costs.items() for name, count in calls.items()})
