"""Figures as values: ours beside a peer's, their ratio, the target and whether it is reached; as a table and as JSON. Pure."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import ceil
from typing import Literal

Verdict = Literal["reached", "missed", "not judged"]
COLUMNS = ("row", "what", "ours", "peer", "ratio", "target", "verdict")


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One line of the table. `row` is that of the targets; `ratio` has the sense that `target` names."""

    row: str
    what: str
    ours: str
    peer: str = ""
    ratio: float | None = None
    target: str = ""
    verdict: Verdict = "not judged"
    detail: str = ""


def at_most(ratio: float, limit: float) -> tuple[str, Verdict]:
    """A target and its verdict: the ratio may not be larger."""
    return f"<= {limit:g} x", "reached" if ratio <= limit else "missed"


def at_least(ratio: float, limit: float) -> tuple[str, Verdict]:
    return f">= {limit:g} x", "reached" if ratio >= limit else "missed"


def every(right: int, total: int) -> tuple[str, Verdict]:
    """All of them, and some."""
    return f"{total} of {total}", "reached" if right == total > 0 else "missed"


def percentile(values: Sequence[float], part: float) -> float:
    """The value that this part (0 to 1) of all are at or below; the nearest one, not interpolated."""
    ordered = sorted(values)
    return ordered[max(0, ceil(part * len(ordered) - 1e-9) - 1)]


def milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms"


def table(figures: Sequence[Figure]) -> str:
    """Columns as wide as their widest cell, then what there is to say of each line."""
    lines = [COLUMNS, *(_cells(figure) for figure in figures)]
    widths = [max(len(line[n]) for line in lines) for n in range(len(COLUMNS))]
    rows = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    notes = [f"  {figure.row} {figure.what}: {figure.detail}" for figure in figures if figure.detail]
    return "\n".join([rows[0], "-" * (sum(widths) + 2 * (len(widths) - 1)), *rows[1:], "", *notes])


def _cells(figure: Figure) -> tuple[str, ...]:
    ratio = "" if figure.ratio is None else f"{figure.ratio:.3g}"
    return figure.row, figure.what, figure.ours, figure.peer, ratio, figure.target, figure.verdict


def as_data(figures: Sequence[Figure]) -> list[dict[str, object]]:
    return [asdict(figure) for figure in figures]
