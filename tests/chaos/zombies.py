"""Two worker processes, of which one is stopped in the middle of its work, overtaken by the other, and woken again."""

import asyncio
import os
import signal
import sys
import tempfile
from asyncio.subprocess import Process
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from time import monotonic

from libs.common.domain.events import SourceReady
from libs.common.runtime.event_store import open_event_store
from tests.chaos.chain import Chain, Handlers, Servers, ready_streams, real_servers
from tests.chaos.verdict import Outcome, Row, outcome, rows_of, settled
from tests.chaos.worker import FIRST
from tests.runtime.own_nats import connected_bus

ROOT = Path(__file__).parents[2]
Variables = dict[str, str] | None
ACK_WAIT = 1.0
STOPPED_FOR = 3 * ACK_WAIT
WATCHED = 5.0
"""Seconds after its waking within which a zombie has noticed that its work is no longer its own."""
STARTED = 20.0
"""Seconds within which a new process has taken its work."""
ENDLESS, EXPIRED = "60", "2"
"""A first call that goes on after the waking, and one that has ended by then: the zombie answers at once."""


@dataclass(frozen=True, slots=True)
class Diary:
    folder: Path

    def ended(self, pid: int) -> int:
        return self.count("stopped", pid) + self.count("finished", pid)

    def count(self, what: str, pid: int) -> int:
        file = self.folder / "diary"
        lines = file.read_text().splitlines() if file.exists() else []
        return sum(line.startswith(f"{what} ") and line.endswith(f" {pid}") for line in lines)


async def zombies(jobs: int, seed: int, variables: Variables = None) -> Outcome:
    """Findings B8 row 7. What a zombie writes is a duplicate; work that it goes on with beyond WATCHED is stuck."""
    began = monotonic()
    async with AsyncExitStack() as stack:
        servers = await stack.enter_async_context(real_servers(variables))
        bus = await stack.enter_async_context(connected_bus(servers.nats))
        store = await stack.enter_async_context(open_event_store(servers.postgres))
        diary = Diary(Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="clipstream-zombies-"))))
        chain = Chain(Handlers(Random(seed)), store, bus, bus)
        await ready_streams(bus, ACK_WAIT)
        zombie, winner = await overtaken(stack, servers, diary, chain, jobs)
        before = await rows_of(servers, chain)
        zombie.send_signal(signal.SIGCONT)
        late = jobs - await within(WATCHED, lambda: diary.ended(zombie.pid), jobs)
        zombie.terminate()
        await zombie.wait()
        counted = await outcome("SIGSTOP beyond ack_wait", servers, chain, injected=jobs, began=began)
        written = sum(map(len, await rows_of(servers, chain))) - sum(map(len, before))
        return replace(
            counted,
            lost=counted.lost + jobs - resolved_by(before)[winner.pid],
            duplicates=counted.duplicates + written,
            stuck=counted.stuck + late,
            handled=diary.count("called", zombie.pid) + diary.count("called", winner.pid),
        )


async def overtaken(stack: AsyncExitStack, servers: Servers, diary: Diary, chain: Chain, jobs: int) -> tuple[Process, Process]:
    """A worker that is stopped with all jobs in hand, and the one that has done them since."""
    zombie = await stack.enter_async_context(worker(servers, diary, jobs))
    for n in range(jobs):
        await chain.submit(1, metadata={FIRST: (ENDLESS, EXPIRED)[n % 2]})
    await within(STARTED, lambda: diary.count("called", zombie.pid), jobs)
    zombie.send_signal(signal.SIGSTOP)
    stopped = monotonic()
    winner = await stack.enter_async_context(worker(servers, diary, jobs))
    await settled(chain)
    await asyncio.sleep(max(0.0, stopped + STOPPED_FOR - monotonic()))
    return zombie, winner


def resolved_by(histories: list[list[Row]]) -> Counter[int]:
    """How many jobs each process resolved: the workers write their process ids into their answers."""
    return Counter(envelope.event.size for rows in histories for _, envelope in rows if isinstance(envelope.event, SourceReady))


async def within(seconds: float, count: Callable[[], int], wanted: int) -> int:
    """What `count` has come to when it is as wanted, or the time is up."""
    until = monotonic() + seconds
    while (found := count()) < wanted and monotonic() < until:
        await asyncio.sleep(0.02)
    return found


@asynccontextmanager
async def worker(servers: Servers, diary: Diary, places: int) -> AsyncIterator[Process]:
    """A process of its own; killed in the end, whatever state it is in."""
    environ = os.environ | {
        "DATABASE_URL": servers.postgres,
        "NATS_URL": servers.nats,
        "SCRATCH_DIR": str(diary.folder / "scratch"),
        "QUEUE_ACK_WAIT_SEC": str(ACK_WAIT),
        "WORKER_MAX_CONCURRENCY": str(places),
        "LOG_LEVEL": "WARNING",
    }
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "tests.chaos.worker", str(diary.folder), env=environ, cwd=ROOT)
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
