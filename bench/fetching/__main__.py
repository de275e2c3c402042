"""Every figure of sources by URL in one run: `make bench-sources`, or `python -m bench.fetching [--quick]`."""

import argparse
import asyncio
import os
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.fetching import fetches, jobs
from bench.fetching.fetcher import permitted, running_fetcher
from bench.fetching.fetches import Rig, Rounds
from bench.figures import Figure, table
from bench.machine import described
from bench.published import keep, publish
from bench.sources import CACHE
from libs.common.runtime.logs import set_up_logs
from libs.common.runtime.object_store import open_object_store
from libs.common.runtime.settings import load
from services.clipper.settings import ClipperSettings
from tests.clipper.running import Clipper
from tests.sites.films import HOUR_SECONDS, hour_film
from tests.sites.packagings import packaged
from tests.sites.site import Site, open_site
from tests.whole_stack import System, running
from tools.local_stack import Plan
from tools.setup import ROOT

BENCH = "sources"
MEMORY = Path("/dev/shm")  # noqa: S108  files on a disk would measure the disk


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured: the whole, or a quick look."""

    rounds: Rounds
    jobs: int


FULL = Size(Rounds(), jobs=5)
QUICK = Size(Rounds(ours=2, peers=1, whole=1), jobs=1)


def main() -> None:
    """Exits 1 when a target was missed."""
    parser = argparse.ArgumentParser(prog="bench.fetching", description="Sources by URL, beside yt-dlp. Nothing else should run meanwhile.")
    parser.add_argument("--quick", action="store_true", help="few rounds: a look, not a measurement")
    set_up_logs("bench", "WARNING")
    figures = asyncio.run(_measured(QUICK if parser.parse_args().quick else FULL))
    print(f"\n{table(figures)}")
    sys.exit(any(figure.verdict == "missed" for figure in figures))


async def _measured(size: Size) -> list[Figure]:
    machine = await described()
    print(", ".join(f"{name} {value}" for name, value in machine.items()), flush=True)
    film = await asyncio.to_thread(_film)
    with tempfile.TemporaryDirectory(prefix="clipstream-bench-", dir=MEMORY if MEMORY.is_dir() else None) as folder:
        async with open_site(film.parent) as site, _stack(site, Path(folder)) as system, _rig(site, system, Path(folder)) as rig:
            print("measuring: fetches …", flush=True)
            figures = await fetches.measure(rig, film, HOUR_SECONDS, size.rounds)
            keep(BENCH, figures, machine, is_quick=size is QUICK)
            print("measuring: jobs …", flush=True)
            figures += await jobs.measure(system, site, film, HOUR_SECONDS, size.jobs)
    keep(BENCH, figures, machine, is_quick=size is QUICK)
    if size is not QUICK:
        publish(BENCH, figures, machine)
    return figures


def _film() -> Path:
    """In all its packagings; made once."""
    folder = CACHE / "films"
    folder.mkdir(parents=True, exist_ok=True)
    film = hour_film(folder)
    for kind in fetches.KINDS:
        packaged(film, kind)
    return film


@asynccontextmanager
async def _stack(site: Site, folder: Path) -> AsyncIterator[System]:
    """Whole, with two resolvers; its state on the disk, its scratch in memory."""
    with tempfile.TemporaryDirectory(prefix="stack-", dir=CACHE) as home:
        procfile = Path(home) / "Procfile"
        shutil.copyfile(ROOT / "Procfile", procfile)
        with procfile.open("a") as lines:
            lines.write("resolver2: python -m services.resolver\n")
        environ = {**os.environ, "PORT": "0", "RATE_LIMIT_MAX": "0", "SCRATCH_DIR": str(folder / "scratch"), **permitted(site.port)}
        async with running(Plan(Path(home), environ, procfile=procfile)) as system:
            yield system


@asynccontextmanager
async def _rig(site: Site, system: System, folder: Path) -> AsyncIterator[Rig]:
    """Clips are cut on the stack's S3."""
    variables = dict(system.stack.environ)
    async with open_object_store(load(ClipperSettings, variables)) as objects, running_fetcher(site.port, CACHE / "worker.log") as fetcher:
        yield Rig(site, fetcher, Clipper(objects, variables, folder), folder)


if __name__ == "__main__":
    main()
