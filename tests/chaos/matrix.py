"""The crash matrix: kill -9 between each two steps of each stage, of the API and of the janitor, with ten jobs in flight."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from nats.errors import NoRespondersError
from nats.errors import TimeoutError as NatsTimeout
from nats.js.errors import NotFoundError

from libs.common.domain.events import StageName
from libs.common.domain.failures import Code
from tests.chaos.checker import Expected
from tests.chaos.load import held
from tests.chaos.system import System
from tests.chaos.table import Case

GOOD = ("taken", "looked", "started", "handling", "handled", "recorded", "published", "acked")
RETRY = ("retried", "handed_back")
GIVE_UP = ("buried", "failed", "termed")
STEPS = (*GOOD, *RETRY, *GIVE_UP, "rerun")
MIXED = ("clip", "clip", "fast", "bulk", "clip", "subtitled", "clip", "clip", "fast", "clip")
KINDS = {StageName.RESOLVER: MIXED, StageName.CLIPPER: MIXED, StageName.ASR: ("subtitled",) * 10, StageName.BURNER: ("burned",) * 10}
SERVICES = {StageName.RESOLVER: "resolver", StageName.CLIPPER: "clipper", StageName.ASR: "asr", StageName.BURNER: "clipper"}
PUT = ("putting", "put")
API = ("stored", "published")
JANITOR = ("replay_recorded", "replay_published", "discarded", "reconciled", "expiry_marked", "expiry_emptied")
REPLAY, DISCARD = "clipstream.dlq.replay", "clipstream.dlq.discard"
FATAL = Code.OUTPUT_VERIFICATION_FAILED
"""A failure that is not tried again."""


@dataclass(frozen=True, slots=True)
class Point:
    """A place of fault_points.py."""

    who: str
    step: str

    @property
    def place(self) -> str:
        return f"{self.who}.{self.step}"


def points() -> list[Point]:
    """All of them. The burner is the last: it publishes nothing."""
    stages = [Point(stage.value, step) for stage in StageName for step in STEPS if (stage, step) != (StageName.BURNER, "published")]
    others = {"objects": PUT, "api": API, "janitor": JANITOR}
    return [*stages, *(Point(who, step) for who, steps in others.items() for step in steps)]


async def crashed(system: System, point: Point, jobs: int = 10) -> Case:
    """One point: the jobs are in flight when the process dies there; returns when all have ended. `recoveries` run from the kill."""
    case = Case(f"kill -9 at {point.place}", times=1)
    since = len(system.exits)
    await _scenario(point)(system, point, case, jobs)
    try:
        killed = await system.crash(since, dies_at(point), seconds=30)
    except TimeoutError:
        case.broken.append(f"nobody came by {point.place}")
        system.disarm()
        return case
    case.recoveries.append(max(0.0, await system.until_over(case.jobs) - killed.at))
    system.disarm()
    await system.until_ready()
    return case


def dies_at(point: Point) -> str:
    """The service; empty where it may be any."""
    return SERVICES[StageName(point.who)] if point.who in SERVICES else point.who.replace("objects", "")


Scenario = Callable[[System, Point, Case, int], Awaitable[None]]


def _scenario(point: Point) -> Scenario:
    if point.who in SERVICES:
        known = {"rerun": _rerun, **dict.fromkeys(GIVE_UP, _given_up), **dict.fromkeys(RETRY, _tried_again)}
        return known.get(point.step, _in_flight)
    others = {"replay_recorded": _replayed, "replay_published": _replayed, "discarded": _discarded, "reconciled": _never_published}
    return others.get(point.step, _expired if point.who == "janitor" else _submitted)


def kinds_of(point: Point, jobs: int) -> Sequence[str]:
    """Asr publishes only what is to be burned in."""
    stage = StageName.BURNER if point == Point("asr", "published") else StageName(point.who)
    return KINDS[stage][:jobs]


async def _in_flight(system: System, point: Point, case: Case, jobs: int) -> None:
    system.arm(point.place)
    case.jobs |= set(await system.accepted(kinds_of(point, jobs)))


async def _tried_again(system: System, point: Point, case: Case, jobs: int) -> None:
    """The first job that comes fails once."""
    system.arm(f"{point.who}.handling", Code.RETRYABLE_ERROR)
    await _in_flight(system, point, case, jobs)


async def _given_up(system: System, point: Point, case: Case, jobs: int) -> None:
    """One job fails for good."""
    system.arm(point.place)
    await _one_fails(system, StageName(point.who), case, jobs)


async def _one_fails(system: System, stage: StageName, case: Case, jobs: int) -> UUID:
    """The last of the jobs, always at that stage, which is held until it is known which job that is."""
    async with held(system.of(SERVICES[stage])):
        submitted = await system.accepted(KINDS[stage][:jobs])
        system.arm(f"{stage.value}.handling@{submitted[-1]}", FATAL)
    status = "failed" if stage in {StageName.RESOLVER, StageName.CLIPPER} else "done"
    expect(system, submitted[-1], Expected(kind="failing", statuses=frozenset({status}), codes=frozenset({FATAL.value})))
    case.jobs |= set(submitted)
    return submitted[-1]


def expect(system: System, job_id: UUID, expected: Expected) -> None:
    """Another end than its kind's."""
    system.submissions.expected[system.submissions.accepted[job_id]] = expected


async def _rerun(system: System, point: Point, case: Case, jobs: int) -> None:
    """A job that failed is put back by a raw `nats pub` of its dead letter's body, while others are in flight."""
    failed = await _failed(system, StageName(point.who), case)
    expect(system, failed, Expected(kind="rerun"))
    system.arm(point.place)
    case.jobs |= set(await system.accepted(kinds_of(point, jobs - 1)))
    await put_back_raw(system, failed)


async def _failed(system: System, stage: StageName, case: Case) -> UUID:
    """A job that failed at this stage, and would not any more."""
    failed = await _one_fails(system, stage, case, 1)
    await system.until_over([failed])
    await asyncio.sleep(0.2)  # its letter's message is termed by then, or will be by the next who takes it
    system.disarm()
    return failed


async def put_back_raw(system: System, job_id: UUID) -> None:
    """As the operator would: `nats stream get DLQ`, `nats pub`."""
    async with system.operator() as client:
        js = client.jetstream()
        for sequence in range((await js.stream_info("DLQ")).state.last_seq, 0, -1):
            with suppress(NotFoundError):
                letter = await js.get_msg("DLQ", sequence)
                if (letter.headers or {}).get("Clip-Job-Id") == str(job_id):
                    await js.publish(str(letter.subject).removeprefix("dlq."), letter.data or b"")
                    return
    raise AssertionError(f"no dead letter of {job_id}")


async def _submitted(system: System, point: Point, case: Case, jobs: int) -> None:
    """The API may die on the way, so submit until enough are taken on; uploads pass through its hands."""
    system.arm(point.place)
    kinds = ["file", "subtitled"] if point.who == "objects" else ["clip"]
    end = time.monotonic() + 30
    while len(case.jobs) < jobs and time.monotonic() < end:
        answer = await system.submit(kinds[len(case.jobs) % len(kinds)])
        if answer.job_id:
            case.jobs.add(answer.job_id)
        else:
            await asyncio.sleep(0.1)


async def _never_published(system: System, point: Point, case: Case, jobs: int) -> None:
    """The API dies before it publishes; the janitor, when it has done so in its place."""
    system.arm(point.place)
    await _submitted(system, Point("api", "stored"), case, jobs)


async def _replayed(system: System, point: Point, case: Case, jobs: int) -> None:
    failed = await _failed(system, StageName.CLIPPER, case)
    expect(system, failed, Expected(kind="replayed"))
    system.arm(point.place)
    case.jobs |= set(await system.accepted(MIXED[: jobs - 1]))
    await put_back(system, failed)


async def _discarded(system: System, point: Point, case: Case, jobs: int) -> None:
    failed = await _failed(system, StageName.CLIPPER, case)
    system.arm(point.place)
    case.jobs |= set(await system.accepted(MIXED[: jobs - 1]))
    await requested(system, DISCARD, {"jobId": str(failed), "confirm": True})


async def put_back(system: System, job_id: UUID) -> bytes:
    return await requested(system, REPLAY, {"jobId": str(job_id)})


async def requested(system: System, subject: str, request: dict[str, Any]) -> bytes:
    """`nats req`, until a janitor answers: one may die over it."""
    async with system.operator() as client:
        for _ in range(10):
            with suppress(NatsTimeout, NoRespondersError):
                return (await client.request(subject, json.dumps(request).encode(), timeout=2)).data
            await asyncio.sleep(0.5)
    raise AssertionError("no janitor answers")


async def _expired(system: System, point: Point, case: Case, jobs: int) -> None:
    """One job is done and past its time, while others are in flight."""
    [old] = await system.accepted(["clip"])
    await system.until_over([old])
    expect(system, old, Expected(kind="expired", statuses=frozenset({"expired"})))
    system.arm(point.place)
    case.jobs |= {old, *await system.accepted(MIXED[: jobs - 1])}
    await system.sql("UPDATE job_index SET expires_at = now() - interval '1 second' WHERE job_id = $1", old)


def by_service(cases: Sequence[Case]) -> list[Case]:
    """One row for each that died, all its points together."""
    rows: dict[str, Case] = {}
    for case in cases:
        who = case.fault.removeprefix("kill -9 at ").partition(".")[0]
        row = rows.setdefault(who, Case(f"kill -9 between two steps: {who}"))
        row.times += case.times
        row.jobs |= case.jobs
        row.recoveries += case.recoveries
        row.broken += case.broken
    return list(rows.values())
