"""A whole stack set as deploy/k8s has it, one process a service, and jobs of each kind on it; what they cost, seen from outside."""

import asyncio
import os
import tempfile
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg

from bench.cutting.cuts import Cut, anywhere, at_keyframes, index_of
from bench.dashboards.load import ports
from bench.processes import children, command_of, output_of, tree_cpu
from bench.scaling import manifests
from bench.sources import CACHE, GOPS, Source, make
from tests.resolver.visiting import allowing
from tests.sites.site import Site, open_site
from tests.whole_stack import OPEN, System, running
from tools.local_stack import Plan
from tools.sample import recording

SOURCE = Source(720, GOPS[1], 60)
COPIED_FRAMES = 4 * GOPS[1]
"""33.3 s: as near to 30 s as keyframes let a copy be."""
SERVICES = ("api", "resolver", "clipper", "asr", "janitor")
SERVERS = ("postgres", "nats-server", "rclone")
LOOK, WATCH = 0.1, 0.5
SETTLED = 0.5
"""Seconds that a job's last processes and rows take after its end."""
PATIENCE = 900.0
IS_OVER = "SELECT status FROM job_list WHERE job_id = $1 AND ended_at IS NOT NULL"


@dataclass(frozen=True, slots=True)
class Order:
    """One job."""

    by_url: bool = False
    copied: bool = False
    subtitled: bool = False
    burned: bool = False


@dataclass
class Live:
    """`cpu` and `memory` are told by service or server."""

    system: System
    site: Site
    film: Path
    database: "asyncpg.Pool[asyncpg.Record]"
    cuts: dict[bool, list[Cut]]
    """At keyframes, and off them."""
    most: dict[str, float] = field(default_factory=dict)
    """Of memory, in MB: the most that a service and its children had at once."""
    orders: int = 0

    @property
    def metrics(self) -> list[str]:
        return [f"http://127.0.0.1:{port}/metrics" for port in ports(self.system).values()]

    async def upload(self) -> str:
        """A key; the file goes straight to S3, as a client's does."""
        asked = {"filename": self.film.name, "size": self.film.stat().st_size}
        async with self.system.http.post("/api/uploads", json=asked) as answer:
            ticket = await answer.json()
        async with aiohttp.ClientSession() as session:
            with self.film.open("rb") as body:
                put = await session.request(ticket["method"], ticket["url"], data=body, headers=ticket["headers"])
            put.raise_for_status()
        return str(ticket["uploadKey"])

    async def begin(self, order: Order, upload: str | None = None) -> str:
        """Submitted: its id. What comes by URL is another film each time; what is uploaded is so each time, unless a key is given."""
        self.orders += 1
        cuts = self.cuts[order.copied]
        cut = cuts[self.orders % len(cuts)]
        body: dict[str, Any] = {"start": cut.start, "end": cut.end, "withSubtitles": order.subtitled, "burnSubtitles": order.burned}
        if order.by_url:
            body |= {"sourceType": "youtube", "youtubeUrl": self.site.file(self.film, number=self.orders)}
        else:
            body |= {"sourceType": "upload", "uploadKey": upload or await self.upload()}
        async with self.system.http.post("/api/jobs", json=body) as answer:
            told = await answer.json()
            assert answer.status == 202, told  # noqa: S101  a bench that is refused has nothing to tell
        return str(told["job"]["id"])

    async def until_done(self, job_id: str) -> None:
        async with asyncio.timeout(PATIENCE):
            while (status := await self.database.fetchval(IS_OVER, job_id)) is None:
                await asyncio.sleep(LOOK)
        assert status == "done", status  # noqa: S101  the same

    async def done(self, order: Order) -> dict[str, float]:
        """One job alone, to its end: CPU seconds by process, what they spend anyway included."""
        before = cpu()
        await self.until_done(await self.begin(order))
        await asyncio.sleep(SETTLED)
        return since(before)

    async def watch(self) -> None:
        """For ever."""
        while True:
            for name, megabytes in (await asyncio.to_thread(memory)).items():
                self.most[name] = max(megabytes, self.most.get(name, 0.0))
            await asyncio.sleep(WATCH)


def named() -> dict[str, list[int]]:
    """The processes that this one, the supervisor, is the parent of."""
    found = defaultdict[str, list[int]](list)
    for pid in children(os.getpid()):
        command = command_of(pid)
        for name in (*SERVICES, *SERVERS):
            if (f"services.{name}" if name in SERVICES else name) in command:
                found[name].append(pid)
    return found


def cpu() -> dict[str, float]:
    return {name: sum(map(tree_cpu, pids)) for name, pids in named().items()}


def since(before: Mapping[str, float]) -> dict[str, float]:
    return {name: now - before.get(name, 0.0) for name, now in cpu().items()}


def memory() -> dict[str, float]:
    """MB of each service with its children; what several share counts once."""
    found = named()
    return {name: sum(_shares(pid) for root in found[name] for pid in _tree(root)) / 1000 for name in SERVICES}


def _tree(root: int) -> list[int]:
    return [root, *(pid for child in children(root) for pid in _tree(child))]


def _shares(pid: int) -> float:
    """KB (proc(5): smaps_rollup); 0 of one that is over."""
    with suppress(FileNotFoundError, ProcessLookupError):
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        return next((float(line.split()[1]) for line in lines if line.startswith("Pss:")), 0.0)
    return 0.0


@asynccontextmanager
async def live() -> AsyncIterator[Live]:
    await make([SOURCE])
    index = await index_of(SOURCE)
    cuts = {True: at_keyframes(index, 16, seed=1, frames=COPIED_FRAMES), False: anywhere(index, 64, seed=1)}
    with tempfile.TemporaryDirectory(prefix="scaling-", dir=CACHE) as folder:
        home = Path(folder)
        (films := home / "films").mkdir()
        (state := home / "stack").mkdir()
        film = await _spoken(films / "film.mp4")
        async with open_site(films) as site:
            variables = {**os.environ, **OPEN, **allowing(site.port), **manifests.sizes(), "SCRATCH_DIR": str(home / "scratch")}
            async with (
                running(Plan(state, variables)) as system,
                asyncpg.create_pool(system.stack.environ["DATABASE_URL"], min_size=1, max_size=4) as database,
            ):
                one = Live(system, site, film, database, cuts)
                watching = asyncio.create_task(one.watch())
                try:
                    yield one
                finally:
                    watching.cancel()
                    await asyncio.gather(watching, return_exceptions=True)


async def _spoken(path: Path) -> Path:
    """The source's pictures, and a person reading."""
    inputs = ["-i", str(SOURCE.path), "-i", str(recording())]
    sound: Sequence[str] = ["-map", "1:a", "-c:a", "aac", "-ar", "48000", "-ac", "2", "-af", "apad", "-t", str(SOURCE.seconds)]
    await output_of(["ffmpeg", "-v", "error", "-y", *inputs, "-map", "0:v", "-c:v", "copy", *sound, "-movflags", "+faststart", str(path)])
    return path
