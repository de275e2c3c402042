"""The rows of the targets as a page and as a picture: how far each figure is from what it is to be."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure as Canvas

from bench.figures import Figure

LIMIT = re.compile(r"(<=|>=) ([\d.]+) x")
COLOURS = {"reached": "#3f9142", "missed": "#c23030", "not judged": "#8a929a"}
TICKS = (0.05, 0.1, 0.2, 0.5, 1, 2, 5)
HEAD = """# Targets

Written by `make bench` from the last whole run of each benchmark (`performance.json`).
[performance.md](performance.md) says how each is measured, and why one is missed.

![each judged figure as a share of its target]({picture})

A bar that ends left of the line reaches its target: at 0.5 the figure is twice as good as it is to be.

| row | what | ours | peer | ratio | target | |
| --- | --- | --- | --- | --- | --- | --- |
"""


def in_order(figures: Sequence[Figure]) -> list[Figure]:
    """By the number of the row; what has a letter, and belongs to no row of the targets, comes behind."""
    return sorted(figures, key=lambda figure: (not figure.row.isdigit(), int(figure.row) if figure.row.isdigit() else 0))


def share_of_target(figure: Figure) -> float | None:
    """1 is the target, less is better; None where the target is no limit of the ratio."""
    limit = LIMIT.match(figure.target)
    if limit is None or not figure.ratio:
        return None
    return figure.ratio / float(limit[2]) if limit[1] == "<=" else float(limit[2]) / figure.ratio


def page(figures: Sequence[Figure], machines: Mapping[str, Mapping[str, Any]], picture: str) -> str:
    lines = [f"| {' | '.join(_cell(cell) for cell in _cells(figure))} |" for figure in figures]
    runs = [f"* {name}: {machine['date'][:10]}, {machine['cores']} cores ({machine['processor']})" for name, machine in machines.items()]
    return HEAD.format(picture=picture) + "\n".join([*lines, "", "When and where each ran:", "", *runs, ""])


def _cells(figure: Figure) -> tuple[str, ...]:
    ratio = "" if figure.ratio is None else f"{figure.ratio:.3g}"
    return figure.row, figure.what, figure.ours, figure.peer, ratio, figure.target, figure.verdict


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def drawn(figures: Sequence[Figure], to: Path) -> None:
    """A bar for each figure that is judged by a ratio."""
    bars = [(figure, share) for figure in reversed(figures) if figure.verdict != "not judged" and (share := share_of_target(figure))]
    canvas = Canvas(figsize=(11, 0.26 * len(bars) + 1), dpi=90, layout="constrained")
    axes = canvas.subplots()
    axes.barh(range(len(bars)), [share for _, share in bars], color=[COLOURS[figure.verdict] for figure, _ in bars])
    axes.set_yticks(range(len(bars)), [f"{figure.row}  {figure.what}" for figure, _ in bars], fontsize=8)
    axes.axvline(1, color="#24292e", linewidth=1)
    axes.set_xscale("log")
    axes.set_xticks(TICKS, [f"{tick:g}" for tick in TICKS])
    axes.minorticks_off()
    axes.set_xlim(TICKS[0], TICKS[-1])
    axes.set_xlabel("share of the target (1 = just reached, less is better)", fontsize=8)
    axes.margins(y=0.005)
    canvas.savefig(to)
