"""The recorded run behind the pictures: a real Prometheus on the whole stack; and the drawing of what it says."""

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from bench.dashboards.drawing import draw
from bench.dashboards.load import ports
from bench.dashboards.prometheus import Prometheus, answers, recording
from bench.dashboards.units import shown
from tests.monitoring.test_dashboards import BOARDS, PANELS
from tests.whole_stack import System

PNG = b"\x89PNG"


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0, "s", "0 s"),
        (0.0192, "s", "19.2 ms"),
        (90, "s", "1.5 min"),
        (172800, "s", "2 d"),
        (1536, "bytes", "1.5 KiB"),
        (0.951, "percentunit", "95.1 %"),
        (12, "cpm", "12/min"),
        (1200, "reqps", "1.2K/s"),
        (300, "short", "300"),
    ],
)
def test_values_are_written_as_grafana_writes_them(value: float, unit: str, text: str) -> None:
    assert shown(value, unit) == text


async def test_prometheus_sees_the_whole_stack_by_the_configuration_that_is_deployed(
    system: System, small: Path, tmp_path: Path, unused_tcp_port: int
) -> None:
    began = time.time()
    async with recording(tmp_path, unused_tcp_port, ports(system)) as prometheus:
        job_id = await system.submit(small, start=1, end=3)
        await system.until(job_id, status="done")
        async with asyncio.timeout(60):
            while not await knows_all(prometheus):
                await asyncio.sleep(0.2)
        told = {name: await answers(prometheus, board, began, time.time()) for name, board in BOARDS.items()}
    well = [panel for panel in BOARDS["operator.json"]["panels"] if panel["gridPos"]["y"] == 1]
    assert {panel["title"]: last(told["operator.json"], panel) for panel in well if panel["title"] in {"Services", "Dependencies"}} == {
        "Services": 5,
        "Dependencies": 1,
    }
    assert not [panel["title"] for panel in well if not told["operator.json"][str(panel["id"])]]
    draw(BOARDS["product.json"], told["product.json"], tmp_path / "product.png", dpi=40)
    assert (tmp_path / "product.png").read_bytes().startswith(PNG)


async def knows_all(prometheus: Prometheus) -> bool:
    """All five are scraped, the janitor's first look at the queues too, and the job is counted."""
    seen = ("count(up == 1) == 5", "max(clip_queue_oldest_seconds) >= 0", "min(clip_canary_up) == 1", "sum(clip_job_seconds_count) > 0")
    return bool(await prometheus.now(" and on() ".join(seen), time.time()))


def last(told: dict[str, list[Any]], panel: dict[str, Any]) -> float:
    return float(told[str(panel["id"])][0]["values"][-1][1])


def test_panels_are_drawn_with_many_lines_with_gaps_and_with_none(tmp_path: Path) -> None:
    points = [[second, value] for second, value in enumerate(["1", "NaN", "2.5", "+Inf", "0"])]
    lines = [{"name": f"a name that is long {number}", "labels": {}, "values": points} for number in range(14)]
    of_each_kind = {(panel["type"], empty): panel for panel in PANELS.values() for empty in (True, False)}
    board = {
        "title": "All",
        "description": "kinds",
        "panels": [panel | {"id": number} for number, panel in enumerate(of_each_kind.values())],
    }
    told = {str(number): [] if empty else lines for number, (_, empty) in enumerate(of_each_kind)}
    draw(board, told, tmp_path / "all.png", dpi=40)
    assert (tmp_path / "all.png").read_bytes().startswith(PNG)
