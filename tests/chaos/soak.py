"""The soak: jobs of all kinds, cancels and replays, and every ten to twenty seconds a fault of any kind, drawn from one seed."""

import asyncio
import random
import signal
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from uuid import UUID

import aiohttp

from libs.common.domain.events import CANCELLED, Priority, StageName
from libs.common.domain.subjects import durable
from tests.chaos.kills import deleted
from tests.chaos.load import held
from tests.chaos.matrix import FATAL, GOOD, PUT, put_back, put_back_raw
from tests.chaos.system import ACK_WAIT, System
from tests.chaos.table import Case

WEIGHTS = {"clip": 30, "subtitled": 12, "burned": 8, "fast": 12, "bulk": 12, "file": 8, "url": 3, "garbage": 4, "outside": 3}
EVERY = 0.7
"""Seconds between two submissions, on the average."""
CANCELS, FAILS = 0.06, 0.04
"""Parts of the jobs."""
IN_HAND = 6
"""Jobs that are sent at once before a fault, so that it meets work."""
SHORT = (2.0, 8.0)
"""Seconds of an outage."""


@dataclass
class Soak:
    """`struck`: faults by name."""

    system: System
    chance: random.Random
    case: Case
    struck: dict[str, int] = field(default_factory=dict)
    busy: set[asyncio.Task[None]] = field(default_factory=set)

    async def submit_until(self, end: float) -> None:
        while time.monotonic() < end:
            self.begin(self.one_job())
            await asyncio.sleep(self.chance.uniform(0.2, 1.8) * EVERY)

    def begin(self, what: Awaitable[None]) -> None:
        task = asyncio.ensure_future(what)
        self.busy.add(task)
        task.add_done_callback(self.busy.discard)

    async def one_job(self) -> None:
        drawn, wait = self.chance.random(), self.chance.uniform(0.0, 3.0)
        [kind] = self.chance.choices(list(WEIGHTS), WEIGHTS.values())
        if drawn < CANCELS:
            await self.cancelled(kind, wait)
        elif drawn < CANCELS + FAILS:
            await self.failing(wait)
        else:
            await self.taken_on(kind)

    async def taken_on(self, kind: str, **other: frozenset[str]) -> UUID | None:
        answer = await self.system.submit(kind, **other)
        if answer.job_id:
            self.case.jobs.add(answer.job_id)
        return answer.job_id

    async def cancelled(self, kind: str, wait: float) -> None:
        """At any point of its work, or too late."""
        if job_id := await self.taken_on(kind, statuses=frozenset({"cancelled"}), codes=frozenset({CANCELLED})):
            await asyncio.sleep(wait)
            with suppress(aiohttp.ClientError, TimeoutError):
                async with self.system.http.delete(f"/api/jobs/{job_id}"):
                    pass

    async def failing(self, wait: float) -> None:
        """Fails at the clipper, if the fault is laid in time, and is put back in both ways at once, when the cause is gone."""
        if job_id := await self.taken_on("clip", statuses=frozenset({"failed"}), codes=frozenset({FATAL.value})):
            file = self.system.arm(f"clipper.handling@{job_id}", FATAL)
            await asyncio.sleep(3 + wait)
            file.unlink(missing_ok=True)
            await self.put_back(job_id)

    async def put_back(self, job_id: UUID) -> None:
        """NATS may be away just then, or the job not have failed."""
        await asyncio.gather(put_back(self.system, job_id), put_back_raw(self.system, job_id), return_exceptions=True)

    async def strike_until(self, end: float) -> None:
        while (left := end - time.monotonic()) > 0:
            await asyncio.sleep(min(left, self.chance.uniform(5, 15)))
            [name] = self.chance.choices(list(FAULTS), [weight for weight, _ in FAULTS.values()])
            for _ in range(IN_HAND):
                self.begin(self.one_job())
            await asyncio.sleep(self.chance.uniform(0.0, 1.0))
            await FAULTS[name][1](self)
            self.struck[name] = self.struck.get(name, 0) + 1

    # Faults

    def replica(self, *services: str) -> object:
        return self.chance.choice([r for r in self.system.replicas if not services or r.service in services])

    async def kill_nine(self) -> None:
        await self.replica("resolver", "clipper", "asr", "janitor").killed()

    async def kill_api(self) -> None:
        await self.replica("api").killed()

    async def terminate(self) -> None:
        replica = self.replica()
        end = await replica.killed(signal.SIGTERM)
        if end.code:
            self.case.broken.append(f"{replica.name} ended with {end.code} after SIGTERM")

    async def freeze(self) -> None:
        async with held([self.replica("resolver", "clipper", "asr", "janitor")]):
            await asyncio.sleep(3 * ACK_WAIT)

    async def crash_between_steps(self) -> None:
        who, step = self.chance.choice([*((stage.value, step) for stage in StageName for step in GOOD), *(("objects", s) for s in PUT)])
        self.system.arm(f"{who}.{step}")

    async def kill_server(self) -> None:
        server = self.system.servers.started[self.chance.choice(sorted(self.system.servers.started))]
        await server.kill()
        await server.start()

    async def short_outage(self) -> None:
        server = self.system.servers.started[self.chance.choice(sorted(self.system.servers.started))]
        await server.kill()
        await asyncio.sleep(self.chance.uniform(*SHORT))
        await server.start()

    async def provider_outage(self) -> None:
        await self.system.provider.kill()
        await asyncio.sleep(self.chance.uniform(*SHORT))
        await self.system.provider.start()

    async def delete_consumer(self) -> None:
        await deleted(self.system, durable(self.chance.choice(list(StageName)), self.chance.choice(list(Priority))))


Strike = Callable[[Soak], Awaitable[None]]
FAULTS: dict[str, tuple[int, Strike]] = {
    "kill -9": (4, Soak.kill_nine),
    "kill -9 of the API": (1, Soak.kill_api),
    "kill -9 between two steps": (4, Soak.crash_between_steps),
    "SIGTERM": (3, Soak.terminate),
    "SIGSTOP": (2, Soak.freeze),
    "kill -9 of a server": (3, Soak.kill_server),
    "short outage": (2, Soak.short_outage),
    "provider away": (1, Soak.provider_outage),
    "consumer deleted": (2, Soak.delete_consumer),
}


async def soak(system: System, chance: random.Random, seconds: float) -> Case:
    """`recoveries`: one, from the last fault's end to the last job's."""
    case = Case(f"soak of {seconds:g} s, a fault every 5 to 15 s")
    one = Soak(system, chance, case)
    begun, end = footprints(system), time.monotonic() + seconds
    async with asyncio.TaskGroup() as group:
        group.create_task(one.submit_until(end))
        group.create_task(one.strike_until(end))
    ended = time.time()
    await asyncio.gather(*one.busy)
    system.disarm()
    case.recoveries.append(max(0.0, await system.until_over(seconds=120) - ended))
    await system.until_ready()
    case.times = sum(one.struck.values())
    case.notes += [", ".join(f"{name} {times}" for name, times in sorted(one.struck.items())), _growth(begun, footprints(system))]
    return case


def footprints(system: System) -> dict[str, tuple[int, int]]:
    """The largest resident size (bytes) and number of descriptors of each service's processes."""
    found: dict[str, tuple[int, int]] = {}
    for replica in (replica for replica in system.replicas if replica.is_alive):
        size, files = replica.footprint()
        most = found.get(replica.service, (0, 0))
        found[replica.service] = (max(size, most[0]), max(files, most[1]))
    return found


def _growth(begun: dict[str, tuple[int, int]], ended: dict[str, tuple[int, int]]) -> str:
    told = (
        f"{name} {begun[name][0] >> 20} -> {size >> 20} MiB, {begun[name][1]} -> {files} files" for name, (size, files) in ended.items()
    )
    return "; ".join(told)
