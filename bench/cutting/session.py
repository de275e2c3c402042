"""One run of the cutting benchmarks: the local S3 with the sources in it, a fast scratch folder, and the clips that figures share."""

import argparse
import asyncio
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench.cutting.clipper import Clipper, key_of, running_clipper
from bench.cutting.cuts import Cut, Index, anywhere, at_keyframes, index_of
from bench.figures import Figure, table
from bench.machine import described
from bench.processes import tree_cpu
from bench.published import keep, publish
from bench.sources import CACHE, GOPS, Source, make
from libs.common.runtime.embedded import LocalServers, embedded_servers
from libs.common.runtime.object_store import ObjectStore, open_object_store
from libs.common.runtime.settings import load
from services.clipper.settings import ClipperSettings

MEMORY = Path("/dev/shm")  # noqa: S108  clips on a disk would measure the disk
ELSEWHERE = {"NATS_URL": "nats://nowhere", "DATABASE_URL": "postgresql://nowhere"}
"""Configured, so not started: cutting needs neither."""
URL_SECONDS = 6 * 3600
THREADS = 32
"""Peers that may run at once: a thread waits for each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much is measured: the whole, or a quick look."""

    rounds: int = 5
    cuts: int = 200
    batch: int = 12
    """Copies a round: CPU is counted in ticks of 10 ms."""
    peer_cuts: int = 5
    """Of each source; peers are slow."""
    played: int = 200
    jobs: int = 300
    short: int = 300
    long: int = 150
    """Seconds of the encoded sources, 720p and 1080p."""
    loops: int = 24

    @property
    def sources(self) -> list[Source]:
        """By resolution and GOP: these are cut to the frame."""
        return [Source(height, gop, seconds) for height, seconds in ((720, self.short), (1080, self.long)) for gop in GOPS]

    @property
    def small(self) -> Source:
        return self.sources[0]

    @property
    def film(self) -> Source:
        """The hour."""
        return Source(1080, GOPS[0], self.long, self.loops)


QUICK = Size(rounds=2, batch=4, cuts=8, peer_cuts=1, played=8, jobs=20, short=60, long=60, loops=12)


@dataclass(slots=True)
class Session:
    size: Size
    servers: LocalServers
    objects: ObjectStore
    folder: Path
    """In memory, gone at the end."""
    clips: Path
    """On the disk: clips that are looked at later."""
    indices: dict[Source, Index] = field(default_factory=dict)
    shared: dict[str, object] = field(default_factory=dict)
    """What one figure made and another needs too."""

    @property
    def variables(self) -> dict[str, str]:
        return self.servers.variables

    @property
    def s3_cpu(self) -> float:
        """CPU seconds of the S3 server so far."""
        return tree_cpu(self.servers.s3.pid)

    @asynccontextmanager
    async def clipper(self, variables: Mapping[str, str] | None = None) -> AsyncIterator[Clipper]:
        """A worker that has cut before: warm."""
        scratch = Path(tempfile.mkdtemp(dir=self.folder))
        async with running_clipper(self.variables | dict(variables or {}), scratch, CACHE / "worker.log") as clipper:
            index = await self.index(self.size.small)
            for cut in at_keyframes(index, 2, seed=0):
                await clipper.cut(cut)
            await clipper.cut(anywhere(index, 1, seed=0)[0])
            yield clipper

    async def index(self, source: Source) -> Index:
        if source not in self.indices:
            await make([source])
            self.indices[source] = await index_of(source)
            await _store(self.objects, source)
        return self.indices[source]

    async def url(self, cut: Cut) -> str:
        """A signed one, as a peer would be given."""
        return await self.objects.sources.signed_get(key_of(cut), ttl=URL_SECONDS, filename="source.mp4")


async def _store(objects: ObjectStore, source: Source) -> None:
    key = f"sources/bench/{source.name}.mp4"
    stored = await objects.sources.head(key)
    if stored is None or stored.size != source.path.stat().st_size:
        await objects.sources.upload(key, source.path, "video/mp4")


def _objects(servers: LocalServers) -> AbstractAsyncContextManager[ObjectStore]:
    return open_object_store(load(ClipperSettings, servers.variables))


Measure = Callable[[Session], Awaitable[list[Figure]]]


@asynccontextmanager
async def session(size: Size) -> AsyncIterator[Session]:
    CACHE.mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="clipstream-bench-", dir=MEMORY if MEMORY.is_dir() else None))
    clips = Path(tempfile.mkdtemp(prefix="clips-", dir=CACHE))
    try:
        async with embedded_servers(CACHE / "servers", ELSEWHERE) as servers, _objects(servers) as objects:
            await objects.ensure_buckets()
            yield Session(size, servers, objects, folder, clips)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(clips, ignore_errors=True)


def main(*measures: Measure) -> None:
    """Run these measurements, print their table, write their JSON. Exits 1 when a target was missed."""
    options = _parser().parse_args()
    figures = asyncio.run(_measured(measures, QUICK if options.quick else Size(), options.only))
    print(f"\n{table(figures)}")
    sys.exit(any(figure.verdict == "missed" for figure in figures))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bench.cutting", description="Cutting, beside its peers. Nothing else should run meanwhile.")
    parser.add_argument("--quick", action="store_true", help="short sources and few rounds: a look, not a measurement")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these measurements alone, by the names of their modules")
    return parser


async def _measured(measures: Sequence[Measure], size: Size, only: Sequence[str] | None) -> list[Figure]:
    """Written after each measurement, so that a run that is broken off leaves what it has."""
    figures: list[Figure] = []
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(THREADS))
    machine = await described()
    async with session(size) as opened:
        for measure in measures:
            name = measure.__module__.rpartition(".")[2]
            if only is None or name in only or name == "__main__":
                print(f"measuring: {name} …", flush=True)
                figures += await measure(opened)
                keep("cutting", figures, machine, is_quick=size is QUICK)
    if size is not QUICK and only is None and len(measures) > 1:
        publish("cutting", figures, machine)
    return figures
