"""promtool, and what the services really expose."""

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.monitoring.expressions import grouped
from tests.monitoring.page import written
from tools.metrics_page import Documented
from tools.monitoring.__main__ import MONITORING
from tools.monitoring.programs import program

FROM_PROMETHEUS = {"up": (), "ALERTS": ("alertname", "alertstate")}
"""What Prometheus itself knows of its targets and rules."""


SELDOM = {"GOGC": "off", "GOMEMLIMIT": "300MiB"}
"""Go collects garbage when its memory is full: as usual, that is half of promtool's time."""


def promtool(*arguments: str | Path, folder: Path = MONITORING) -> str:
    command = [program("promtool"), *map(str, arguments)]
    done = subprocess.run(command, cwd=folder, env={**os.environ, **SELDOM}, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def rules(file: str) -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load((MONITORING / file).read_text())["groups"] for rule in group["rules"]]


@pytest.fixture(scope="session")
def exposed() -> dict[str, tuple[str, ...]]:
    """The labels of every series by its name: of the services, of Prometheus, of our recording rules."""
    found = {series: _labels(series, metric) for metric in written().values() for series in metric.series}
    return found | FROM_PROMETHEUS | {rule["record"]: tuple(grouped(rule["expr"])) for rule in rules("recording.yml")}


def _labels(series: str, metric: Documented) -> tuple[str, ...]:
    return (*metric.labels, "le") if series.endswith("_bucket") else metric.labels
