"""Poison: a message that kills whoever takes it. It ends in the dead letters, and the others do not go with it."""

from libs.common.domain.events import StageName
from libs.common.domain.failures import Code
from tests.chaos.checker import Expected, charged_starts
from tests.chaos.load import held
from tests.chaos.matrix import expect
from tests.chaos.system import System
from tests.chaos.table import Case

NEIGHBOURS = ("clip", "subtitled", "clip", "fast", "clip", "burned", "clip", "bulk", "clip", "clip")
POISONED = Expected(kind="poison", statuses=frozenset({"failed"}), codes=frozenset({Code.RETRIES_EXHAUSTED.value}))

RESCUE = ("rescue_buried", "rescue_failed")
"""Steps of the janitor."""


async def handling(system: System) -> Case:
    """It dies at the work each time: a dead letter after three attempts, and each neighbour is hit once at most."""
    return await _poisoned(system, "handling", Case("poison: the worker dies at its work", times=1))


async def never_counted(system: System) -> Case:
    """It dies before it can write that it began: the server counts deliveries, and the janitor heeds its advisory."""
    return await _poisoned(system, "taken", Case("poison: the worker dies before it counts", times=1))


async def rescued(system: System, step: str) -> Case:
    """The same, and the janitor dies in the middle of its rescue too."""
    system.arm(f"janitor.{step}")
    case = await _poisoned(system, "taken", Case(f"poison, and kill -9 at janitor.{step}", times=1))
    if (system.faults / f"janitor.{step}").exists():
        case.broken.append(f"nobody came by janitor.{step}")
        system.disarm()
    return case


async def _poisoned(system: System, step: str, case: Case) -> Case:
    before = len(system.exits)
    async with held(system.of("clipper")):
        [poison, *others] = await system.accepted(["clip", *NEIGHBOURS])
        file = system.arm(f"{StageName.CLIPPER.value}.{step}@{poison}")
    expect(system, poison, POISONED)
    case.jobs |= {poison, *others}
    await system.until_over(case.jobs, seconds=90)
    file.unlink()
    await system.until_ready()
    jobs = await system.jobs(others)
    hit = {job_id: charged_starts(job) for job_id, job in jobs.items() if charged_starts(job)}
    deaths = sum(end.code < 0 for end in system.exits[before:])
    case.notes.append(f"{deaths} deaths; {len(hit)} of {len(others)} neighbours were hit, at most {max(hit.values(), default=0)} times")
    if any(times > 1 for times in hit.values()):
        case.broken.append("a neighbour was hit more than once")
    return case
