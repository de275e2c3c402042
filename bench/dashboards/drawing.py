"""A dashboard as a picture: each panel where Grafana puts it, with its title, unit, legend and limits."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from bench.dashboards.units import shown

Json = Mapping[str, Any]
COLUMNS, CELL_WIDTH, CELL_HEIGHT = 24, 0.6, 0.32
COLOURS = {"green": "#3f9142", "orange": "#d9822b", "red": "#c23030", "text": "#24292e", "faint": "#8a929a"}
LINES = ("#4c78a8", "#f58518", "#54a24b", "#e45756", "#72b7b2", "#b279a2", "#9d755d", "#bab0ac", "#2f4b7c", "#a05195", "#665191", "#ffa600")
LEGEND_MOST = 12
LEGEND_WIDTH = 62
"""Letters of a line of the legend beneath a panel of eight columns."""


def draw(board: Json, answers: Mapping[str, list[Any]], to: Path, dpi: int = 100) -> None:
    """`answers`: the lines of each panel, by its id."""
    rows = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in board["panels"])
    figure = Figure(figsize=(COLUMNS * CELL_WIDTH, (rows + 2) * CELL_HEIGHT), dpi=dpi, facecolor="#f4f5f7")
    figure.text(0.008, 1 - 1 / (rows + 2), f"{board['title']}: {board['description']}", fontsize=13, va="center", weight="bold")
    for panel in board["panels"]:
        _draw_panel(figure, panel, answers.get(str(panel["id"]), []), rows + 2)
    to.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(to)


def _draw_panel(figure: Figure, panel: Json, lines: list[Any], rows: int) -> None:
    at = panel["gridPos"]
    left, width, height = at["x"] / COLUMNS, at["w"] / COLUMNS, at["h"] / rows
    bottom = 1 - (at["y"] + 2) / rows - height
    if panel["type"] == "row":
        figure.text(left + 0.008, bottom + height / 2, panel["title"], fontsize=11, weight="bold", va="center", color=COLOURS["text"])
        return
    gap = 0.003
    card = figure.add_axes((left + gap, bottom + gap * 20 / rows, width - 2 * gap, height - gap * 40 / rows))
    card.set(xticks=[], yticks=[], xlim=(0, 1), ylim=(0, 1))
    card.spines[:].set_color("#d8dce0")
    card.text(0.02, 1 - 0.42 / at["h"], panel["title"], fontsize=8, weight="bold", va="center", color=COLOURS["text"])
    numbers: list[Any] = [line for line in lines if any(math.isfinite(float(value)) for _, value in line["values"])]
    if not numbers:
        card.text(0.5, 0.45, panel["fieldConfig"]["defaults"]["noValue"], fontsize=9, ha="center", va="center", color=COLOURS["faint"])
        return
    {"stat": _stat, "timeseries": _timeseries, "bargauge": _bars, "table": _table}[panel["type"]](card, panel, numbers)


def _last(line: Json) -> float:
    return next((float(value) for _, value in reversed(line["values"]) if math.isfinite(float(value))), math.nan)


def _most(line: Json) -> float:
    return max(float(value) for _, value in line["values"] if math.isfinite(float(value)))


def _colour(value: float, defaults: Json) -> str:
    reached = [step["color"] for step in defaults["thresholds"]["steps"] if step["value"] is None or value >= step["value"]]
    return COLOURS[reached[-1]]


def _stat(card: Axes, panel: Json, lines: list[Any]) -> None:
    defaults = panel["fieldConfig"]["defaults"]
    card.set_facecolor(_colour(_last(lines[0]), defaults))
    card.texts[0].set_color("white")
    text = "  ".join(shown(_last(line), defaults["unit"]) for line in lines)
    card.text(0.5, 0.4, text, fontsize=17, ha="center", va="center", color="white", weight="bold")


def _timeseries(card: Axes, panel: Json, lines: list[Any]) -> None:
    defaults, ranked = panel["fieldConfig"]["defaults"], sorted(lines, key=_most, reverse=True)
    entries = _legend(card, [f"{line['name']} {shown(_most(line), defaults['unit'])}" for line in ranked], panel["gridPos"]["w"])
    height = panel["gridPos"]["h"]
    axes = card.inset_axes((0.11, (0.75 + 0.5 * entries) / height, 0.86, 1 - (1.7 + 0.5 * entries) / height))
    begin = min(float(line["values"][0][0]) for line in lines)
    _plot(axes, ranked, begin, stacked=defaults["custom"]["stacking"]["mode"] == "normal")
    top = max((step["value"] or 0) for step in defaults["thresholds"]["steps"])
    if 0 < top < axes.get_ylim()[1] * 1.5:
        axes.axhline(top, color=COLOURS["orange"], linestyle="--", linewidth=0.8)
    axes.set_ylim(0, (axes.get_ylim()[1] if any(map(_most, lines)) else 1) if "max" not in defaults else defaults["max"] * 1.05)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: shown(value, defaults["unit"])))
    axes.yaxis.set_major_locator(MaxNLocator(4, integer=_counted(lines)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{int(value) // 60}:{int(value) % 60:02d}"))
    axes.tick_params(labelsize=6, length=2, color=COLOURS["faint"], labelcolor=COLOURS["faint"])
    axes.grid(visible=True, color="#eceef0", linewidth=0.6)
    axes.spines[:].set_visible(False)


def _counted(lines: Sequence[Any]) -> bool:
    return all(float(value).is_integer() for line in lines for _, value in line["values"])


def _plot(axes: Axes, lines: Sequence[Any], begin: float, *, stacked: bool) -> None:
    if stacked:
        times = sorted({float(at) for line in lines for at, _ in line["values"]})
        points = [{float(at): float(value) for at, value in line["values"]} for line in lines]
        heights = [[_finite(known.get(at, 0.0)) for at in times] for known in points]
        axes.stackplot([at - begin for at in times], heights, colors=LINES, alpha=0.75, linewidth=0)
        return
    for line, colour in zip(lines, (LINES * 9), strict=False):
        found = [(float(at) - begin, float(value)) for at, value in line["values"] if math.isfinite(float(value))]
        alone = len(found) == 1
        axes.plot(*zip(*found, strict=True), color=colour, linewidth=1.1, marker="." if alone else None)


def _finite(value: float) -> float:
    return value if math.isfinite(value) else 0.0


def _legend(card: Axes, names: Sequence[str], columns: int) -> int:
    """Beneath the lines, as many as fit; says how many rows it took."""
    kept = list(names[:LEGEND_MOST])
    over = len(names) - len(kept)
    room, row, used = LEGEND_WIDTH * columns // 8, 0, 0
    places = []
    for name in [*kept, *([f"and {over} more"] if over else [])]:
        if used and used + len(name) + 4 > room:
            row, used = row + 1, 0
        places.append((name, row, used))
        used += len(name) + 4
    for number, (name, line, column) in enumerate(places):
        y = (0.3 + 0.5 * (row - line)) / (card.figure.bbox.height and _height(card))
        card.text(
            0.02 + column / room * 0.96, y, "━", fontsize=6, color=LINES[number % len(LINES)] if number < len(kept) else "none", va="center"
        )
        card.text(0.02 + (column + 2.2) / room * 0.96, y, name, fontsize=6, color=COLOURS["text"], va="center")
    return row + 1


def _height(card: Axes) -> float:
    """Of a panel, in rows of the grid."""
    return card.get_position().height * card.figure.get_figheight() / CELL_HEIGHT  # type: ignore[union-attr]  # its figure is a whole one


def _bars(card: Axes, panel: Json, lines: list[Any]) -> None:
    defaults, ranked = panel["fieldConfig"]["defaults"], sorted(lines, key=_last)[-10:]
    axes = card.inset_axes((0.36, 0.05, 0.5, 0.82))
    values = [_last(line) for line in ranked]
    bars = axes.barh(range(len(ranked)), values, color=[_colour(value, defaults) for value in values])
    axes.set_ylim(min(0, len(ranked) - 4) - 0.5, len(ranked) - 0.5)
    axes.set_yticks(range(len(ranked)), [line["name"] for line in ranked])
    axes.bar_label(bars, [shown(value, defaults["unit"]) for value in values], fontsize=7, padding=3)
    axes.tick_params(labelsize=6.5, length=0)
    axes.set_xticks([])
    axes.spines[:].set_visible(False)


def _table(card: Axes, panel: Json, lines: list[Any]) -> None:
    ranked = sorted(lines, key=_last, reverse=True)[:10]
    rows = [[line["name"], shown(_last(line), panel["fieldConfig"]["defaults"]["unit"])] for line in ranked]
    axes = card.inset_axes((0.03, 0.04, 0.94, 0.84))
    axes.set_axis_off()
    table = axes.table(rows, colWidths=[0.78, 0.22], cellLoc="left", edges="horizontal", loc="upper left")
    table.auto_set_font_size(False)  # noqa: FBT003  as matplotlib has it
    table.set_fontsize(7)
