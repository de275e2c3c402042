"""The whole local stack as one context: servers, migrations, streams and buckets, then the services of the Procfile."""

import asyncio
import json
import os
import shlex
import sys
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from libs.common.runtime.embedded import local_servers
from libs.common.runtime.embedded_home import Memory, PortClaims, write_private
from libs.common.runtime.fonts import fonts_folder
from tools.migrations import migrate
from tools.setup import ROOT, read_stamp
from tools.supervisor import Service, Write, parse_procfile, supervised

USUAL_PORT = 8080
READY_POLL_SECONDS = 0.05


class StackFailed(RuntimeError):
    """The stack can't run; the message says why and what to do."""


@dataclass(frozen=True)
class Plan:
    """What to run, where its state lies, and the environment it is configured by."""

    home: Path
    environ: Mapping[str, str]
    procfile: Path = ROOT / "Procfile"
    migrations: Path = ROOT / "libs" / "common" / "migrations"
    bootstrap: str = "python -m libs.common.runtime.bootstrap"
    root: Path = ROOT
    """Whose bootstrap that is."""
    ready_seconds: float = 60.0

    @property
    def log(self) -> Path:
        return self.home / "stack.log"


@dataclass(frozen=True)
class Stack:
    """A running stack: where its API answers, and the environment that its services have."""

    url: str
    environ: Mapping[str, str]


@asynccontextmanager
async def running_stack(plan: Plan, write: Write) -> AsyncIterator[Stack]:
    """Everything up while inside; on leaving the services drain, then the servers end. Not yet ready when it begins."""
    async with local_servers(plan.home, plan.environ) as variables:
        claims = PortClaims()
        try:
            port = api_port(plan.environ, claims, write)
            environ = service_environ(plan, variables)
            await migrate(plan.migrations, environ)
            await _bootstrap(plan, environ)
            async with supervised(services_of(plan, environ, port, claims), write):
                yield Stack(f"http://127.0.0.1:{port}", environ)
        finally:
            state_file(plan.home).unlink(missing_ok=True)
            claims.close()


def api_port(environ: Mapping[str, str], claims: PortClaims, write: Write) -> int:
    """PORT, which must be free; unset, 8080 or else any."""
    wanted = environ.get("PORT", "")
    if wanted and not wanted.isdecimal():
        raise StackFailed(f"PORT must be a number, not {wanted!r}")
    if int(wanted or 0):
        if not claims.claim(int(wanted)):
            raise StackFailed(f"port {wanted} is taken: stop what uses it, or set PORT to another (PORT=0 chooses a free one)")
        return int(wanted)
    port = claims.claim_any(None if wanted else USUAL_PORT)
    if port != USUAL_PORT:
        write("stack", f"the API takes port {port}" + ("" if wanted else f": {USUAL_PORT} is taken"))
    return port


def service_environ(plan: Plan, variables: Mapping[str, str]) -> dict[str, str]:
    """The user's environment, over it what this stack decides, under it our defaults."""
    programs = read_stamp(Path(sys.prefix))
    fonts = fonts_folder()
    defaults = {
        "FFMPEG_BIN": programs.get("ffmpeg", "ffmpeg"),
        "FFPROBE_BIN": programs.get("ffprobe", "ffprobe"),
        "SCRATCH_DIR": str(plan.home / "scratch"),
        "PYTHONUNBUFFERED": "1",
        "API_SECRET": Memory(plan.home).secret("api_secret"),
        **({"FONTS_DIR": str(fonts)} if fonts else {}),
    }
    path = f"{Path(sys.executable).parent}{os.pathsep}{plan.environ.get('PATH', os.defpath)}"
    return {**defaults, **plan.environ, **variables, "PATH": path}


def services_of(plan: Plan, environ: Mapping[str, str], port: int, claims: PortClaims) -> list[Service]:
    """`api` gets PORT; each other one a free HEALTH_PORT, the same after its restarts."""
    Path(environ["SCRATCH_DIR"]).mkdir(parents=True, exist_ok=True)
    services = []
    for name, command in parse_procfile(plan.procfile.read_text()).items():
        own = {"PORT": str(port)} if name == "api" else {"HEALTH_PORT": str(claims.claim_any())}
        services.append(Service(name, command, {**environ, **own}))
    return services


async def _bootstrap(plan: Plan, environ: Mapping[str, str]) -> None:
    """Streams, consumers and buckets."""
    process = await asyncio.create_subprocess_exec(
        *shlex.split(plan.bootstrap),
        cwd=plan.root,
        env=environ,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    if process.returncode:
        raise StackFailed(f"`{plan.bootstrap}` failed:\n{output.decode(errors='replace')}")


async def until_ready(plan: Plan, stack: Stack) -> None:
    """Return when the API says that everything it needs is there; then note the address for `start` and `status`."""
    try:
        async with asyncio.timeout(plan.ready_seconds):
            while not await asyncio.to_thread(_answers, f"{stack.url}/readyz"):
                await asyncio.sleep(READY_POLL_SECONDS)
    except TimeoutError:
        raise StackFailed(f"{stack.url}/readyz did not answer 200 within {plan.ready_seconds:g} s") from None
    own = {name: value for name, value in stack.environ.items() if plan.environ.get(name) != value}
    write_private(state_file(plan.home), json.dumps({"pid": os.getpid(), "url": stack.url, "environ": own}))


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 - always our own http address
            return bool(answer.status == 200)  # noqa: PLR2004
    except (OSError, urllib.error.HTTPError):
        return False


def state_file(home: Path) -> Path:
    """Says where a ready stack answers: `{"pid": …, "url": …, "environ": …}`, the last being what it decided itself."""
    return home / "stack.json"


def ready_url(home: Path, pid: int) -> str | None:
    """The address of the stack that process `pid` runs, once it is ready."""
    state = _ready_state(home, pid)
    return str(state["url"]) if state else None


def ready_environ(home: Path, pid: int) -> dict[str, str] | None:
    """The variables that reach the stack that process `pid` runs, once it is ready: its servers, its secret, CLIPSTREAM_URL."""
    state = _ready_state(home, pid)
    return {**state["environ"], "CLIPSTREAM_URL": state["url"]} if state else None


def _ready_state(home: Path, pid: int) -> dict[str, Any] | None:
    try:
        state: dict[str, Any] = json.loads(state_file(home).read_text())
    except (OSError, ValueError):
        return None
    return state if state["pid"] == pid else None
