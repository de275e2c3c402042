"""Rows 7 and 8 as figures."""

from collections.abc import Mapping
from pathlib import Path

from bench.figures import Figure, Verdict, at_least, milliseconds
from bench.pipeline.peer import POLLING
from bench.pipeline.rounds import OURS, Found, Rounds, Size, taken

LEAST_RATE = 1500
"""Jobs a second."""
MOST_P99 = 0.015
LEAST_HOP_RATIO = 200.0


async def measured(folder: Path, size: Size, *, workers: int = 2, with_peer: bool = True, profile: Path | None = None) -> list[Figure]:
    """`folder` is empty, and on a disk. Without the peer, what is beside it is not judged."""
    return figures(await taken(folder, size, workers=workers, with_peer=with_peer, profile=profile), workers)


def figures(found: Found, workers: int) -> list[Figure]:
    ours, peers = found.sides[OURS], {name: side for name, side in found.sides.items() if name != OURS}
    return [_hop(ours, peers), _rate(ours, peers, workers, found), _whole(ours, peers), _cpu(ours, peers), _round_trips(ours)]


def _hop(ours: Rounds, peers: Mapping[str, Rounds]) -> Figure:
    polling = peers.get(POLLING.name)
    ratio = polling.hop / ours.hop if polling else None
    target, verdict = at_least(ratio, LEAST_HOP_RATIO) if ratio else ("", "not judged")
    return Figure(
        row="7",
        what="from publish to handler, p50, an idle system",
        ours=milliseconds(ours.hop),
        peer="; ".join(f"{name} {milliseconds(side.hop)}" for name, side in peers.items()),
        ratio=ratio,
        target=target,
        verdict="missed" if ours.faults else verdict,
        detail="the ratio is the polling one's; ours is handled after its history was read and its start was written",
    )


def _rate(ours: Rounds, peers: Mapping[str, Rounds], workers: int, found: Found) -> Figure:
    return Figure(
        row="8",
        what=f"four stages, {ours.many[0].jobs} jobs at once",
        ours=f"{ours.rate:.0f} jobs/s",
        peer="; ".join(f"{name} {side.rate:.0f}" for name, side in peers.items()),
        target=f">= {LEAST_RATE}/s",
        verdict=_judged(ours, is_reached=ours.rate >= LEAST_RATE),
        detail=f"{workers} workers; ours writes nine events a job, pg-boss's chain four, a batch by one, "
        f"the bare one four, each by a statement; a sync takes {1e6 * found.sync:.0f} us on this disk; {_told(ours, peers)}",
    )


def _whole(ours: Rounds, peers: Mapping[str, Rounds]) -> Figure:
    return Figure(
        row="8",
        what="p99 from publish to the last event, one job after the other",
        ours=milliseconds(ours.whole(0.99)),
        peer="; ".join(f"{name} {milliseconds(side.whole(0.99))}" for name, side in peers.items()),
        target=f"<= {milliseconds(MOST_P99)}",
        verdict=_judged(ours, is_reached=ours.whole(0.99) <= MOST_P99),
        detail=f"p50 and p95: {_middles({OURS: ours, **peers})}",
    )


def _middles(sides: Mapping[str, Rounds]) -> str:
    return "; ".join(f"{name} {milliseconds(side.whole(0.5))}, {milliseconds(side.whole(0.95))}" for name, side in sides.items())


def _judged(ours: Rounds, *, is_reached: bool) -> Verdict:
    return "reached" if is_reached and not ours.faults else "missed"


def _told(ours: Rounds, peers: Mapping[str, Rounds]) -> str:
    """What was wrong, the first of each side."""
    wrong = [f"{name}: {side.faults[0]}" for name, side in [(OURS, ours), *peers.items()] if side.faults]
    return f"WRONG: {'; '.join(wrong)}" if wrong else "every job has its events"


def _cpu(ours: Rounds, peers: Mapping[str, Rounds]) -> Figure:
    many, alone = ours.cpu(ours.many), ours.cpu(ours.alone)
    return Figure(
        row="8",
        what="CPU a job, many at once",
        ours=_spent(many),
        peer="; ".join(f"{name} {_spent(side.cpu(side.many))}" for name, side in peers.items()),
        detail=f"by process; one after the other ours takes {_spent(alone)}",
    )


def _spent(cpu: Mapping[str, float]) -> str:
    return f"{1000 * sum(cpu.values()):.2f} ms ({', '.join(f'{name} {1000 * seconds:.2f}' for name, seconds in cpu.items())})"


def _round_trips(ours: Rounds) -> Figure:
    last = ours.alone[-1]
    jobs, calls, messages = last.jobs, last.spent.calls, last.spent.messages
    statements = sum(count for name, count in calls.items() if name.startswith("postgres "))
    told, heard = messages["in"] - jobs, messages["out"] - jobs  # without our own publishes and their answers
    return Figure(
        row="8",
        what="round trips a job, one after the other",
        ours=f"{statements / jobs:g} statements, {told / jobs:.1f} messages to NATS, {heard / jobs:.1f} from it",
        detail=f"calls: {', '.join(f'{name} {count / jobs:g}' for name, count in sorted(calls.items()))}",
    )
