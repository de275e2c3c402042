"""`python -m tests.contract.record REVISION`: histories of jobs of every kind as that version writes them, and what it tells of them.

Done once for each version that somebody may upgrade from, into samples/; test_earlier_versions.py holds the code to them for good.
"""

import asyncio
import json
import logging
import random
import re
import sys
import tempfile
from pathlib import Path
from typing import Any
from uuid import UUID

import structlog

from libs.common.domain.events import StageName
from libs.common.domain.failures import Code
from tests.chaos import versions
from tests.chaos.matrix import DISCARD, FATAL, put_back, requested
from tests.chaos.roll import EveryKind
from tests.chaos.system import System, running
from tests.chaos.table import Case

SAMPLES = Path(__file__).with_name("samples")
PLAIN = ("clip", "burned", "fast", "bulk", "file", "url", "garbage", "outside")
WORKER = re.compile(r'"worker": "[^"]*"')


async def played(system: System) -> dict[str, UUID]:
    """A job for each name, over."""
    jobs = dict(zip(PLAIN, await system.accepted(PLAIN), strict=True))
    jobs["edited"] = await edited(system)
    jobs["failed"], jobs["replayed"], jobs["discarded"] = [await struck(system, "clip", StageName.CLIPPER) for _ in range(3)]
    jobs["without subtitles"] = await struck(system, "subtitled", StageName.ASR)
    jobs["without burned subtitles"] = await struck(system, "burned", StageName.BURNER)
    jobs["tried again"] = await struck(system, "clip", StageName.CLIPPER, Code.RETRYABLE_ERROR)
    await put_back(system, jobs["replayed"])
    await requested(system, DISCARD, {"jobId": str(jobs["discarded"]), "confirm": True})
    jobs["cancelled"], jobs["expired"] = await system.accepted(["burned", "clip"])
    async with system.http.delete(f"/api/jobs/{jobs['cancelled']}"):
        pass
    await system.until_over([jobs["expired"]])
    await system.sql("UPDATE job_index SET expires_at = now() WHERE job_id = $1", jobs["expired"])
    await until_expired(system, jobs["expired"])
    await system.until_over()
    return jobs


async def edited(system: System) -> UUID:
    work = EveryKind(system, random.Random(0), Case("edited"))
    await work.edited()
    [job_id] = work.case.jobs
    return job_id


async def struck(system: System, kind: str, stage: StageName, code: Code = FATAL) -> UUID:
    """Once, at that stage: for good, unless the code says otherwise."""
    place = system.arm(f"{stage}.handling", code)
    [job_id] = await system.accepted([kind])
    await system.until_over([job_id])
    place.unlink(missing_ok=True)
    return job_id


async def until_expired(system: System, job_id: UUID) -> None:
    async with asyncio.timeout(90):
        while (await system.jobs([job_id]))[job_id].status != "expired" or len(await system.rows([job_id])) > 1:
            await asyncio.sleep(0.1)


async def recorded(revision: str, folder: Path) -> dict[str, Any]:
    name = versions.taken_out(revision, folder / "tree")
    (folder / "home").mkdir()
    async with running(folder / "home", folder / "tree", RETENTION_EVERY_SEC="1") as system:
        jobs = await played(system)
        rows = await system.sql("SELECT job_id, envelope::text FROM job_events WHERE job_id = ANY($1) ORDER BY seq", list(jobs.values()))
        histories = {kind: [_nobodys(row["envelope"]) for row in rows if row["job_id"] == job_id] for kind, job_id in jobs.items()}
        told = await versions.read_by(folder / "tree", list(histories.values()))
    made = {
        kind: {"told": tale, "history": [json.loads(one) for one in histories[kind]]} for kind, tale in zip(histories, told, strict=True)
    }
    return {"version": name, "jobs": made}


def _nobodys(envelope: str) -> str:
    """Without the name of this machine."""
    return WORKER.sub('"worker": "host:1"', envelope)


def main() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    with tempfile.TemporaryDirectory(prefix="clipstream-contract-") as folder:
        found = asyncio.run(recorded(sys.argv[1], Path(folder)))
    (SAMPLES / f"{found['version']}.json").write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
