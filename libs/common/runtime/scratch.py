"""Scratch folders: where an attempt keeps its files, that nothing of them stays, and whether there is room for more of them."""

import asyncio
import errno
import fcntl
import os
import re
import shutil
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from itertools import count
from pathlib import Path
from uuid import UUID, uuid4

from prometheus_client import Gauge

from libs.common.domain.events import StageName
from libs.common.runtime.health import Health
from libs.common.runtime.logs import logger
from libs.common.runtime.resources import Resource
from libs.common.runtime.settings import CommonSettings

log = logger(__name__)
SCRATCH_BYTES = Gauge("clip_scratch_bytes", "What the files under SCRATCH_DIR take of the disk")
SCRATCH_FREE_BYTES = Gauge("clip_scratch_free_bytes", "Free space on the disk of SCRATCH_DIR")
SCRATCH_FULL = Gauge("clip_scratch_full", "1 while scratch is over its limits and this process takes no more work")

MIB = 2**20
BLOCK = 512
"""Bytes of a block as stat counts them, whatever the file system's own are (POSIX)."""
LOOK_EVERY = 2.0
SWEEP_EACH = 30
"""Looks between two sweeps."""
SETTLED = 60.0
"""Seconds after which a folder that nobody has locked belongs to nobody: a new one is locked a moment after it is made."""
OURS = re.compile(rf"({'|'.join(StageName)})-[0-9a-f]{{8}}(-[0-9a-f]{{4}}){{3}}-[0-9a-f]{{12}}-[0-9a-f]{{8}}")
"""The names of attempts' folders: nothing else in SCRATCH_DIR is ours to delete."""
OUT_OF_ROOM = 8 * MIB
"""Free space below which an attempt that failed is taken to have failed for it: what ran dry says so in a hundred ways."""


@asynccontextmanager
async def scratch(settings: CommonSettings, job_id: UUID, stage: StageName) -> AsyncIterator[Callable[[], Path]]:
    """A private folder for one attempt, made when it is first asked for and removed at the end unless the settings keep it.

    Raises OSError(ENOSPC) for a full disk.
    """
    folder = settings.scratch_dir / f"{stage}-{job_id}-{uuid4().hex[:8]}"
    keep, lock = settings.keep_failed, ExitStack()

    @cache
    def made() -> Path:
        folder.mkdir(parents=True, mode=0o700)
        lock.enter_context(locked(folder))
        return folder

    try:
        with lock:
            yield made
        keep = settings.keep_scratch_on_success
    except Exception as error:
        if made.cache_info().currsize and shutil.disk_usage(folder).free < OUT_OF_ROOM:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from error
        raise
    finally:
        if made.cache_info().currsize and not keep:
            await asyncio.shield(_removed(folder))


async def _removed(folder: Path) -> None:
    """An empty one at once: a thread costs more than that."""
    try:
        folder.rmdir()
    except OSError:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


@contextmanager
def locked(folder: Path) -> Iterator[bool]:
    """Ours while inside, or until we die; False where it is another's."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield True
    except BlockingIOError:
        yield False
    finally:
        os.close(descriptor)


def sweep(scratch_dir: Path, now: float) -> int:
    """Remove the folders of attempts whose process died; how many they were. `now` in seconds of the epoch."""
    swept = 0
    for folder in scratch_dir.glob("*-*"):
        with suppress(OSError):  # gone meanwhile, or not ours
            if OURS.fullmatch(folder.name) and now - folder.stat().st_mtime > SETTLED and _sweep_one(folder):
                swept += 1
    return swept


def _sweep_one(folder: Path) -> bool:
    with locked(folder) as dead:
        if dead:
            shutil.rmtree(folder, ignore_errors=True)
    return dead


@dataclass(frozen=True, slots=True)
class Space:
    """Bytes: what a folder's files take, and what is free on its disk."""

    used: int
    free: int


def space_of(folder: Path) -> Space:
    """Measured now; a folder that is not there yet counts as empty."""
    there = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    return Space(sum(_sizes(folder)), shutil.disk_usage(there).free)


def _sizes(folder: Path) -> list[int]:
    """Of every file, as far as it is still there when we come to it."""
    sizes = []
    for parent, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                sizes.append(os.lstat(os.path.join(parent, name)).st_blocks * BLOCK)  # noqa: PTH118  a Path for each of many files costs more than its size
    return sizes


class ScratchRoom:
    """Whether there is room for more work, by SCRATCH_MIN_FREE_MB and SCRATCH_MAX_MB. Until `watch` runs there always is."""

    def __init__(self, settings: CommonSettings) -> None:
        self._folder = settings.scratch_dir
        self._keeps = settings.keep_failed or settings.keep_scratch_on_success
        self._least_free = settings.scratch_min_free_mb * MIB
        self._most_used = settings.scratch_max_mb * MIB if settings.scratch_max_mb else None
        self._free = asyncio.Event()
        self._free.set()
        self.space = Space(0, 0)
        self._resource = Resource("scratch", "free space on the disk of SCRATCH_DIR, give it a larger one, or raise SCRATCH_MAX_MB")

    @property
    def _used_ratio(self) -> float:
        """By the limit that is nearer; it passes 1 where `is_full` begins."""
        by_free = self._least_free / max(1, self.space.free)
        return max(by_free, self.space.used / self._most_used if self._most_used else 0.0)

    @property
    def is_full(self) -> bool:
        return not self._free.is_set()

    async def until_free(self) -> None:
        await self._free.wait()

    async def watch(self, health: Health) -> None:
        """Measure until cancelled, and say in `health` when there is no room. Every minute, what the dead left goes."""
        for turn in count():
            await self.look()
            if turn % SWEEP_EACH == 0 and not self._keeps and (swept := await asyncio.to_thread(sweep, self._folder, time.time())):
                log.info("scratch folders of dead workers removed", folders=swept)
            (health.full.add if self.is_full else health.full.discard)("scratch")
            await asyncio.sleep(LOOK_EVERY)

    async def look(self) -> None:
        """Measure once."""
        self.space = await asyncio.to_thread(space_of, self._folder)
        SCRATCH_BYTES.set(self.space.used)
        SCRATCH_FREE_BYTES.set(self.space.free)
        self._resource.note(self._used_ratio)
        self._note(full=self.space.free < self._least_free or (self._most_used is not None and self.space.used > self._most_used))

    def _note(self, *, full: bool) -> None:
        SCRATCH_FULL.set(full)
        sizes = {"usedMb": self.space.used // MIB, "freeMb": self.space.free // MIB}
        if full and not self.is_full:
            log.warning("scratch is full: no more work is taken", **sizes)
            self._free.clear()
        elif self.is_full and not full:
            log.info("scratch has room again", **sizes)
            self._free.set()
