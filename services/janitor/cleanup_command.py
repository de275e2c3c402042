"""Deletes now what is past its time, as the janitor does: `python -m services.janitor.cleanup_command [--dry-run] [--json]`.

With --dry-run, or while CLEANUP_DRY_RUN is set, it only says what would go.
"""

import argparse
import sys
from collections.abc import Awaitable, Callable, Mapping
from math import ceil
from typing import Any

import msgspec

from libs.common.runtime.service import Connections
from libs.common.runtime.source_cache import open_source_cache
from services.janitor.command import Exit, in_turn, parser, run, say, tell
from services.janitor.known_jobs import knows_sources
from services.janitor.old_uploads import OldUploads
from services.janitor.report import Report, size_in_words
from services.janitor.retention import Retention
from services.janitor.settings import JanitorSettings
from services.janitor.source_cache import Eviction
from services.janitor.upload_sweep import upload_sweep

MILLISECONDS = 1000


class Swept(msgspec.Struct, frozen=True):
    """One sweep's report, by kind."""

    sweep: str
    found: dict[str, Any]


class Sum(msgspec.Struct, frozen=True):
    """Of all sweeps: sizes in bytes, and the seconds that the pauses between the batches alone take."""

    count: int
    bytes: int
    dry_run: bool
    pauses_seconds: float

    @property
    def words(self) -> str:
        did = "would be deleted, with pauses of" if self.dry_run else "deleted, with pauses of about"
        return f"{self.count:,} in all, {size_in_words(self.bytes)} {did} {self.pauses_seconds:.1f} s"


def main() -> int:
    made = parser("cleanup_command", "Delete now all that is past its time, as the janitor does it: jobs, uploads, fetched sources.")
    made.add_argument("--dry-run", action="store_true", help="only say what would be deleted")
    return run(clean_up, made.parse_args(), ("postgres", "s3"))


async def clean_up(options: argparse.Namespace, settings: JanitorSettings, c: Connections) -> Exit:
    is_dry = options.dry_run or settings.cleanup_dry_run
    settings = msgspec.structs.replace(settings, cleanup_dry_run=is_dry)
    reports: list[Report] = []
    async with open_source_cache(settings.database_url.reveal(), holder=settings.worker, connections=1) as cache:
        for name, sweep in sweeps(settings, c, Eviction(cache, c.objects.sources, settings, knows_sources(c))).items():
            reports.append(await swept(c, name, sweep, is_dry=is_dry))
            report = reports[-1]
            if report.total or report.left:
                tell(Swept(name, report.as_data()), "\n".join([f"{name}:", *(f"  {line}" for line in report.lines())]), json=options.json)
    told = summed(reports, settings)
    tell(told, told.words, json=options.json)
    if is_dry and told.count:
        return say("nothing was deleted; unset CLEANUP_DRY_RUN and leave out --dry-run to do so", Exit.FOUND)
    return Exit.DONE


def sweeps(settings: JanitorSettings, c: Connections, eviction: Eviction) -> Mapping[str, Callable[[], Awaitable[Report]]]:
    """By the names of their leases."""
    return {
        "retention": Retention(c.store, c.objects, settings).clean_up,
        "uploads": upload_sweep(settings, c).clean_up,
        "old uploads": OldUploads(c.store, c.objects.sources, settings, knows_sources(c)).clean_up,
        "source cache": eviction.clean_up,
    }


async def swept(c: Connections, name: str, sweep: Callable[[], Awaitable[Report]], *, is_dry: bool) -> Report:
    if is_dry:
        return await sweep()
    async with in_turn(c.store, name):
        return await sweep()


def summed(reports: list[Report], settings: JanitorSettings) -> Sum:
    batches = sum(ceil(report.total / settings.cleanup_batch_size) for report in reports)
    size = sum(tally.size for report in reports for tally in report.tallies.values())
    pauses = batches * settings.cleanup_pause_ms / MILLISECONDS
    return Sum(sum(report.total for report in reports), size, settings.cleanup_dry_run, pauses)


if __name__ == "__main__":
    sys.exit(main())
