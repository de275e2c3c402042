"""The services' processes: each replica restarted at once when it ends, and killed, stopped or held by the test that watches it."""

import asyncio
import os
import resource
import signal
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from libs.common.runtime.embedded_process import tied_to_parent

RESTART_PAUSE = 0.1
DRAIN_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Exit:
    """How one process of a replica ended: the negative number of a signal, or its code. `at` on the wall clock, as events are."""

    replica: str
    pid: int
    at: float
    code: int
    scratch: Path


def _set() -> asyncio.Event:
    event = asyncio.Event()
    event.set()
    return event


@dataclass(slots=True)
class Replica:
    """One place for a process of a service. Every process of it has a scratch folder of its own, so that its leavings are known."""

    name: str
    service: str
    environ: Mapping[str, str]
    folder: Path
    port: int
    exits: list[Exit] = field(default_factory=list)
    starts: int = 0
    process: asyncio.subprocess.Process | None = None
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    ends: bool = False
    code: str = "code"
    """The folder of the version that its next process runs."""
    ran: dict[int, str] = field(default_factory=dict)
    """That folder, by the id of each process so far."""
    may_start: asyncio.Event = field(default_factory=_set)

    @property
    def log(self) -> Path:
        return self.folder / "logs" / f"{self.name}.log"

    @property
    def scratch(self) -> Path:
        return self.folder / "scratch" / f"{self.name}.{self.starts}"

    @property
    def pid(self) -> int:
        assert self.process, f"{self.name} is not running"
        return self.process.pid

    async def keep_running(self) -> None:
        """Until `end`."""
        while not self.ends:
            await self.may_start.wait()
            process = self.process = await self._spawn()
            self.ran[process.pid] = self.code
            code = await process.wait()
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # its session only; what has a group of its own must end by itself
            self.exits.append(Exit(self.name, process.pid, time.time(), code, self.scratch))
            self.changed.set()
            await asyncio.sleep(RESTART_PAUSE)

    async def _spawn(self) -> asyncio.subprocess.Process:
        self.starts += 1
        self.scratch.mkdir(parents=True)
        self.log.parent.mkdir(exist_ok=True)
        with self.log.open("ab") as log:
            return await asyncio.create_subprocess_exec(
                sys.executable,
                *("-m", f"services.{self.service}"),
                cwd=self.folder / self.code,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**self.environ, "SCRATCH_DIR": str(self.scratch)},
                start_new_session=True,
                preexec_fn=tied_to_parent(signal.SIGKILL),
            )

    def send(self, sign: signal.Signals) -> None:
        """To the process itself, as Kubernetes or the kernel would."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, sign)

    async def exit_after(self, count: int, *, seconds: float = 60) -> Exit:
        """The exit that follows the first `count`."""
        async with asyncio.timeout(seconds):
            while len(self.exits) <= count:
                self.changed.clear()
                await self.changed.wait()
        return self.exits[count]

    async def killed(self, sign: signal.Signals = signal.SIGKILL) -> Exit:
        """Send the signal and return how it ended."""
        before = len(self.exits)
        self.send(sign)
        return await self.exit_after(before)

    async def end(self) -> None:
        self.ends = True
        self.send(signal.SIGTERM)
        try:
            await self.exit_after(len(self.exits), seconds=DRAIN_SECONDS)
        except TimeoutError:
            self.send(signal.SIGKILL)

    @property
    def is_alive(self) -> bool:
        return self.process is not None and self.process.returncode is None

    def footprint(self) -> tuple[int, int]:
        """Resident bytes and open descriptors of the process."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * resource.getpagesize(), len(list(Path(f"/proc/{self.pid}/fd").iterdir()))


def leavings(replicas: list[Replica]) -> tuple[list[str], int]:
    """Scratch folders that processes left which live, or ended of themselves; and the number of those that kill -9 left behind."""
    ended = {end.scratch: end.code for replica in replicas for end in replica.exits}
    untidy, killed = [], 0
    for replica in replicas:
        for scratch in (replica.folder / "scratch").glob(f"{replica.name}.*"):
            left = [str(path) for path in scratch.iterdir()]
            if ended.get(scratch, 0) == -signal.SIGKILL:
                killed += len(left)
            else:
                untidy += left
    return untidy, killed
