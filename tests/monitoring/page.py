"""docs/metrics.md read back: every metric, without starting the services to ask them. tests/tools holds the page to the code."""

import re
from functools import cache

from tools.metrics_page import PAGE, SERVICES, Documented

TABLE = re.compile(r"^## (.+)\n\n\| metric .*\n.*\n((?:\| .*\n)+)", re.MULTILINE)
ROW = re.compile(r"^\| `(\w+)` \| (\w+) \| (.*?) \| .*? \| (.*) \|$", re.MULTILINE)


@cache
def written() -> dict[str, Documented]:
    """By name."""
    tables = TABLE.findall(PAGE.read_text())
    found = [_read(row, _services(title)) for title, table in tables for row in ROW.findall(table)]
    return {metric.name: metric for metric in found}


def _services(title: str) -> tuple[str, ...]:
    return SERVICES if title == "Every service" else tuple(title.split(", "))


def _read(row: tuple[str, str, str, str], services: tuple[str, ...]) -> Documented:
    name, kind, labels, meaning = row
    return Documented(name=name, kind=kind, labels=tuple(filter(None, labels.split(", "))), help=meaning, services=services)
