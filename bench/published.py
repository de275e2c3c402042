"""Where figures are kept: each run's in bench/results, of the last whole run of each benchmark in docs/performance.json."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.figures import Figure, as_data

RESULTS = Path(__file__).parent / "results"
PUBLISHED = Path(__file__).resolve().parents[1] / "docs" / "performance.json"
"""The repository keeps it."""


def keep(bench: str, figures: Sequence[Figure], machine: Mapping[str, object], *, is_quick: bool) -> None:
    """In place of those of the last run."""
    RESULTS.mkdir(exist_ok=True)
    _write(RESULTS / f"{bench}.json", _report(figures, machine, is_quick=is_quick))


def publish(bench: str, figures: Sequence[Figure], machine: Mapping[str, object]) -> None:
    """Beside what other benchmarks have published."""
    published = json.loads(PUBLISHED.read_text()) if PUBLISHED.exists() else {}
    _write(PUBLISHED, {**published, bench: _report(figures, machine, is_quick=False)})


def _report(figures: Sequence[Figure], machine: Mapping[str, object], *, is_quick: bool) -> dict[str, object]:
    return {"machine": {**machine, "load after": os.getloadavg()[0]}, "quick": is_quick, "figures": as_data(figures)}


def _write(to: Path, found: Mapping[str, object]) -> None:
    to.write_text(json.dumps(found, indent=1) + "\n")
