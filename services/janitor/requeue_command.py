"""Publishes lost messages again: `python -m services.janitor.requeue_command JOB … | --silent-for 10m [--stage clipper] [--yes] [--json]`.

The janitor does so by itself. This is for who can't wait for its deadlines, or wants to see what it sees.
"""

import argparse
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import AbstractAsyncContextManager, nullcontext
from datetime import UTC, datetime, timedelta
from typing import TypeVar
from uuid import UUID

import msgspec

from libs.common.domain.events import StageName
from libs.common.runtime.service import Connections
from services.janitor.command import Exit, in_turn, parser, run, say, span, tell
from services.janitor.requeue import Requeue, silent_jobs
from services.janitor.settings import JanitorSettings

T = TypeVar("T")


class Counted(msgspec.Struct, frozen=True):
    """Jobs, by outcome."""

    jobs: dict[str, int]


def main() -> int:
    return run(requeue, _options(), ("postgres", "nats"))


def _options() -> argparse.Namespace:
    made = parser("requeue_command", "Publish again what jobs await and the queue has lost. Without --yes it only says what it would do.")
    made.add_argument("jobs", nargs="*", type=UUID, metavar="JOB", help="ids of jobs")
    made.add_argument("--silent-for", type=span, metavar="TIME", help="all open jobs that were not heard of for so long: 90s, 10m, 2h")
    made.add_argument("--stage", type=StageName, choices=list(StageName), help="only those that await this stage")
    made.add_argument("--yes", action="store_true", help="do it")
    options = made.parse_args()
    if bool(options.jobs) == bool(options.silent_for):
        made.error("name jobs, or give --silent-for")
    return options


async def requeue(options: argparse.Namespace, settings: JanitorSettings, c: Connections) -> Exit:
    counted: Counter[str] = Counter()
    async with _turn(c, act=options.yes):
        now, silence = datetime.now(UTC), options.silent_for or timedelta(0)
        jobs = _each(options.jobs) if options.jobs else silent_jobs(c.store, now - silence)
        async for found in Requeue(c, settings, now, silence, options.stage, act=options.yes).of(jobs):
            counted[found.outcome] += 1
            tell(found, found.words, json=options.json)
    tell(Counted(dict(counted)), _summary(counted), json=options.json)
    if counted["lost"]:
        return say("nothing was published; give it with --yes to do so", Exit.FOUND)
    return Exit.FOUND if counted["no room"] + counted["unknown"] else Exit.DONE


def _turn(c: Connections, *, act: bool) -> AbstractAsyncContextManager[None]:
    """Beside the reconciler, which may be about to publish the same."""
    return in_turn(c.store, "reconciler") if act else nullcontext()


def _summary(counted: Counter[str]) -> str:
    return ", ".join(f"{number} {outcome}" for outcome, number in sorted(counted.items())) or "no job is silent"


async def _each(items: Iterable[T]) -> AsyncIterator[T]:
    for item in items:
        yield item


if __name__ == "__main__":
    sys.exit(main())
