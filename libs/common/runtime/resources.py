"""What this process uses of what it is held to: memory, open files, scratch, and how late its event loop comes to its work.

Told in metrics, and in one line of the log before a limit is met.
"""

import asyncio
import resource
import time
from itertools import count
from pathlib import Path
from typing import NoReturn

from prometheus_client import Gauge, Histogram

from libs.common.runtime.logs import logger
from libs.common.runtime.memory_use import memory_use
from libs.common.runtime.water_marks import Level, level_after

log = logger(__name__)
LAG = Histogram(
    "clip_event_loop_lag_seconds",
    "How late the event loop came to a timer, four times a second",
    buckets=(0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
)
USED = Gauge("clip_resource_used_ratio", "Use of a resource by its limit: 1 is the limit", ["resource"])

TICK = 0.25
"""Seconds between two looks at the clock: a shorter stall may pass between them, a longer one can't."""
TICKS_EACH = 20
"""Looks at the clock between two samples of the rest."""


class Resource:
    """One of them, and how near to its limit it was last."""

    def __init__(self, name: str, advice: str) -> None:
        self._name, self._advice = name, advice
        self._level = Level.FINE

    def note(self, ratio: float) -> None:
        """`ratio`: use by limit. Each crossing is told once."""
        USED.labels(self._name).set(ratio)
        before, self._level = self._level, level_after(self._level, ratio)
        said = {"resource": self._name, "used_ratio": round(ratio, 3)}
        if self._level > before:
            write = log.error if self._level is Level.URGENT else log.warning
            write("a resource is nearly used up", **said, advice=self._advice)
        elif before > self._level is Level.FINE:
            log.info("a resource has room again", **said)


async def watch_resources() -> NoReturn:
    """Measure until cancelled."""
    memory = Resource("memory", "give the service more memory, or lower WORKER_MAX_CONCURRENCY")
    files = Resource("files", "raise the limit of open files (ulimit -n), or lower WORKER_MAX_CONCURRENCY or EVENT_STREAMS_MAX")
    for turn in count():
        if turn % TICKS_EACH == 0:
            memory.note((await asyncio.to_thread(memory_use)).ratio)
            files.note(files_ratio())
        began = time.perf_counter()
        await asyncio.sleep(TICK)
        LAG.observe(max(0.0, time.perf_counter() - began - TICK))
    raise AssertionError("the count has no end")


def files_ratio(proc: Path = Path("/proc/self")) -> float:
    """Open files by RLIMIT_NOFILE; 0 where nobody can say."""
    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        return 0.0 if most == resource.RLIM_INFINITY else sum(1 for _ in (proc / "fd").iterdir()) / most
    except OSError:
        return 0.0
