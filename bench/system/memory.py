"""Row 13: memory of each service as the kernel marks it (proc(5): VmHWM), over the jobs of the run; a short source beside a long one."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.cutting.cuts import Cut, anywhere, at_keyframes, index_of
from bench.fetching.memory import HighWater, watched
from bench.figures import Figure, at_most
from bench.sources import Source
from bench.system.client import run, wrong
from bench.system.session import Session
from clipstream.job_options import JobOptions

SERVICES = ("api", "resolver", "clipper", "asr", "janitor")
LIMITS = {"api": 150, "resolver": 150, "janitor": 150, "clipper": 250}
"""MB of the service's own process."""
GROWTH = 1.2
"""Of a service by a source that is so much longer. A process of this size breathes by a tenth."""
PROGRAMS = ("ffmpeg", "ffprobe", "services.clipper.inspection", "services.asr.recogniser")
DRAWN = 100
RESET = "5"
"""Into clear_refs: the mark is what the process has now (proc(5))."""
ALL_KINDS: tuple[JobOptions, ...] = ({}, {"with_subtitles": True}, {"with_subtitles": True, "burn_subtitles": True})


async def measure(session: Session) -> list[Figure]:
    """After all other jobs: the first marks cover those as well."""
    before = marks(session)
    short, _, short_faults = await _over(session, session.size.talk)
    long, children, long_faults = await _over(session, session.size.film)
    faults = [*short_faults, *long_faults]
    highest = {name: max(before[name], short[name], long[name]) for name in SERVICES}
    return [*(_figure(name, highest[name], faults) for name in SERVICES), _growth(session, short, long, children)]


def marks(session: Session) -> dict[str, int]:
    """Bytes of each service, since its process began or since the last reset."""
    return {name: mark(session.system.pid(name)) for name in SERVICES}


def mark(pid: int) -> int:
    """Bytes."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM:"))


def reset(pid: int) -> None:
    Path(f"/proc/{pid}/clear_refs").write_text(RESET)


async def _over(session: Session, source: Source) -> tuple[dict[str, int], HighWater, list[str]]:
    """The marks over six jobs on this source, those of the programs below the services, and what is wrong with the results."""
    index = await index_of(source)
    upload = await session.client.upload(source.path, resume=False)
    pids = [session.system.pid(name) for name in SERVICES]
    for pid in pids:
        reset(pid)
    faults = list[str]()
    async with watched(pids, PROGRAMS) as high:
        for cuts in (at_keyframes(index, DRAWN, seed=13), anywhere(index, DRAWN, seed=13)):
            pairs = zip(filter(is_in_one_loop, cuts), ALL_KINDS, strict=False)
            jobs = await asyncio.gather(*(run(session.client, upload, cut, **options) for cut, options in pairs))
            found = [await wrong(session.client, job, session.folder / "memory", is_decoded=True) for job in jobs]
            faults += [fault for some in found for fault in some]
    return marks(session), high, faults


def is_in_one_loop(cut: Cut) -> bool:
    """Where loops meet, the source's own times jump."""
    return cut.first % cut.source.pictures + cut.frames <= cut.source.pictures


def _figure(name: str, highest: int, faults: Sequence[str]) -> Figure:
    if name not in LIMITS:
        return Figure(row="13", what=f"memory of {name}", ours=_megabytes(highest))
    within, verdict = at_most(highest / 1e6, LIMITS[name])
    return Figure(
        row="13",
        what=f"memory of {name}",
        ours=_megabytes(highest),
        target=within.replace(" x", " MB"),
        verdict="missed" if faults else verdict,
        detail=f"WRONG: {faults[0]}" if faults else "",
    )


def _growth(session: Session, short: Mapping[str, int], long: Mapping[str, int], children: HighWater) -> Figure:
    """Of the service that grew most."""
    ratios = {name: long[name] / short[name] for name in LIMITS}
    worst = max(ratios, key=lambda name: ratios[name])
    target, verdict = at_most(ratios[worst], GROWTH)
    film, talk = session.size.film, session.size.talk
    told = ", ".join(f"{name} {_megabytes(short[name])} and {_megabytes(long[name])}" for name in SERVICES)
    below = ", ".join(f"{name} {_megabytes(rss)}" for name, rss in sorted(children.rss.items()))
    return Figure(
        row="13",
        what=f"memory over six jobs on {_size(film)} beside six on {_size(talk)}: {worst}",
        ours=_megabytes(long[worst]),
        peer=_megabytes(short[worst]),
        ratio=ratios[worst],
        target=target,
        verdict=verdict,
        detail=f"{film.title} and {talk.title}; {told}; the largest programs below them at the long one: {below}",
    )


def _size(source: Source) -> str:
    return f"{source.path.stat().st_size / 1e9:.2f} GB"


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.0f} MB"
