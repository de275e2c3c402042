"""The upgrade: an earlier commit's services and ours side by side on one stream and one schema, under load, and one of them back.

In the order of docs/kubernetes.md: schema and rights, streams, then each service by itself; the janitors all at once.
"""

import asyncio
import random
import signal
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from libs.common.domain.events import JobReplayed, StageStarted, encode, type_of
from libs.common.domain.job import fold
from services.api.read_model import Row, row_of
from tests.chaos.replicas import Replica
from tests.chaos.roll import Endpoints, EveryKind, Rights, balanced
from tests.chaos.system import MIGRATIONS, POLL, System, copied
from tests.chaos.table import Case
from tests.chaos.versions import foreign_pins, read_by
from tools.local_stack import Plan, _bootstrap
from tools.migrations import migrate
from tools.setup import ROOT

REPLICAS = {"api": 2, "resolver": 2, "clipper": 2, "asr": 2, "janitor": 2}
ROLLED = ("api", "resolver", "clipper", "asr", "janitor")
OLD, NEW = "code", "code-new"
"""Folders within the system's."""
FOREVER = float("inf")
CATCHING_UP = 20.0


@dataclass
class Upgrade:
    """`dwell`: seconds for which two versions work side by side after each replica. `old` is the tree of the earlier commit."""

    system: System
    work: EveryKind
    api: Endpoints
    old: Path
    rights: Rights
    dwell: float
    repaired: UUID | None = None

    async def alone(self) -> None:
        """One version, whichever."""
        await asyncio.sleep(3 * self.dwell)

    async def prepare(self) -> None:
        """What the two jobs of deploy/k8s/base/jobs.yaml do."""
        environ = self.system.environ
        await migrate(ROOT / MIGRATIONS, {**environ, "DATABASE_URL": self.rights.database.url("migrations")})
        await self.rights.run(ROOT, "grants.sql", "migrations")
        await asyncio.sleep(self.dwell)
        await _bootstrap(Plan(self.system.home, environ), environ)
        await asyncio.sleep(self.dwell)

    async def forward(self) -> None:
        for service in self.work.chance.sample(ROLLED, len(ROLLED)):
            await self.rolled(service, NEW)

    async def back_and_forward(self) -> None:
        """With a job in between that runs again for a lost file, of which the old version knows nothing."""
        await self.rolled("clipper", OLD)
        self.repaired = await self.work.repaired()
        await asyncio.sleep(self.dwell)
        await self.rolled("clipper", NEW)
        await self.system.until_over([self.repaired], seconds=30)
        job = (await self.system.jobs([self.repaired]))[self.repaired]
        if (job.status, job.run) != ("done", 2):
            self.work.case.broken.append(f"the job whose file was lost is {job.status} in run {job.run}")

    async def rolled(self, service: str, code: str) -> None:
        if service == "janitor":
            await self.recreated(self.system.of(service), code)
        else:
            for replica in self.system.of(service):
                await self.replaced(replica, code)

    async def replaced(self, replica: Replica, code: str) -> None:
        replica.code = code
        with self.api.without(replica):
            await self.ended(replica)
            await self.system.until_ready([replica])
        await asyncio.sleep(self.dwell)

    async def recreated(self, replicas: Sequence[Replica], code: str) -> None:
        """None of the new before the last of the old has ended."""
        for replica in replicas:
            replica.code = code
            replica.may_start.clear()
        await asyncio.gather(*(self.ended(replica) for replica in replicas))
        for replica in replicas:
            replica.may_start.set()
        await self.system.until_ready(replicas)
        await asyncio.sleep(self.dwell)

    async def ended(self, replica: Replica) -> None:
        """As Kubernetes does it: who does not end in time is killed."""
        try:
            end = await replica.killed(signal.SIGTERM)
        except TimeoutError:
            end = await replica.killed()
        self.work.case.times += 1
        if end.code:
            self.work.case.broken.append(f"{replica.name} ended with {end.code}")


Phase = Callable[[Upgrade], Awaitable[None]]
PHASES: dict[str, Phase] = {
    "the old version alone": Upgrade.alone,
    "its services on the new schema, rights and streams": Upgrade.prepare,
    "each service in turn, both versions of it side by side": Upgrade.forward,
    "clipper back to the old version, and forward again": Upgrade.back_and_forward,
    "the new version alone": Upgrade.alone,
}


async def upgraded(system: System, chance: random.Random, old: Path, dwell: float) -> list[Case]:
    """A case for each phase. The system runs the old version; its jobs are over when this returns."""
    copied(ROOT, system.home / NEW)
    rights = await Rights.given(system, old)
    cases = [Case(name, uncharged=True) for name in PHASES]
    cases[0].notes += [f"not installed as it was locked: {pin}" for pin in sorted(foreign_pins(old))]
    async with balanced(system) as api:
        upgrade = Upgrade(system, EveryKind(system, chance, cases[0]), api, old, rights, dwell)
        for replica in system.replicas:
            await upgrade.replaced(replica, OLD)  # with the rights of its role
        async with submitting(upgrade.work):
            for case, phase in zip(cases, PHASES.values(), strict=True):
                await refused(upgrade, case, phase)
        await system.until_over(seconds=120)
    cases[-1].broken += [*await read_otherwise(system, old, upgrade.repaired), *await listed_otherwise(system)]
    cases[-1].notes += await told(system)
    return cases


async def refused(upgrade: Upgrade, case: Case, phase: Phase) -> None:
    """The phase; what the API did not take on meanwhile is a promise broken."""
    upgrade.work.case = case
    answered = upgrade.system.submissions.answered
    before = len(answered)
    await phase(upgrade)
    case.broken += [f"submission {one.number} was answered {one.status} {one.code}" for one in answered[before:] if one.status != 202]


@asynccontextmanager
async def submitting(work: EveryKind) -> AsyncIterator[None]:
    """Jobs of every kind while inside; on leaving, what their clients still wanted of them is done."""
    task = asyncio.create_task(work.submit_until(FOREVER))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await asyncio.gather(*work.busy)
        work.system.disarm()


async def told(system: System) -> list[str]:
    """Who did what, so that it is seen that both versions did."""
    codes = {pid: code for replica in system.replicas for pid, code in replica.ran.items()}
    kinds, begun, by_job = Counter[str](), Counter[str](), defaultdict[UUID, set[str]](set)
    for event, job_id in ((row.envelope.event, row.job_id) for row in await system.rows()):
        kinds[type_of(event)] += 1
        if isinstance(event, StageStarted):
            code = codes[int(event.worker.rpartition(":")[2])]
            begun[code] += 1
            by_job[job_id].add(code)
        if isinstance(event, JobReplayed):
            kinds[f"{event.source.partition(':')[0]} replayed"] += 1
    both = sum(len(versions) > 1 for versions in by_job.values())
    return [
        f"stages begun by the old version: {begun[OLD]}, by the new: {begun[NEW]}; jobs that both worked on: {both}",
        ", ".join(f"{kind} {count}" for kind, count in sorted(kinds.items())),
    ]


async def listed_otherwise(system: System) -> list[str]:
    """Jobs of which the lists, kept by APIs of both versions, say something else than their events do; once the lists have caught up."""
    with suppress(TimeoutError):
        async with asyncio.timeout(CATCHING_UP):
            while found := await _listed_otherwise(system):
                await asyncio.sleep(POLL)
    return found


async def _listed_otherwise(system: System) -> list[str]:
    histories = defaultdict(list)
    for row in await system.rows():
        histories[row.job_id].append(row.envelope)
    columns = set(Row.__struct_fields__) - {"seq"}  # that of the last event which may change the row, or of a later one
    listed = {row["job_id"]: {name: row[name] for name in columns} for row in await system.sql("SELECT * FROM job_list")}
    wanted = {job_id: row_of(fold(history), history, 0) for job_id, history in histories.items()}
    told = {job_id: {name: getattr(row, name) for name in columns} for job_id, row in wanted.items() if row}
    return [
        f"{job_id} is {told.get(job_id)} and in the lists {listed.get(job_id)}"
        for job_id in told.keys() | listed.keys()
        if told.get(job_id) != listed.get(job_id)
    ]


async def read_otherwise(system: System, old: Path, repaired: UUID | None) -> list[str]:
    """Jobs that the old version would tell another story of, but for the one whose story has what it does not know."""
    histories: dict[UUID, list[str]] = {}
    for row in await system.rows():
        histories.setdefault(row.job_id, []).append(encode(row.envelope).decode())
    tales = [await read_by(tree, list(histories.values())) for tree in (old, ROOT)]
    told = zip(histories, *tales, strict=True)
    return [f"{job_id} is {ours} and to the old version {theirs}" for job_id, theirs, ours in told if theirs != ours and job_id != repaired]
