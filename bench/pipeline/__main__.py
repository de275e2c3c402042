"""The stage runner beside pg-boss: `make bench-pipeline`, or `python -m bench.pipeline [--quick]`. Rows 7 and 8 of the targets."""

import argparse
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import uvloop

from bench.figures import Figure, table
from bench.machine import described
from bench.pipeline.measured import measured
from bench.pipeline.peer import versions
from bench.pipeline.rounds import QUICK, Size
from bench.published import keep, publish
from libs.common.runtime.logs import set_up_logs

BENCH = "pipeline"


def main() -> None:
    """Exits 1 when a target was missed."""
    options = _parser().parse_args()
    set_up_logs("bench", "ERROR")
    figures, machine = uvloop.run(_measured(options))
    print(f"\n{table(figures)}")
    keep(BENCH, figures, machine, is_quick=options.quick)
    if not options.quick and options.only is None:
        publish(BENCH, figures, machine)
    sys.exit(any(figure.verdict == "missed" for figure in figures))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bench.pipeline", description="Four stages without work: latency and jobs a second, beside pg-boss."
    )
    parser.add_argument("--quick", action="store_true", help="few jobs and two rounds: a look, not a measurement")
    parser.add_argument("--only", choices=["ours"], help="without the peer")
    parser.add_argument("--workers", type=int, default=2, help="processes of ours, each with all four stages")
    parser.add_argument("--profile", type=Path, metavar="FILE", help="write the first worker's cProfile there; it makes all figures worse")
    return parser


async def _measured(options: argparse.Namespace) -> tuple[list[Figure], dict[str, object]]:
    machine, size = {**await described(), **versions()}, QUICK if options.quick else Size()
    profile = options.profile.absolute() if options.profile else None
    with TemporaryDirectory() as folder:
        return await measured(Path(folder), size, workers=options.workers, with_peer=options.only is None, profile=profile), machine


if __name__ == "__main__":
    main()
