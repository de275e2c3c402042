"""`python -m tools.monitoring` writes the dashboards of deploy/monitoring/dashboards from the rows in the code; a test holds them to it."""

import json

from tools.monitoring.grafana import Json, dashboard
from tools.monitoring.rows.health import FAILURES, QUEUES, WELL
from tools.monitoring.rows.jobs import AT_A_GLANCE, JOBS, STAGES
from tools.monitoring.rows.machinery import DEPENDENCIES, HOUSEKEEPING, PROCESSES
from tools.monitoring.rows.work import COST, HTTP, SOURCES, SUBTITLES
from tools.setup import ROOT

MONITORING = ROOT / "deploy" / "monitoring"
FOLDER = MONITORING / "dashboards"


def boards() -> dict[str, Json]:
    """By file name."""
    operator = (WELL, QUEUES, FAILURES, DEPENDENCIES, PROCESSES, HOUSEKEEPING)
    product = (AT_A_GLANCE, JOBS, STAGES, SUBTITLES, SOURCES, COST, HTTP)
    return {
        "operator.json": dashboard("clipstream-operator", "Clipstream: operation", "Is it well, and if not, where?", operator),
        "product.json": dashboard(
            "clipstream-product", "Clipstream: what clients get", "Jobs, latency, and what drives the cost.", product
        ),
    }


def written(board: Json) -> str:
    return json.dumps(board, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    for name, board in boards().items():
        (FOLDER / name).write_text(written(board))
