"""One run of the system's benchmark: the whole stack, a client of it, and the sources that its jobs are cut from."""

import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

from bench.cutting.cuts import Cut, anywhere, index_of
from bench.sources import CACHE, GOPS, Source, make
from bench.system.talk import Talk, each_once, make_talk
from clipstream import AsyncClipstream
from clipstream.models import Upload
from tests.whole_stack import System, running
from tools.local_stack import Plan

MEMORY = Path("/dev/shm")  # noqa: S108  files on a disk would measure the disk
OPEN = {"PORT": "0", "RATE_LIMIT_MAX": "0", "MAX_ACTIVE_JOBS_PER_CLIENT": "0", "MAX_INPUT_MB": "8192"}
"""One client asks for all the jobs, and one source is larger than what is taken by default."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much is measured: the whole, or a quick look."""

    rounds: int
    at_once: int
    alone: int
    talk: Talk
    film: Source


FULL = Size(rounds=5, at_once=20, alone=20, talk=Talk(720, GOPS[0], 300), film=Source(1080, GOPS[0], 150, 24))
"""The film is that of bench/cutting: an hour, 2.4 GB."""
QUICK = Size(rounds=1, at_once=5, alone=3, talk=Talk(720, GOPS[0], 60), film=Source(1080, GOPS[0], 60, 12))


@dataclass(frozen=True, slots=True)
class Session:
    """`keyed`: ranges from keyframe to keyframe; `unheard`: the same, none twice, for jobs with subtitles; `loose`: ranges anywhere."""

    size: Size
    system: System
    client: AsyncClipstream
    source: Upload
    """The talk."""
    keyed: Iterator[Cut]
    unheard: Iterator[Cut]
    loose: Iterator[Cut]
    folder: Path
    """In memory, gone at the end."""

    @property
    def environ(self) -> dict[str, str]:
        return dict(self.system.stack.environ)


@asynccontextmanager
async def session(size: Size) -> AsyncIterator[Session]:
    """The stack's state lies on the disk, its scratch in memory."""
    CACHE.mkdir(exist_ok=True)
    await make_talk(size.talk)
    await make([size.film])
    index = await index_of(size.talk)
    with (
        tempfile.TemporaryDirectory(prefix="clipstream-bench-", dir=MEMORY if MEMORY.is_dir() else None) as memory,
        tempfile.TemporaryDirectory(prefix="stack-", dir=CACHE) as home,
    ):
        plan = Plan(Path(home), {**os.environ, **OPEN, "SCRATCH_DIR": f"{memory}/scratch"})
        async with running(plan) as system, AsyncClipstream(system.stack.url) as client:
            ranges = each_once(index, seed=12)
            yield Session(
                size=size,
                system=system,
                client=client,
                source=await client.upload(size.talk.path, resume=False),
                keyed=cycle(ranges),
                unheard=iter(ranges),
                loose=cycle(anywhere(index, 100, seed=12)),
                folder=Path(memory),
            )
