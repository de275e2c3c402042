"""Every figure of cues in one run: `make bench-subtitles`, or `python -m bench.subtitles [--quick]`. The peer is the greedy algorithm."""

import argparse
import asyncio
import sys
from collections.abc import Callable, Iterator, Sequence
from time import process_time

from bench.figures import Figure, at_most, milliseconds, percentile, table
from bench.machine import described
from bench.published import keep, publish
from bench.subtitles.transcripts import Told, generated_ones, of_length, recorded_ones
from services.asr.cues import Cue, cues
from services.asr.rules import HORIZONTAL, VERTICAL, Layout
from tests.asr import greedy
from tests.asr.judging import violations

BENCH = "subtitles"
ROUNDS = 9


def main() -> None:
    """Exits 1 when a target was missed."""
    parser = argparse.ArgumentParser(prog="bench.subtitles", description="Cues by optimisation, beside greedy ones.")
    parser.add_argument("--quick", action="store_true", help="a tenth of the transcripts: a look, not a measurement")
    is_quick = parser.parse_args().quick
    figures, machine = asyncio.run(_measured(100 if is_quick else 1000))
    print(f"\n{table(figures)}")
    keep(BENCH, figures, machine, is_quick=is_quick)
    if not is_quick:
        publish(BENCH, figures, machine)
    sys.exit(any(figure.verdict == "missed" for figure in figures))


async def _measured(count: int) -> tuple[list[Figure], dict[str, object]]:
    machine = await described()
    sets = {"2 recordings": await recorded_ones(), f"{count} transcripts": list(generated_ones(count))}
    rules = [figure for name, told in sets.items() for figure in _rules(name, told)]
    return [*rules, *_times()], machine


def _rules(name: str, told: Sequence[Told]) -> Iterator[Figure]:
    """The peer knows lines of 42 columns alone."""
    for layout in (HORIZONTAL, VERTICAL):
        what = f"rules broken, {name}, {layout.columns} columns"
        peers = [_greedy(one) for one in told] if layout is HORIZONTAL else None
        yield _broken(what, [_ours(one, layout) for one in told], peers, told, layout)


def _broken(what: str, ours: list[tuple[Cue, ...]], peers: list[tuple[Cue, ...]] | None, told: Sequence[Told], layout: Layout) -> Figure:
    found, others = _faults(ours, told, layout), _faults(peers, told, layout) if peers else []
    count = sum(map(len, ours))
    return Figure(
        row="cues",
        what=what,
        ours=f"{len(found)} in {count} cues",
        peer=f"{len(others)} in {sum(map(len, peers))} cues" if peers else "",
        target="none",
        verdict="missed" if found or not count else "reached",
        detail="; ".join(f"{who}: {_counted(faults)}" for who, faults in (("ours", found), ("greedy", others)) if faults),
    )


def _faults(shown: list[tuple[Cue, ...]], told: Sequence[Told], layout: Layout) -> list[str]:
    judged = zip(shown, told, strict=True)
    return [fault for some, one in judged for fault in violations(some, one.words, layout, seconds=one.seconds, language=one.language)]


def _counted(faults: list[str]) -> str:
    return ", ".join(f"{faults.count(fault)} x {fault}" for fault in sorted(set(faults)))


def _ours(told: Told, layout: Layout = HORIZONTAL) -> tuple[Cue, ...]:
    return cues(told.words, told.seconds, layout, language=told.language)


def _greedy(told: Told) -> tuple[Cue, ...]:
    return greedy.cues(told.words, told.seconds)


def _times() -> Iterator[Figure]:
    """Of the processor, the median of some rounds."""
    for what, told, limit in (("120 s of speech", of_length(120), 0.020), ("10,000 words", of_length(4000, words=10_000), 2.0)):
        took, peer = (percentile([_seconds(make, told) for _ in range(ROUNDS)], 0.5) for make in (_ours, _greedy))
        _, verdict = at_most(took / limit, 1)
        yield Figure(
            row="cues",
            what=f"time for {what}",
            ours=milliseconds(took),
            peer=milliseconds(peer),
            ratio=took / peer,
            target=f"<= {milliseconds(limit)}",
            verdict=verdict,
            detail=f"{len(told.words)} words",
        )


def _seconds(make: Callable[[Told], object], told: Told) -> float:
    began = process_time()
    make(told)
    return process_time() - began


if __name__ == "__main__":
    main()
