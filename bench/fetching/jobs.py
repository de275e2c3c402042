"""Rows 13, 19 and 20: whole jobs by URL on the whole stack with two resolvers: shared fetches, seconds, and the resolver's memory."""

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from pathlib import Path
from statistics import median
from typing import Any

from bench.fetching.fetches import KINDS
from bench.fetching.memory import watched
from bench.fetching.ranges import Range, ranges
from bench.figures import Figure, Verdict, at_most
from bench.processes import children, command_of
from tests.sites.films import FRAME_RATE
from tests.sites.packagings import packaged
from tests.sites.site import Site
from tests.whole_stack import System

AT_ONCE = 20
MOST_MEMORY = 150
"""MB of the resolver's own process."""
RESOLVER, CHILD, DESCRIBER = "services.resolver", "services.resolver.fetch", "services.resolver.description"


@dataclass(slots=True)
class Jobs:
    """Jobs for one film on a site. Each `fresh` URL is one that nobody has asked for."""

    system: System
    site: Site
    film: Path
    seconds: int
    numbers: "count[int]"

    def fresh(self, kind: str) -> str:
        return self.site.file(packaged(self.film, kind), number=next(self.numbers))

    @property
    def middle(self) -> Range:
        return ranges(self.seconds, FRAME_RATE, 1, seed=0)[0]

    async def run(self, urls: Sequence[str]) -> "Ran":
        """All at once."""
        self.site.forget()
        wanted = self.middle
        made = await asyncio.gather(*(self.system.submit_url(url, wanted.start, wanted.end) for url in urls))
        ended = [await self.system.until(job_id, status="done") for job_id in made]
        return Ran(ended, self.site.sent, len(self.site.requests))

    async def uploaded(self) -> "Ran":
        wanted = self.middle
        job_id = await self.system.submit(self.film, start=wanted.start, end=wanted.end)
        return Ran([await self.system.until(job_id, status="done")], 0, 0)


@dataclass(frozen=True, slots=True)
class Ran:
    """Jobs that are done; bytes that the site sent for them, and in how many answers."""

    jobs: list[dict[str, Any]]
    sent: int
    answers: int

    @property
    def seconds(self) -> float:
        """From the first acceptance to the last end."""
        created, ended = ([datetime.fromisoformat(job[name]) for job in self.jobs] for name in ("createdAt", "updatedAt"))
        return (max(ended) - min(created)).total_seconds()


async def measure(system: System, site: Site, film: Path, seconds: int, rounds: int) -> list[Figure]:
    jobs = Jobs(system, site, film, seconds, count())
    await jobs.run([jobs.fresh("hls-ts")])
    await jobs.uploaded()
    shared = [await _shared(jobs, kind) for kind in ("faststart", "hls-ts")]
    alone = [await _beside_uploads(jobs, kind, rounds) for kind in ("faststart", "hls-ts")]
    return [await _memory(jobs), *shared, *alone]


async def _shared(jobs: Jobs, kind: str) -> Figure:
    one = await jobs.run([jobs.fresh(kind)])
    shared = await jobs.run([jobs.fresh(kind)] * AT_ONCE)
    apart = await jobs.run([jobs.fresh(kind) for _ in range(AT_ONCE)])
    target, verdict = at_most(shared.answers / one.answers, 1)
    return Figure(
        row="19",
        what=f"{AT_ONCE} jobs at once for one URL, {kind}",
        ours=f"{shared.answers / one.answers:.2f} x the answers of one, all done in {shared.seconds:.1f} s",
        peer=f"{AT_ONCE} URLs {apart.answers / one.answers:.2f} x, {apart.seconds:.1f} s",
        ratio=shared.answers / one.answers,
        target=target,
        verdict=verdict,
        detail=f"bytes {shared.sent / one.sent:.2f} x, {AT_ONCE} URLs {apart.sent / one.sent:.2f} x; two resolvers; "
        f"one alone {one.answers} answers, {one.sent / 1e6:.2f} MB, {one.seconds:.1f} s; {AT_ONCE} URLs are what no cache costs",
    )


async def _beside_uploads(jobs: Jobs, kind: str, rounds: int) -> Figure:
    """In turns. A job whose section is there already is a third kind."""
    fetched, again, uploaded = list[Ran](), list[Ran](), list[Ran]()
    for _ in range(rounds):
        url = jobs.fresh(kind)
        uploaded.append(await jobs.uploaded())
        fetched.append(await jobs.run([url]))
        again.append(await jobs.run([url]))
    ours, cached, peer = (median(ran.seconds for ran in some) for some in (fetched, again, uploaded))
    return Figure(
        row="20",
        what=f"whole job by URL, {kind}",
        ours=f"{ours:.2f} s, from the cache {cached:.2f} s",
        peer=f"upload {peer:.2f} s",
        ratio=ours / peer,
        detail=f"accepted to done, medians of {rounds}; slowest {max(ran.seconds for ran in fetched):.2f} s; "
        f"the upload is the whole film of {jobs.film.stat().st_size / 1e6:.0f} MB and is there before its job is accepted",
    )


async def _memory(jobs: Jobs) -> Figure:
    """After all the other jobs: the kernel's marks of the resolvers cover those as well."""
    resolvers = [pid for pid in children(os.getpid()) if RESOLVER in command_of(pid)]
    async with watched(resolvers, (RESOLVER, CHILD, DESCRIBER)) as high:
        for kind in KINDS:
            await jobs.run([jobs.fresh(kind)])
    own = high.rss[RESOLVER] / 1e6
    verdict: Verdict = "reached" if own <= MOST_MEMORY else "missed"
    return Figure(
        row="13",
        what="memory of the resolver while it fetches",
        ours=f"{own:.0f} MB",
        target=f"<= {MOST_MEMORY} MB",
        verdict=verdict,
        detail="RSS (PSS) high-water marks: "
        + ", ".join(f"{name} {high.rss[name] / 1e6:.0f} ({high.pss[name] / 1e6:.0f}) MB" for name in sorted(high.rss))
        + f"; a child for each fetch, {len(resolvers)} resolvers, the larger counts",
    )
