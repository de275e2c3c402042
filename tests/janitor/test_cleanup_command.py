"""The clean-up as a command: what it says, what it deletes, and that it waits its turn. On real Postgres and S3."""

import asyncio
import json
import os
import sys
from pathlib import Path
from uuid import uuid4

import pytest

from services.janitor import cleanup_command
from tests.builders import requested, started
from tests.janitor.commands import mained
from tests.janitor.conftest import World
from tests.janitor.steps import ago, job_of, job_with
from tests.janitor.test_retention import StageName, files_of, finished_job

ROOT = Path(__file__).parents[2]


@pytest.fixture
def world(emptied: World) -> World:
    return emptied


async def command(world: World, *options: str, **variables: str) -> tuple[int, str, str]:
    """(exit code, stdout, stderr)"""
    told = await mained(environ_of(world, **variables), cleanup_command, *options)
    return told.code, told.out, told.err


def environ_of(world: World, **variables: str) -> dict[str, str]:
    return {**world.own.variables, "CLEANUP_PAUSE_MS": "1", **variables}


async def process(world: World, *options: str) -> tuple[int | None, str, str]:
    """The same of a process."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "services.janitor.cleanup_command", *options),
        cwd=ROOT,
        env={**os.environ, **environ_of(world)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, said = await process.communicate()
    return process.returncode, out.decode(), said.decode()


@pytest.fixture
async def _emptied(world: World) -> None:
    await world.c.pool.execute("TRUNCATE source_fetches, uploads, leases")
    for bucket, prefix in ((world.objects.sources, "uploads/"), (world.objects.sources, "sources/cache/")):
        await bucket.delete([found.key async for found in bucket.list(prefix)])


@pytest.mark.usefixtures("_emptied")
async def test_a_dry_run_tells_what_would_go_and_the_command_then_deletes_it(world: World) -> None:
    jobs = [await finished_job(world, expires_at=ago(1)) for _ in range(3)]
    await job_with(world, requested(expires_at=ago(1)), started(StageName.RESOLVER), seconds_ago=1)
    await world.c.pool.execute(
        "INSERT INTO source_fetches VALUES ($1, $2, 0, 1, 'failed', 'h', NULL, NULL, '{}', now(), now() - interval '1 h')",
        *(uuid4(), bytes(32)),
    )
    code, out, said = await command(world, "--dry-run")
    assert code == 3
    assert "nothing was deleted" in said
    told = out.splitlines()
    assert told[0] == "retention:"
    assert told[1].startswith("  3 jobs, 3.0 KiB, oldest of 20")
    assert {"  1 jobs at work, put off", "  1 transcripts and broken fetches"} <= {line.partition(", oldest")[0] for line in told}
    assert told[-1].startswith("4 in all, 3.0 KiB would be deleted")
    assert [len(await files_of(world, job_id)) for job_id in jobs] == [2, 2, 2]

    assert (await command(world, "--json", CLEANUP_DRY_RUN="true"))[0] == 3
    code, out, said = await process(world, "--json")
    assert (code, said) == (0, "")
    *found, total = [json.loads(line) for line in out.splitlines()]
    assert [each["found"].pop("left", None) for each in found] == [{"jobs at work, put off": 1}, None]
    assert {each["sweep"]: {kind: of["count"] for kind, of in each["found"].items()} for each in found} == {
        "retention": {"jobs": 3},
        "source cache": {"transcripts and broken fetches": 1},
    }
    assert (total["count"], total["dry_run"]) == (4, False)
    assert [(await job_of(world, job_id)).status for job_id in jobs] == ["expired"] * 3
    assert await command(world) == (0, "0 in all, 0 bytes deleted, with pauses of about 0.0 s\n", "")


@pytest.mark.usefixtures("_emptied")
async def test_the_command_waits_for_a_janitor_that_is_at_it(world: World) -> None:
    job_id = await finished_job(world, expires_at=ago(1))
    async with world.store.lease("retention") as ours:
        assert ours
        waiting = asyncio.create_task(command(world))
        await asyncio.wait([waiting], timeout=3)
        assert not waiting.done()
        assert (await job_of(world, job_id)).status == "done"
    assert (await waiting)[0] == 0
    assert (await job_of(world, job_id)).status == "expired"
