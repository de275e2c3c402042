"""Whether the jobs are right: each with exactly its events, in their order, and done. A fast wrong pipeline counts as a failure."""

from collections.abc import Collection, Iterable, Mapping
from itertools import groupby
from uuid import UUID

from bench.pipeline.system import System
from libs.common.domain.events import Envelope, decode, type_of
from libs.common.domain.job import fold
from libs.common.domain.subjects import CLIPS, DLQ

STARTED = "stage.started"
EXPECTED = ["clips.requested", STARTED, "source.ready", STARTED, "clip.uploaded", STARTED, "asr.done", STARTED, "clip.burned"]
HISTORIES = "SELECT job_id, envelope FROM job_events WHERE job_id = ANY($1) ORDER BY job_id, seq"


async def faults(system: System, jobs: Collection[UUID]) -> list[str]:
    """What is wrong with the jobs, and with what is left in the streams; empty when all is well."""
    rows = await system.pool.fetch(HISTORIES, list(jobs))
    found = {job: [decode(row["envelope"]) for row in of_job] for job, of_job in groupby(rows, key=lambda row: row["job_id"])}
    return [*wrong(found, jobs), *[f"{count} messages in {stream}" for stream in (CLIPS, DLQ) if (count := await _left(system, stream))]]


def wrong(histories: Mapping[UUID, Iterable[Envelope]], jobs: Iterable[UUID]) -> list[str]:
    """A line of each of the jobs whose history is not what it should be."""
    told = ((job, list(histories.get(job, ()))) for job in jobs)
    return [f"job {job}: {_told(history)}" for job, history in told if not _is_right(history)]


def _is_right(history: list[Envelope]) -> bool:
    return [type_of(one.event) for one in history] == EXPECTED and fold(history).status == "done"


def _told(history: list[Envelope]) -> str:
    return f"{fold(history).status}, {[type_of(one.event) for one in history]}"


async def _left(system: System, stream: str) -> int:
    return int((await system.bus.js.stream_info(stream)).state.messages)
