"""`python -m bench.scaling` writes the tables of docs/scaling.md anew.

`--recorded FILE` prints the bursts with the times of a running system instead, as `python -m bench.scaling.recorder` took them down.
"""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path

from bench.scaling import manifests, measured
from bench.scaling.measured import Quantiles
from bench.scaling.page import bursts_table, renewed, tables
from bench.scaling.scenarios import LOADS, Crews, Outcome, played

PAGE = Path(__file__).resolve().parents[2] / "docs" / "scaling.md"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.scaling", description=__doc__)
    parser.add_argument("--recorded", type=Path, help="what the recorder took down")
    options = parser.parse_args()
    if options.recorded:
        print(bursts_table(outcomes(measured.from_recording(json.loads(options.recorded.read_text()), manifests.workers()))))
    else:
        PAGE.write_text(renewed(PAGE.read_text(), made()))


def made() -> dict[str, str]:
    """All tables of the page."""
    return tables(measured.told(), measured.costs(), manifests.deployment(), outcomes(measured.stages()))


def outcomes(stages: Mapping[str, Quantiles]) -> dict[str, tuple[Outcome, Outcome]]:
    """Of each load, with the watermark and without; where nothing is refused, that is the same."""
    return {name: _both(name, crews(), stages) for name in LOADS}


def _both(name: str, pools: Crews, stages: Mapping[str, Quantiles]) -> tuple[Outcome, Outcome]:
    marked = played(name, pools, stages, watermark=manifests.deployment().watermark)
    return marked, played(name, pools, stages, watermark=None) if marked.refusals else marked


def crews() -> Crews:
    """As deploy/k8s has them."""
    workers, rules = manifests.workers(), manifests.rules()
    return {name: (workers[name], rules[name]) for name in workers}


if __name__ == "__main__":
    main()
