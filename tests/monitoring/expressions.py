"""What a PromQL expression names: series, and the labels that it selects or groups by. By its words: promtool says whether it parses."""

import re
from collections.abc import Iterator
from typing import Any

SERIES = re.compile(r"\b(?:clip_\w+|clipstream:[\w:]+|process_\w+|python_\w+|up|ALERTS)\b")
SELECTED = re.compile(rf"({SERIES.pattern})\{{([^}}]*)\}}")
LABEL = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)")
GROUPED = re.compile(r"\b(?:by|without|on)\s*\(([^)]*)\)")
TEXT = re.compile(r'"[^"]*"')
TARGET = ("job", "instance")
"""Prometheus gives every series these."""


def series(expression: str) -> set[str]:
    return set(SERIES.findall(TEXT.sub('""', expression)))


def selected(expression: str) -> Iterator[tuple[str, str]]:
    """Each series with each label that chooses among its lines."""
    for name, selectors in SELECTED.findall(TEXT.sub('""', expression)):
        yield from ((name, label) for label in LABEL.findall(selectors))


def grouped(expression: str) -> set[str]:
    return {label.strip() for labels in GROUPED.findall(expression) for label in labels.split(",") if label.strip()}


def wrong_names(expression: str, exposed: dict[str, tuple[str, ...]]) -> list[str]:
    """Names that nothing exposes, and labels that the series don't have."""
    unknown = [name for name in series(expression) if name not in exposed]
    known = {label for name in series(expression) for label in exposed.get(name, ())} | set(TARGET)
    strange = [f"{name}{{{label}}}" for name, label in selected(expression) if label not in (*exposed.get(name, ()), *TARGET)]
    return [*unknown, *strange, *(grouped(expression) - known)]


def panels(board: dict[str, Any]) -> list[dict[str, Any]]:
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def filled(expression: str) -> str:
    """As Prometheus gets it from Grafana."""
    for variable, value in {"$job": "clipstream-.*", "$instance": ".*", "$__rate_interval": "1m", "$__range": "3h"}.items():
        expression = expression.replace(variable, value)
    return expression
