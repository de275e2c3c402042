"""The figures of measured.json: what a job costs and how long stages take, each with where it is from."""

import json
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.scaling.capacity import Costs
from bench.scaling.replica import Worker

FILE = Path(__file__).parent / "measured.json"
Quantiles = Sequence[float]
"""Evenly spread from the least to the most."""


def told() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(FILE.read_text())
    return found


def dumped(figures: Mapping[str, Any]) -> str:
    """As the file has it: a line a figure."""
    parts = []
    for part, found in figures.items():
        lines = [f"  {json.dumps(name)}: {json.dumps(figure, ensure_ascii=False)}" for name, figure in found.items()]
        parts.append(f" {json.dumps(part)}: {{\n" + ",\n".join(lines) + "\n }")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def costs() -> Costs:
    return Costs(**{name: figure["value"] for name, figure in told()["costs"].items()})


def stages() -> dict[str, Quantiles]:
    """CPU seconds."""
    return {name: stage["quantiles"] for name, stage in told()["stages"].items()}


def drawn(quantiles: Quantiles, chance: random.Random) -> float:
    """By the inverse of the distribution, straight between two quantiles."""
    place = chance.random() * (len(quantiles) - 1)
    below = min(int(place), len(quantiles) - 2)
    return quantiles[below] + (place - below) * (quantiles[below + 1] - quantiles[below])


def from_recording(recording: Mapping[str, Any], workers: Mapping[str, Worker]) -> dict[str, Quantiles]:
    """CPU seconds at most: as if each stage had used all the cores that a job of it can use. What was not recorded is as measured."""
    recorded = {name: stage["quantiles"] for name, stage in recording["stages"].items()}
    found = {work: recorded.get(stage) for work, stage in STAGE_OF.items()}
    cores = {work: workers["clipper" if stage == "burner" else stage].cores_a_job for work, stage in STAGE_OF.items()}
    return {**stages(), **{work: [value * cores[work] for value in told] for work, told in found.items() if told}}


STAGE_OF = {"upload": "resolver", "url": "resolver", "copy": "clipper", "exact": "clipper", "transcribe": "asr", "burn": "burner"}
