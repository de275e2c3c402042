"""Panels as we write them, and as Grafana 11 reads them: placed row by row on its grid of 24 columns. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal["stat", "timeseries", "bargauge", "table"]
Json = dict[str, Any]

COLUMNS = 24
HEIGHTS: dict[Kind, int] = {"stat": 4, "timeseries": 8, "bargauge": 8, "table": 8}
WIDTHS: dict[Kind, int] = {"stat": 3, "timeseries": 8, "bargauge": 8, "table": 8}
HERE = 'job=~"$job",instance=~"$instance"'
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
GREEN, AMBER, RED = "green", "orange", "red"


Limits = tuple[tuple[float | None, str], ...]
"""From which value on which colour; the first is from None, the least of all."""


def too_high(amber: float | None = None, red: float | None = None) -> Limits:
    return ((None, GREEN), *((value, colour) for value, colour in ((amber, AMBER), (red, RED)) if value is not None))


def too_low(red: float, amber: float) -> Limits:
    """Red below the first, amber below the second."""
    return ((None, RED), (red, AMBER), (amber, GREEN))


@dataclass(frozen=True, slots=True)
class Query:
    """PromQL, in which $here stands for the selectors of the dashboard's variables, and the name of each line."""

    expression: str
    legend: str = "{{job}}"


@dataclass(frozen=True, slots=True)
class Panel:
    """`unit` is one of Grafana's names. `nothing` is said where there is no data."""

    title: str
    description: str
    unit: str
    queries: Sequence[Query]
    kind: Kind = "timeseries"
    limits: Limits = ()
    stacked: bool = False
    nothing: str = "none yet"
    width: int = 0
    most: float | None = None


@dataclass(frozen=True, slots=True)
class Row:
    title: str
    panels: Sequence[Panel] = field(default_factory=tuple)


def dashboard(uid: str, title: str, description: str, rows: Iterable[Row]) -> Json:
    """The file as Grafana exports one."""
    return {
        "uid": uid,
        "title": title,
        "description": description,
        "tags": ["clipstream"],
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "timezone": "browser",
        "links": [_link()],
        "templating": {"list": [_datasource(), _choice("job", "Service"), _choice("instance", "Process")]},
        "panels": list(_placed(rows)),
    }


def _link() -> Json:
    return {"type": "dashboards", "tags": ["clipstream"], "title": "Clipstream", "asDropdown": False, "includeVars": True, "keepTime": True}


def _datasource() -> Json:
    return {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus"}


def _choice(name: str, label: str) -> Json:
    chosen = 'clip_build_info{job=~"$job"}' if name == "instance" else "clip_build_info"
    return {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": SOURCE,
        "query": {"query": f"label_values({chosen}, {name})", "refId": name},
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": ["All"], "value": ["$__all"]},
    }


def _placed(rows: Iterable[Row]) -> Iterator[Json]:
    """Left to right, a new line where the width is used up. Panels that share a line are of one height."""
    number, top = 0, 0
    for row in rows:
        number += 1
        yield {"id": number, "type": "row", "title": row.title, "collapsed": False, "panels": [], "gridPos": _at(0, top, COLUMNS, 1)}
        left, top, tallest = 0, top + 1, 0
        for panel in row.panels:
            number += 1
            width, height = panel.width or WIDTHS[panel.kind], HEIGHTS[panel.kind]
            if left + width > COLUMNS:
                left, top, tallest = 0, top + tallest, 0
            yield {"id": number, "gridPos": _at(left, top, width, height), **_drawn(panel)}
            left, tallest = left + width, max(tallest, height)
        top += tallest


def _at(x: int, y: int, width: int, height: int) -> Json:
    return {"x": x, "y": y, "w": width, "h": height}


def _drawn(panel: Panel) -> Json:
    return {
        "type": panel.kind,
        "title": panel.title,
        "description": panel.description,
        "datasource": SOURCE,
        "targets": [_target(letter, query, panel.kind) for letter, query in zip("ABCDEF", panel.queries, strict=False)],
        "fieldConfig": {"defaults": _defaults(panel), "overrides": []},
        "options": _options(panel.kind),
        **({"transformations": _columns()} if panel.kind == "table" else {}),
    }


def _target(letter: str, query: Query, kind: Kind) -> Json:
    """All but lines through time show the present."""
    over_time = kind == "timeseries"
    shape = {"format": "table"} if kind == "table" else {}
    return {
        "refId": letter,
        "datasource": SOURCE,
        "expr": query.expression.replace("$here", HERE),
        "legendFormat": query.legend,
        "range": over_time,
        "instant": not over_time,
        **shape,
    }


def _defaults(panel: Panel) -> Json:
    lines: Json = {
        "drawStyle": "line",
        "fillOpacity": 25 if panel.stacked else 8,
        "lineWidth": 1,
        "showPoints": "never",
        "spanNulls": 60000,
    }
    lines |= {"stacking": {"mode": "normal" if panel.stacked else "none"}, "thresholdsStyle": {"mode": "dashed" if panel.limits else "off"}}
    return {
        "unit": panel.unit,
        "noValue": panel.nothing,
        "min": 0,
        **({"max": panel.most} if panel.most is not None else {}),
        "thresholds": {"mode": "absolute", "steps": [{"color": colour, "value": value} for value, colour in panel.limits or too_high()]},
        "color": {"mode": "palette-classic" if panel.kind == "timeseries" else "thresholds"},
        "custom": lines if panel.kind == "timeseries" else {},
    }


def _options(kind: Kind) -> Json:
    last = {"calcs": ["lastNotNull"], "fields": "", "values": False}
    match kind:
        case "stat":
            return {"reduceOptions": last, "colorMode": "background", "graphMode": "none", "textMode": "auto"}
        case "bargauge":
            return {"reduceOptions": last, "orientation": "horizontal", "displayMode": "basic", "valueMode": "text"}
        case "table":
            return {"showHeader": True, "sortBy": [{"displayName": "Value", "desc": True}]}
        case "timeseries":
            legend = {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": ["max"]}
            return {"legend": legend, "tooltip": {"mode": "multi", "sort": "desc"}}


def _columns() -> list[Json]:
    """What Prometheus adds to each line of a table is no news."""
    return [{"id": "organize", "options": {"excludeByName": {"Time": True, "__name__": True}, "renameByName": {}}}]
