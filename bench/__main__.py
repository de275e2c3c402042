"""`make bench`: every benchmark in turn, then one table of the rows of the targets. `--table` runs none, and tells of the last."""

import argparse
import json
import subprocess
import sys
from typing import Any

from bench.figures import Figure, table
from bench.published import PUBLISHED, RESULTS
from bench.rows import drawn, in_order, page
from tools.setup import ROOT

BENCHES = {
    "pipeline": "bench.pipeline",
    "http": "bench.http",
    "growth": "bench.growth",
    "system": "bench.system",
    "subtitles": "bench.subtitles",
    "sources": "bench.fetching",
    "cutting": "bench.cutting",
    "retention": "bench.retention",
}
"""The name that each keeps its figures under, and its module; what takes longest comes last."""
PAGE, PICTURE = ROOT / "docs" / "targets.md", ROOT / "docs" / "targets.png"


def main() -> None:
    """Exits 1 when a target was missed, or a benchmark broke."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Every benchmark, and one table of what they found.")
    parser.add_argument("--quick", action="store_true", help="a short look at each, not a measurement: nothing is published")
    parser.add_argument("--only", nargs="+", choices=list(BENCHES), default=list(BENCHES), metavar="NAME", help=", ".join(BENCHES))
    parser.add_argument("--table", action="store_true", help="write docs/targets.md from the last whole runs, and run nothing")
    options = parser.parse_args()
    if options.table:
        _publish()
        return
    broken = [name for name in options.only if _run(BENCHES[name], is_quick=options.quick) not in {0, 1}]
    reports = {name: json.loads((RESULTS / f"{name}.json").read_text()) for name in options.only if name not in broken}
    figures = in_order(figures_of(reports))
    print(f"\n\n{table(figures)}\n")
    if broken:
        print(f"broke, and has no figures: {', '.join(broken)}")
    if not options.quick:
        _publish()
    sys.exit(bool(broken) or any(figure.verdict == "missed" for figure in figures))


def _run(module: str, *, is_quick: bool) -> int:
    print(f"\n== {module}", flush=True)
    return subprocess.run([sys.executable, "-m", module, *(["--quick"] if is_quick else [])], cwd=ROOT, check=False).returncode


def figures_of(reports: dict[str, Any]) -> list[Figure]:
    return [Figure(**figure) for report in reports.values() for figure in report["figures"]]


def _publish() -> None:
    """The page and its picture, from what each benchmark's last whole run published."""
    reports = json.loads(PUBLISHED.read_text())
    figures = in_order(figures_of(reports))
    PAGE.write_text(page(figures, {name: report["machine"] for name, report in reports.items()}, PICTURE.name))
    drawn(figures, PICTURE)


if __name__ == "__main__":
    main()
