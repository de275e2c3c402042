"""What a call costs as tables and queues grow: `make bench-growth`, or `python -m bench.growth [--quick]`. Row 14 of the targets."""

import argparse
import asyncio
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.figures import Figure, table
from bench.growth.measured import QUICK, Size, measured
from bench.machine import described
from bench.published import keep, publish
from bench.sources import CACHE
from libs.common.runtime.logs import set_up_logs

BENCH = "growth"


def main() -> None:
    """Exits 1 when a target was missed."""
    parser = argparse.ArgumentParser(prog="bench.growth", description="CPU, time and buffers of a call, by events and by jobs that wait.")
    parser.add_argument("--quick", action="store_true", help="a hundred thousand events at most, two rounds: a look, not a measurement")
    is_quick = parser.parse_args().quick
    set_up_logs("bench", "ERROR")
    figures, machine = asyncio.run(_measured(is_quick=is_quick))
    print(f"\n{table(figures)}")
    keep(BENCH, figures, machine, is_quick=is_quick)
    if not is_quick:
        publish(BENCH, figures, machine)
    sys.exit(any(figure.verdict == "missed" for figure in figures))


async def _measured(*, is_quick: bool) -> tuple[list[Figure], dict[str, object]]:
    CACHE.mkdir(parents=True, exist_ok=True)
    machine = await described()
    with TemporaryDirectory(prefix="growth-", dir=CACHE) as folder:
        return await measured(Path(folder), QUICK if is_quick else Size()), machine


if __name__ == "__main__":
    main()
