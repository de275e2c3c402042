"""A reader of our documents: a folder that looks like the checkout, and the whole stack, running already, which the commands find."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.documents.blocks import ROOT, Block, pasted
from tests.e2e.conftest import System, running, small  # noqa: F401  a fixture, here for our tests too
from tests.resolver.visiting import allowing
from tests.sites.films import FOLDER
from tests.sites.site import Site, open_site
from tools.local_stack import Plan

MAKE = """#!/bin/sh
case "$1" in
  start) echo "$CLIPSTREAM_URL" ;;
  setup | stop | demo | test) ;;
  *) echo "make $1 is run by no test of the documents" >&2; exit 2 ;;
esac
"""
CLIPSTREAM = f"""#!/bin/sh
case "$1" in
  up) echo "$CLIPSTREAM_URL" ;;
  down) ;;
  *) exec {ROOT}/.venv/bin/clipstream "$@" ;;
esac
"""
"""The stack is the tests': whoever starts or stops one is told that it runs. All else is the real command."""


@dataclass(frozen=True, slots=True)
class Callbacks:
    """Where webhooks go, and what came; and a second port that they may go to."""

    url: str
    port: int
    other_port: int
    heard: list[dict[str, Any]] = field(default_factory=list)

    async def hear(self, request: web.Request) -> web.Response:
        self.heard.append(await request.json())
        return web.Response(status=204)


@pytest.fixture(scope="session")
async def callbacks(unused_tcp_port_factory: Any) -> AsyncIterator[Callbacks]:
    port, other = unused_tcp_port_factory(), unused_tcp_port_factory()
    callbacks = Callbacks(f"http://127.0.0.1:{port}/hook", port, other)
    app = web.Application()
    app.router.add_post("/hook", callbacks.hear)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    yield callbacks
    await runner.cleanup()


@pytest.fixture(scope="session")
async def site(pytestconfig: pytest.Config) -> AsyncIterator[Site]:
    """Whose films jobs may name by URL."""
    async with open_site(Path(pytestconfig.cache.mkdir(FOLDER))) as site:
        yield site


@pytest.fixture(scope="session")
async def system(tmp_path_factory: pytest.TempPathFactory, site: Site, callbacks: Callbacks) -> AsyncIterator[System]:
    """With all that documents speak of switched on."""
    free = {"PORT": "0", "RATE_LIMIT_MAX": "0", "MAX_ACTIVE_JOBS_PER_CLIENT": "0", "ADMIN_ENABLED": "true", "WEBHOOK_ALLOW_HTTP": "true"}
    allowed = allowing(site.port, callbacks.port, callbacks.other_port)
    async with running(Plan(tmp_path_factory.mktemp("stack"), {**os.environ, **free, **allowed})) as system:
        yield system


@pytest.fixture(scope="session")
async def operators_key(system: System) -> str:
    command = (sys.executable, "-m", "services.api.keys_command", "create", "--name", "ops", "--scope", "admin")
    made = await asyncio.create_subprocess_exec(*command, cwd=ROOT, env=system.stack.environ, stdout=asyncio.subprocess.PIPE)
    printed, _ = await made.communicate()
    return printed.decode().strip()


@dataclass(frozen=True, slots=True)
class Reader:
    """Who pastes what documents say, in a folder that looks like the checkout."""

    folder: Path
    environ: dict[str, str]

    async def pastes(self, blocks: list[Block], *, seconds: float = 60, **variables: str) -> list[str]:
        return await pasted(blocks, self.folder, {**self.environ, **variables}, seconds=seconds)

    async def types(self, command: str, *, seconds: float = 60, **variables: str) -> str:
        [printed] = await self.pastes([Block("a test", 1, "", "bash", command)], seconds=seconds, **variables)
        return printed


@pytest.fixture
async def reader(system: System, operators_key: str, tmp_path: Path) -> Reader:
    programs = tmp_path / ".venv" / "bin"
    programs.mkdir(parents=True)
    for name, text in {"make": MAKE, "clipstream": CLIPSTREAM}.items():
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    for name in ("deploy", "clients"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "key").write_text(f"X-API-Key: {operators_key}\n")
    url = system.stack.url
    own = {name: str(tmp_path / "home") for name in ("XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME")}
    path = f"{programs}{os.pathsep}{system.stack.environ['PATH']}"
    return Reader(tmp_path, {**system.stack.environ, "PATH": path, "URL": url, "CLIPSTREAM_URL": url, **own})
