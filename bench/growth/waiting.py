"""The four stages with more and more jobs that wait before the first of them is taken: CPU a job, with handlers that do nothing."""

import asyncio
import os
import signal
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from bench.figures import Figure, at_most
from bench.growth.rounds import ROW, TARGET
from bench.pipeline.judge import faults
from bench.pipeline.spending import spent
from bench.pipeline.system import System, open_servers, open_system
from libs.common.domain.events import Envelope
from libs.common.domain.subjects import CLIPS

WORKERS = 2
AT_ONCE = 64
PATIENCE = 300.0
LOOK_EVERY = 0.02
LEAST = 100
"""Jobs of one figure: the kernel counts CPU in hundredths of a second."""


async def drained(folder: Path, queued: Sequence[int], rounds: int) -> Figure:
    """`folder` is empty, and on a disk."""
    async with (
        open_servers(folder / "servers") as (servers, monitor),
        open_system(servers, monitor, folder, workers=WORKERS, profile=None) as system,
    ):
        costs, wrong = defaultdict[int, list[float]](list), list[str]()
        await _cost(system, LEAST, wrong)
        for _ in range(rounds):
            for count in queued:
                costs[count].append(await _cost(system, count, wrong))
    return _figure({count: median(found) for count, found in costs.items()}, wrong)


async def _cost(system: System, count: int, wrong: list[str]) -> float:
    """CPU seconds a job, of our workers and both servers, from the publishes to the last ack."""
    times = max(1, LEAST // count)
    loads = [await system.opened(count) for _ in range(times)]
    before = await spent(system)
    for requests in loads:
        with _stopped(system):
            await _published(system, requests)
        await _until_done(system)
    cpu = sum((await spent(system)).since(before).cpu.values())
    wrong += await faults(system, [one.job_id for requests in loads for one in requests])
    return cpu / (count * times)


async def _published(system: System, requests: Sequence[Envelope]) -> None:
    for begin in range(0, len(requests), AT_ONCE):
        await asyncio.gather(*(system.bus.publish(request) for request in requests[begin : begin + AT_ONCE]))


async def _until_done(system: System) -> None:
    """Until the work stream is empty: a message goes when it is acked, which the last event of its job comes before."""
    async with asyncio.timeout(PATIENCE):
        while (await system.bus.js.stream_info(CLIPS)).state.messages:
            await asyncio.sleep(LOOK_EVERY)


@contextmanager
def _stopped(system: System) -> Iterator[None]:
    """The workers, so that all jobs wait before one is taken."""
    for worker in system.workers:
        os.kill(worker.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for worker in system.workers:
            os.kill(worker.pid, signal.SIGCONT)


def _figure(costs: dict[int, float], wrong: Sequence[str]) -> Figure:
    *less, most = costs.values()
    ratio = most / min(less)
    target, verdict = at_most(ratio, TARGET)
    return Figure(
        row=ROW,
        what=f"CPU a job of four stages, {max(costs):,} waiting",
        ours=f"{1000 * most:.2f} ms",
        peer=", ".join(f"{1000 * cost:.2f} ms" for cost in less),
        ratio=ratio,
        target=target,
        verdict="missed" if wrong else verdict,
        detail=f"by jobs that wait: {', '.join(f'{count:,}' for count in costs)}; the ratio is to the least of the others; "
        f"{WORKERS} workers, NATS and Postgres together" + (f"; WRONG: {wrong[0]}" if wrong else "; every job has its events"),
    )
