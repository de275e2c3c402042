"""promtool, and what the services really expose."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.monitoring.expressions import grouped
from tools.metrics_page import Documented, documented
from tools.monitoring.__main__ import MONITORING
from tools.monitoring.programs import program

FROM_PROMETHEUS = {"up": (), "ALERTS": ("alertname", "alertstate")}
"""What Prometheus itself knows of its targets and rules."""


def promtool(*arguments: str | Path, folder: Path = MONITORING) -> str:
    done = subprocess.run([program("promtool"), *map(str, arguments)], cwd=folder, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def rules(file: str) -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load((MONITORING / file).read_text())["groups"] for rule in group["rules"]]


@pytest.fixture(scope="session")
def exposed() -> dict[str, tuple[str, ...]]:
    """The labels of every series by its name: of the services, of Prometheus, of our recording rules."""
    found = {series: _labels(series, metric) for metric in documented().values() for series in metric.series}
    return found | FROM_PROMETHEUS | {rule["record"]: tuple(grouped(rule["expr"])) for rule in rules("recording.yml")}


def _labels(series: str, metric: Documented) -> tuple[str, ...]:
    return (*metric.labels, "le") if series.endswith("_bucket") else metric.labels
