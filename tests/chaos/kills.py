"""Kills and restarts under load: rolling restarts, servers killed, workers frozen, consumers deleted."""

import asyncio
import json
import random
import signal
import time
from contextlib import suppress
from datetime import UTC, datetime

from nats.js.errors import NotFoundError

from libs.common.domain.events import Priority, StageName
from libs.common.domain.subjects import CLIPS, durable
from tests.chaos.load import held, load
from tests.chaos.system import ACK_WAIT, POLL, System
from tests.chaos.table import Case

AGAIN = 10.0
"""Seconds within which work goes on after a server is back (spec 2.5, findings B8 row 3)."""
PAUSE = 2.0
"""Of ordinary work between two faults."""
ANSWERS = ("source.ready", "clip.uploaded", "asr.done", "clip.burned")
SHOWN_BY = {"nats": ("stage.started",), "provider": ("asr.done",)}
"""What can't happen without it."""
BUSY = 0.25
"""Seconds between two jobs, so that there is always something in hand."""
ERRORS_A_SECOND = 5
"""Of one worker whose consumer is gone (findings B8 row 20)."""


async def rolling_restart(system: System, *, times: int) -> Case:
    """SIGTERM to one replica after the other: each finishes or hands back, and exits with 0."""
    case = Case("SIGTERM, rolling restart of all services", uncharged=True)
    async with load(system, case, every=BUSY):
        for _ in range(times):
            for replica in system.replicas:
                end = await replica.killed(signal.SIGTERM)
                if end.code:
                    case.broken.append(f"{replica.name} ended with {end.code}")
                await system.until_ready([replica])
            case.times += 1
    await system.until_over(case.jobs)
    return case


async def server_killed(system: System, name: str, *, times: int) -> Case:
    """kill -9 and start again. `recoveries`: from the server's start to the next sign that work goes on."""
    # A NATS that was away longer than ack_wait gives the work in hand to others when it is back, before anybody can say that it is held.
    case = Case(f"kill -9 of {name} under load", bound=AGAIN, uncharged=name != "nats")
    async with load(system, case, every=BUSY):
        for _ in range(times):
            await asyncio.sleep(PAUSE)
            server = system.servers.started[name]
            await server.kill()
            await server.start()
            case.recoveries.append(await until_working(system, name))
            case.times += 1
    await system.until_over(case.jobs)
    return case


async def until_working(system: System, without: str, *, seconds: float = 60) -> float:
    """Seconds from now to the next event of those that show it, by the name of what was away; `seconds` when there is none."""
    began, end = datetime.now(UTC), time.monotonic() + seconds
    statement = "SELECT min(at) AS at FROM job_events WHERE type = ANY($2) AND at > $1"
    while time.monotonic() < end:
        [found] = await system.sql(statement, began, list(SHOWN_BY.get(without, ANSWERS)))
        if found["at"]:
            return float((found["at"] - began).total_seconds())
        await asyncio.sleep(POLL)
    return seconds


async def frozen(system: System, chance: random.Random, *, times: int) -> Case:
    """SIGSTOP of a worker for three times ack_wait: another does its work, and what the zombie does when it wakes changes nothing."""
    case = Case("SIGSTOP of a worker for 3 x ack_wait")
    workers = [replica for replica in system.replicas if replica.service in {"resolver", "clipper", "asr"}]
    async with load(system, case):
        for replica in chance.choices(workers, k=times):
            case.jobs |= set(await system.accepted(("subtitled",) * 6))
            await asyncio.sleep(chance.uniform(0.0, 0.5))
            async with held([replica]):
                await asyncio.sleep(3 * ACK_WAIT)
            case.times += 1
    await system.until_over(case.jobs)
    return case


async def consumers_deleted(system: System, *, times: int) -> Case:
    """Each durable consumer in turn, under load; the services make it again."""
    case = Case("consumer deleted under load", bound=AGAIN)
    names = [(stage, priority) for priority in Priority for stage in StageName if priority is Priority.NORMAL]
    others = [(stage, priority) for priority in (Priority.FAST, Priority.BULK) for stage in StageName]
    async with load(system, case, every=0.4, kinds=("burned", "fast", "burned", "bulk")):
        for stage, priority in (names + others)[:times]:
            await asyncio.sleep(PAUSE)
            before, began, now = complaints(system), time.monotonic(), datetime.now(UTC)
            await deleted(system, durable(stage, priority))
            case.recoveries.append(await until_made(system, durable(stage, priority), now))
            rate = (complaints(system) - before) / len(system.replicas) / max(time.monotonic() - began, 1.0)
            if rate > ERRORS_A_SECOND:
                case.broken.append(f"{rate:.1f} complaints a second and process over {durable(stage, priority)}")
            case.times += 1
    await system.until_over(case.jobs)
    return case


async def deleted(system: System, name: str) -> None:
    async with system.operator() as client:
        with suppress(NotFoundError):
            await client.jetstream().delete_consumer(CLIPS, name)


async def until_made(system: System, name: str, deleted_at: datetime, *, seconds: float = 30) -> float:
    """Seconds from the deletion to the moment at which the consumer was made again, as the server has it; `seconds` when it was not."""
    end = time.monotonic() + seconds
    async with system.operator() as client:
        while time.monotonic() < end:
            with suppress(NotFoundError):
                info = await client.jetstream().consumer_info(CLIPS, name)
                if info.created and info.created > deleted_at:
                    return float((info.created - deleted_at).total_seconds())
            await asyncio.sleep(POLL)
    return seconds


def complaints(system: System) -> int:
    """Warnings and errors in all logs."""
    return sum(is_complaint(line) for replica in system.replicas for line in replica.log.read_text().splitlines())


def is_complaint(line: str) -> bool:
    try:
        return json.loads(line).get("level") in {"warning", "error"}
    except ValueError:
        return False
