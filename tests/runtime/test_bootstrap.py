"""`python -m libs.common.runtime.bootstrap`: makes everything, as often as one likes, and says clearly why it could not."""

import asyncio
import os
import sys
from pathlib import Path

import pytest

from libs.common.runtime.bootstrap import BootstrapFailed, bootstrap
from libs.common.runtime.settings import CommonSettings, load
from tests.runtime.own_nats import connected_bus, own_nats

ROOT = Path(__file__).parents[2]


async def run(environ: dict[str, str]) -> tuple[int | None, str]:
    """Exit code and standard error."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "libs.common.runtime.bootstrap",
        cwd=ROOT,
        env={**os.environ, **environ},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    _, problems = await process.communicate()
    return process.returncode, problems.decode()


async def test_it_makes_streams_and_buckets_and_may_run_again_and_twice_at_once(servers: dict[str, str], tmp_path: Path) -> None:
    async with own_nats(servers, tmp_path) as own:
        assert await asyncio.gather(run(own.variables), run(own.variables)) == [(0, ""), (0, "")]
        async with connected_bus(own.variables["NATS_URL"]) as bus:
            assert [info.config.name for info in await bus.js.streams_info()] == ["ADVISORIES", "CLIPS", "DLQ"]
            assert len(await bus.js.consumers_info("CLIPS")) == 12


async def test_it_waits_for_servers_that_come_late(servers: dict[str, str], tmp_path: Path) -> None:
    async with own_nats(servers, tmp_path) as own:
        await own.nats.stop()
        making = asyncio.create_task(bootstrap(load(CommonSettings, own.variables), patience=20))
        await asyncio.sleep(0)
        await own.nats.start()
        assert await making == []


async def test_it_gives_up_with_the_reason_when_a_server_stays_away(servers: dict[str, str]) -> None:
    settings = load(CommonSettings, {**servers, "NATS_URL": "nats://127.0.0.1:1"})
    with pytest.raises(BootstrapFailed, match="the message server can't be reached"):
        await bootstrap(settings, patience=0)


async def test_it_gives_up_in_the_servers_words_when_the_server_refuses(servers: dict[str, str], tmp_path: Path) -> None:
    async with own_nats(servers, tmp_path) as own:
        settings = load(CommonSettings, {**own.variables, "STREAM_REPLICAS": "3"})
        with pytest.raises(BootstrapFailed, match="stream CLIPS: the message server refuses: replicas > 1"):
            await bootstrap(settings, patience=2)


async def test_production_refuses_servers_that_may_lose_work_and_names_the_rule(servers: dict[str, str], tmp_path: Path) -> None:
    async with own_nats(servers, tmp_path) as own:
        code, problems = await run({**own.variables, "ENVIRONMENT": "production", "NATS_MONITOR_URLS": "http://127.0.0.1:1"})
    assert code == 1
    assert "refuses these streams in production" in problems
    assert "doesn't say whether it syncs always" in problems
