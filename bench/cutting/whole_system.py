"""Row 6: keyframe cuts through the whole system, as `make start` runs it: jobs a minute, latency, failures, and what each process costs."""

import asyncio
import os
import tempfile
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg

from bench.cutting.cuts import Cut, at_keyframes
from bench.cutting.judge import faults
from bench.cutting.session import Session, main
from bench.figures import Figure, Verdict, percentile
from bench.processes import children, command_of, tree_cpu
from bench.sources import CACHE, GOPS, Source
from tools.local_stack import Plan, running_stack, until_ready

SOURCES = (Source(720, GOPS[0], 60), Source(180, GOPS[0], 60))
"""One minute each: resolving pins a job's source by a copy inside S3, so longer ones would measure the local S3's disk."""
IN_FLIGHT = (1, 100)
ALONE_SHARE = 5
"""One at a time, a fifth of the jobs tells as much."""
LEAST = 1000
"""Jobs a minute with a hundred in flight."""
WATCH_SECONDS = 0.02
PATIENCE = 600.0
LOOKED_AT = 5
PROCESSES = (
    "services.api",
    "services.resolver",
    "services.clipper",
    "services.asr",
    "services.janitor",
    "postgres",
    "nats-server",
    "rclone",
)
ENDS = "SELECT position, job_id::text AS job, type FROM job_events WHERE position > $1 AND type = ANY($2) ORDER BY position"
SECONDS = """SELECT extract(epoch FROM e.at - b.at)::float8 AS seconds FROM job_events b JOIN job_events e USING (job_id)
WHERE b.type = 'clips.requested' AND e.type = 'clip.uploaded' AND job_id = ANY($1::uuid[])"""


@dataclass(slots=True)
class System:
    """The running stack from outside, and a reader of its event table, which tells of ends sooner and cheaper than asking for each job."""

    http: aiohttp.ClientSession
    storage: aiohttp.ClientSession
    database: "asyncpg.Connection[asyncpg.Record]"
    ended: dict[str, str] = field(default_factory=dict)
    waiting: dict[str, asyncio.Event] = field(default_factory=dict)

    async def upload(self, file: Path) -> str:
        async with self.http.post("/api/uploads", json={"filename": file.name, "size": file.stat().st_size}) as answer:
            ticket = await answer.json()
        with file.open("rb") as body:
            put = await self.storage.request(ticket["method"], ticket["url"], data=body, headers=ticket["headers"])
        put.raise_for_status()
        return str(ticket["uploadKey"])

    async def run(self, upload_key: str, cut: Cut) -> str:
        """One job to its end; its id."""
        body = {"sourceType": "upload", "uploadKey": upload_key, "start": cut.start, "end": cut.end}
        async with self.http.post("/api/jobs", json=body) as answer:
            made = await answer.json()
            answer.raise_for_status()
        job_id = str(made["job"]["id"])
        is_over = self.waiting.setdefault(job_id, asyncio.Event())
        if job_id not in self.ended:
            async with asyncio.timeout(PATIENCE):
                await is_over.wait()
        return job_id

    async def watch(self) -> None:
        """For ever: positions may become visible out of order, so it looks back a little."""
        last = 0
        while True:
            for row in await self.database.fetch(ENDS, last - 1000, ["clip.uploaded", "job.failed"]):
                last = max(last, row["position"])
                self.ended[row["job"]] = row["type"]
                if row["job"] in self.waiting:
                    self.waiting[row["job"]].set()
            await asyncio.sleep(WATCH_SECONDS)

    async def clip(self, job_id: str, to: Path) -> Path:
        async with self.http.get(f"/api/jobs/{job_id}/result") as answer:
            result: dict[str, Any] = await answer.json()
        async with self.storage.get(result["result"]["video"]["url"]) as answer:
            answer.raise_for_status()
            await asyncio.to_thread(to.write_bytes, await answer.read())
        return to


@dataclass(frozen=True, slots=True)
class Load:
    """What came of so many jobs, so many of them in flight. Seconds; CPU by process, of all jobs together."""

    in_flight: int
    jobs: Sequence[tuple[str, Cut]]
    wall: float
    cpu: dict[str, float]

    @property
    def per_minute(self) -> float:
        return 60 * len(self.jobs) / self.wall


async def measure(session: Session) -> list[Figure]:
    async with _system(session) as system:
        return [figure for source in SOURCES for figure in await _of(session, system, source)]


async def _of(session: Session, system: System, source: Source) -> list[Figure]:
    cuts = at_keyframes(await session.index(source), 64, seed=6)
    upload_key = await system.upload(source.path)
    await _load(system, upload_key, cuts, count=4, in_flight=2)
    figures = []
    for in_flight in IN_FLIGHT:
        count = session.size.jobs if in_flight > 1 else max(5, session.size.jobs // ALONE_SHARE)
        load = await _load(system, upload_key, cuts, count=count, in_flight=in_flight)
        figures.append(await _figure(session, system, source, load))
    return figures


async def _load(system: System, upload_key: str, cuts: Sequence[Cut], *, count: int, in_flight: int) -> Load:
    places = asyncio.Semaphore(in_flight)

    async def one(cut: Cut) -> tuple[str, Cut]:
        async with places:
            return await system.run(upload_key, cut), cut

    before, began = _cpu(), time.perf_counter()
    jobs = await asyncio.gather(*(one(cut) for cut in islice(cycle(cuts), count)))
    wall = time.perf_counter() - began
    spent = {name: now - before.get(name, 0.0) for name, now in _cpu().items()}
    return Load(in_flight, jobs, wall, spent)


def _cpu() -> dict[str, float]:
    """CPU seconds so far by process: the supervisor, this very process, is the parent of all."""
    spent: defaultdict[str, float] = defaultdict(float)
    for pid in children(os.getpid()):
        command = command_of(pid)
        name = next((name for name in PROCESSES if name in command), "other")
        spent[name.removeprefix("services.")] += tree_cpu(pid)
    return spent


async def _figure(session: Session, system: System, source: Source, load: Load) -> Figure:
    failed = sum(system.ended[job_id] != "clip.uploaded" for job_id, _ in load.jobs)
    rows = await system.database.fetch(SECONDS, [job_id for job_id, _ in load.jobs])
    seconds = [row["seconds"] for row in rows] or [0.0]
    wrong, size = await _looked_at(session, system, load)
    cpu = ", ".join(f"{name} {1000 * spent / len(load.jobs):.0f}" for name, spent in sorted(load.cpu.items()) if spent >= 0.01)
    verdict: Verdict = "not judged"
    if load.in_flight > 1 and len(load.jobs) >= 300:
        verdict = "missed" if failed or wrong or load.per_minute < LEAST else "reached"
    return Figure(
        row="6",
        what=f"whole system: 30 s of {source.height}p, {load.in_flight} in flight",
        ours=f"{load.per_minute:.0f} jobs/min, {failed} failed",
        target=f">= {LEAST}/min, 0 failed" if load.in_flight > 1 else "",
        verdict=verdict,
        detail=f"{len(load.jobs)} jobs, source {source.path.stat().st_size / 1e6:.1f} MB, clip {size / 1e6:.1f} MB; "
        f"p50 {percentile(seconds, 0.5):.2f} s, p95 {percentile(seconds, 0.95):.2f} s from request to stored clip; CPU ms a job: {cpu}; "
        + (f"NOT EXACT: {wrong[0]}" if wrong else f"{LOOKED_AT} clips looked at: exact"),
    )


async def _looked_at(session: Session, system: System, load: Load) -> tuple[list[str], int]:
    """The faults of the last clips, and their largest size in bytes."""
    found, size, clip = list[str](), 0, session.clips / "system.mp4"
    for job_id, cut in load.jobs[-LOOKED_AT:]:
        if system.ended[job_id] == "clip.uploaded":
            found += await faults(await system.clip(job_id, clip), cut)
            size = max(size, clip.stat().st_size)
    return found, size


@asynccontextmanager
async def _system(session: Session) -> AsyncIterator[System]:
    """A stack of its own; its state on the disk, its scratch in memory."""
    with tempfile.TemporaryDirectory(prefix="stack-", dir=CACHE) as folder, (CACHE / "stack.log").open("w", buffering=1) as log:
        plan = Plan(Path(folder), {**os.environ, "PORT": "0", "RATE_LIMIT_MAX": "0", "SCRATCH_DIR": str(session.folder / "scratch")})
        async with running_stack(plan, lambda name, line: print(f"{name}: {line}", file=log)) as stack:
            await until_ready(plan, stack)
            database = await asyncpg.connect(stack.environ["DATABASE_URL"])
            async with aiohttp.ClientSession(stack.url) as http, aiohttp.ClientSession() as storage:
                system = System(http, storage, database)
                watching = asyncio.create_task(system.watch())
                try:
                    yield system
                finally:
                    watching.cancel()
                    with suppress(asyncio.CancelledError):
                        await watching
                    await database.close()


if __name__ == "__main__":
    main(measure)
