"""A Prometheus of our own for one run: the configuration of deploy/monitoring, our targets, a look each second; and its answers."""

import asyncio
import json
import math
import shutil
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from libs.common.runtime.embedded_process import tied_to_parent
from tools.monitoring.__main__ import MONITORING
from tools.monitoring.programs import program

EVERY_SECONDS = 1
WINDOW = "15s"
"""What $__rate_interval stands for: long enough that a job every few seconds makes a line."""


@dataclass(frozen=True, slots=True)
class Prometheus:
    """Where it answers, and when the recording began, in seconds of the epoch."""

    url: str
    http: aiohttp.ClientSession

    async def is_ready(self) -> bool:
        try:
            async with self.http.get(f"{self.url}/-/ready") as answer:
                return answer.status == 200
        except aiohttp.ClientError:
            return False

    async def now(self, expression: str, at: float) -> list[Any]:
        """Of each line its labels and its value. Raises RuntimeError with what is wrong with the query."""
        found = await self._asked("query", {"query": expression, "time": str(at)})
        return [{"labels": line["metric"], "values": [line["value"]]} for line in found]

    async def over_time(self, expression: str, begin: float, end: float) -> list[Any]:
        asked = {"query": expression, "start": str(begin), "end": str(end), "step": "2"}
        return [{"labels": line["metric"], "values": line["values"]} for line in await self._asked("query_range", asked)]

    async def _asked(self, what: str, asked: Mapping[str, str]) -> list[Any]:
        async with self.http.get(f"{self.url}/api/v1/{what}", params=asked) as answer:
            said = await answer.json()
        if said["status"] != "success":
            raise RuntimeError(f"{asked['query']}: {said['error']}")
        found: list[Any] = said["data"]["result"]
        return found


@asynccontextmanager
async def recording(home: Path, port: int, targets: Mapping[str, int]) -> AsyncIterator[Prometheus]:
    """It scrapes while inside. `targets`: the port of each service."""
    _configure(home, targets)
    options = (f"--config.file={home / 'prometheus.yml'}", f"--storage.tsdb.path={home / 'data'}", f"--web.listen-address=127.0.0.1:{port}")
    with (home / "prometheus.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            program("prometheus"), *options, stdout=log, stderr=log, preexec_fn=tied_to_parent(signal.SIGKILL)
        )
    try:
        async with aiohttp.ClientSession() as http:
            prometheus = Prometheus(f"http://127.0.0.1:{port}", http)
            async with asyncio.timeout(30):
                while not await prometheus.is_ready():
                    await asyncio.sleep(0.1)
            yield prometheus
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


def _configure(home: Path, targets: Mapping[str, int]) -> None:
    """What is deployed, but looked at more often."""
    home.mkdir(parents=True, exist_ok=True)
    for name in ("recording.yml", "alerts.yml"):
        shutil.copy(MONITORING / name, home / name)
    (home / "prometheus.yml").write_text((MONITORING / "prometheus.yml").read_text().replace("15s", f"{EVERY_SECONDS}s"))
    named = [{"labels": {"job": f"clipstream-{name}"}, "targets": [f"127.0.0.1:{port}"]} for name, port in targets.items()]
    (home / "targets.json").write_text(json.dumps(named))


async def answers(prometheus: Prometheus, board: Mapping[str, Any], begin: float, end: float) -> dict[str, list[Any]]:
    """What Grafana would be told, by panel id: of each line its name and its points."""
    found: dict[str, list[Any]] = {}
    for panel in board["panels"]:
        lines = []
        for target in panel.get("targets", ()):
            expression = _filled(target["expr"], end - begin)
            over_time = prometheus.over_time(expression, begin, end) if target["range"] else prometheus.now(expression, end)
            lines += [{"name": _named(target["legendFormat"], line["labels"]), **line} for line in await over_time]
        found[str(panel["id"])] = lines
    return found


def _filled(expression: str, seconds: float) -> str:
    known = {"$job": ".*", "$instance": ".*", "$__rate_interval": WINDOW, "$__range": f"{math.ceil(seconds)}s"}
    for variable, value in known.items():
        expression = expression.replace(variable, value)
    return expression


def _named(legend: str, labels: Mapping[str, str]) -> str:
    for label, value in labels.items():
        legend = legend.replace(f"{{{{{label}}}}}", value)
    return legend
