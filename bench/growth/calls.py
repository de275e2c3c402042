"""What is measured: each call by the code that services use, with what a right answer is."""

import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from uuid import UUID, uuid4

from bench.growth.population import DUE, FAILED
from bench.growth.system import System
from libs.common.domain.events import Envelope, StageName, StageProgress
from libs.common.runtime.event_feed import EventFeed

BODY = b'{"sourceType":"youtube","youtubeUrl":"https://93.184.215.14/v","start":10,"end":40}'
PAGE = 20
API, JANITOR = "services.api", "services.janitor"
BATCH = 50
MANY = 20_000
"""Open jobs looked at, at most: twice the watermark of a system that lets 10,000 jobs wait."""


@dataclass(frozen=True, slots=True)
class Call:
    """`run` gets a number that is another each time; `is_right` judges what the first one gave.

    `judged` by its CPU, or by its buffers: a sweep goes by the clock, and what it reads is in no cache. What counts all there is, for a
    gauge or the operator's page, is not judged.
    """

    name: str
    run: Callable[[System, int], Awaitable[Any]]
    is_right: Callable[[Any], bool]
    judged: Literal["cpu", "buffers", "not"] = "cpu"


def calls() -> list[Call]:
    """All. Those that make jobs come last: what waits would grow under the others."""
    swept = [replace(call, judged="buffers") for call in sweeps()]
    counted = [replace(call, judged="not") for call in counts()]
    return [*reads(), *lists(), *swept, *counted, *writes()]


def _of(jobs: Sequence[UUID], number: int) -> UUID:
    return jobs[number % len(jobs)]


def _get(name: str, target: Callable[[System, int], str], is_right: Callable[[Any], bool]) -> Call:
    def judge(answer: tuple[int, bytes]) -> bool:
        return answer[0] == 200 and is_right(json.loads(answer[1]))

    return Call(name, lambda system, number: system.ask("GET", target(system, number)), judge)


def reads() -> list[Call]:
    return [
        _get("GET status, done", lambda s, n: f"/api/jobs/{_of(s.sample.done, n)}", lambda told: told["job"]["status"] == "done"),
        _get("GET status, queued", lambda s, n: f"/api/jobs/{_of(s.sample.queued, n)}", lambda told: told["job"]["queuePosition"] >= 1),
        Call("a stage reads a history", lambda s, n: s.store.history(_of(s.sample.recent, n)), lambda told: len(told) == 12),
        Call("the feed's end, where all readers are", _feed, lambda batch: batch.is_last),
    ]


async def _feed(system: System, _: int) -> Any:
    feed = EventFeed(system.pool)
    return await feed.page(await feed.end())


def lists() -> list[Call]:
    return [
        _list("the first page", "", PAGE),
        _list("deep in it", "&createdBefore={then}", PAGE),
        _list("status done", "&status=done", PAGE),
        _list("status failed, which is rare", "&status=failed", min(FAILED, PAGE)),
        _list("the jobs of one request", "&groupId={group}", 9),
        _list("a source that no job has", "&sourceType=youtube", 0),
    ]


def _list(name: str, filters: str, expected: int) -> Call:
    def target(system: System, _: int) -> str:
        then = (datetime.now(UTC) - timedelta(hours=36)).strftime("%Y-%m-%dT%H:%M:%SZ")
        return f"/api/jobs?limit={PAGE}{filters.format(then=then, group=system.sample.group)}"

    return _get(f"GET list: {name}", target, lambda told: len(told["jobs"]) == expected)


def sweeps() -> list[Call]:
    """The selects of the janitor."""
    now, nobody = datetime.now(UTC), UUID(int=0)
    expired = (now, now - timedelta(days=1), nobody, BATCH)
    return [
        Call("reconciler: silent jobs", lambda s, _: s.store.silent(now, after=nobody, limit=BATCH), lambda found: len(found) == BATCH),
        Call("retention: jobs whose time is up", lambda s, _: s.store.expired(now, BATCH), lambda found: len(found) == DUE),
        Call("retention: how many they are", lambda s, _: s.store.overdue(now), lambda found: found == DUE),
        Call("uploads: those still needed", _needed, lambda found: len(found) == 10),
        _sql("uploads: those whose time is up", JANITOR, "upload_sweep.sql", "expired", *expired, least=DUE),
        _sql("orphans: jobs that are over", JANITOR, "storage.sql", "closed", nobody, now, BATCH, least=PAGE),
        _sql("orphans: some that stand", JANITOR, "storage.sql", "kept", nobody, now, least=PAGE),
        _sql("backfill: when jobs were asked for", JANITOR, "storage.sql", "asked", nobody, now, BATCH, least=PAGE),
        Call("orphans: which are alive", _living, lambda found: len(found) == 10),
    ]


def counts() -> list[Call]:
    return [
        Call("back-pressure: jobs not begun", lambda s, _: s.store.unbegun(MANY), lambda found: found >= 1),
        _sql("overview: jobs that are open", API, "overview.sql", "active", least=1),
        _sql("overview: jobs that ended today", API, "overview.sql", "ended", timedelta(days=1), least=1),
        _sql("open jobs: how many, how old", JANITOR, "open_jobs.sql", "measured", least=1),
    ]


def _sql(name: str, package: str, file: str, statement: str, *values: Any, least: int) -> Call:
    def run(system: System, _: int) -> Awaitable[Any]:
        return system.statements(file, package).rows(statement, *values)

    return Call(name, run, lambda rows: len(rows) >= least)


def _ten(system: System, number: int) -> list[UUID]:
    return [_of(system.sample.done, 10 * number + n) for n in range(10)]


def _needed(system: System, number: int) -> Awaitable[Any]:
    return system.store.needed_uploads([f"uploads/{job}/film.mp4" for job in _ten(system, number)])


def _living(system: System, number: int) -> Awaitable[Any]:
    return system.statements("storage.sql", JANITOR).rows("living", _ten(system, number))


def writes() -> list[Call]:
    return [
        Call("a stage appends an event", _append, lambda stored: stored.number > 1),
        Call("read model: the rows of 20 jobs", _project, lambda _: True),
        Call("POST create", lambda s, _: s.ask("POST", "/api/jobs", BODY), lambda answer: answer[0] == 202),
    ]


def _append(system: System, number: int) -> Awaitable[Any]:
    event = StageProgress(stage=StageName.RESOLVER, progress=0.5)
    job = _of(system.sample.working, number)
    return system.store.append(Envelope(id=uuid4(), job_id=job, at=datetime.now(UTC), correlation_id="c", event=event))


def _project(system: System, number: int) -> Awaitable[Any]:
    return system.api.model.project([_of(system.sample.recent, 20 * number + n) for n in range(20)])
