"""Every `nats` and `curl` command of docs/runbook.md is run as it stands, its sequences and job ids filled in: one that fails is a bug.

`nats` is wire/nats here, which sends the same requests; the runbook's other commands need a cluster or a deployment.
"""

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from libs.common.domain.events import StageName
from libs.common.domain.subjects import CLIPS, DLQ
from libs.common.runtime.settings import Secret, load
from services.api.caller import Scope
from services.api.key_store import KeyStore, KeyWish
from services.api.keys import Pepper
from services.api.server import serving
from services.api.settings import ApiSettings
from tests.documents.blocks import ROOT, blocks_of
from tests.janitor.conftest import World
from tests.janitor.steps import dead_letter, job_of, letters, until, work_of

COMMANDS = [command for console in blocks_of("docs/runbook.md", "console") for command in console.commands]
SECRET = "s" * 32
JOB_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
SEQUENCE = re.compile(r'("seq":|DLQ |/dlq/)\d+')
MONITOR = "$NATS_MONITOR"
"""The monitoring port, which the tests' server doesn't open."""


@pytest.fixture
async def url(served: World) -> AsyncIterator[str]:
    """An API with the admin routes, beside the janitor."""
    settings = load(ApiSettings, {**served.own.variables, "PORT": "0", "ADMIN_ENABLED": "true", "API_SECRET": SECRET})
    async with serving(settings, served.c) as url:
        yield url


async def operators_key(served: World) -> str:
    store = KeyStore(served.c.pool, Pepper(Secret(SECRET)))
    credentials, _ = await store.create(KeyWish(name="ops", scopes=frozenset({Scope.ADMIN})))
    return credentials.written.reveal()


async def pasted(command: str, folder: Path, environ: dict[str, str]) -> str:
    process = await asyncio.create_subprocess_exec(
        *("bash", "-o", "pipefail", "-c", command),
        cwd=folder,
        env={**os.environ, **environ, "PATH": f"{ROOT / 'tests/janitor/wire'}{os.pathsep}{os.environ['PATH']}", "PYTHON": sys.executable},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(90):
        output, _ = await process.communicate()
    assert process.returncode == 0, (command, output.decode())
    return output.decode()


def effect(command: str) -> str:
    """What the output of a command that changes something must say."""
    if "replay" in command:
        return '"run":2'
    if "DELETE" in command and "/api/jobs/" in command:
        return "cancel"
    if "discard" in command or "DELETE" in command:
        return '"inHistory":true' if "all" not in command else '"unconfirmed":1'
    return ""


@pytest.mark.parametrize("kind", ["list", "show", "replay", "discard", "nats pub", "stream get", "stream view", "micro info", "curl"])
def test_the_runbook_has_commands_of_each_kind(kind: str) -> None:
    assert any(kind in command for command in COMMANDS)


async def test_every_command_of_the_runbook_works_as_it_stands(served: World, url: str, tmp_path: Path) -> None:
    (tmp_path / "key").write_text(f"X-API-Key: {await operators_key(served)}\n")
    environ = {"NATS_URL": served.own.variables["NATS_URL"], "URL": url}
    for command in dict.fromkeys(COMMANDS):
        if MONITOR in command or ("DELETE" in command and "/api/jobs/" in command):
            continue
        await served.bus.js.purge_stream(DLQ)
        cause = await dead_letter(served, stage=StageName.CLIPPER)
        [sequence] = await letters(served)
        filled = JOB_ID.sub(str(cause.job_id), SEQUENCE.sub(rf"\g<1>{sequence}", command))
        output = await pasted(filled, tmp_path, environ)
        assert '"error":{' not in output, (filled, output)
        assert effect(command) in output, (filled, output)
        if command.startswith("nats pub"):
            [published] = await until(lambda: work_of(served))
            assert published.job_id == cause.job_id
        await served.bus.js.purge_stream(CLIPS)


async def test_a_job_is_cancelled_as_the_runbook_says(served: World, url: str, tmp_path: Path) -> None:
    [command] = [command for command in COMMANDS if "DELETE" in command and "/api/jobs/" in command]
    cause = await dead_letter(served)
    await pasted("nats req clipstream.dlq.replay '{\"all\":true}'", tmp_path, {"NATS_URL": served.own.variables["NATS_URL"]})
    await pasted(JOB_ID.sub(str(cause.job_id), command), tmp_path, {"URL": url})
    assert (await job_of(served, cause.job_id)).status == "cancelled"
