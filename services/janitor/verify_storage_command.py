"""Looks through the storage now: `python -m services.janitor.verify_storage_command [--repair] [--json]`. Without --repair it only reports.

What the janitor does once a day: objects without a job are removed, jobs without their objects run again.
"""

import argparse
import sys
from contextlib import nullcontext

from libs.common.runtime.service import Connections
from services.janitor.command import Exit, in_turn, parser, run, say, tell
from services.janitor.findings import Finding, Seen, words
from services.janitor.orphans import look_through
from services.janitor.settings import JanitorSettings


def main() -> int:
    options = _options()
    return run(verify, options, ("postgres", "s3", "nats") if options.repair else ("postgres", "s3"))


def _options() -> argparse.Namespace:
    made = parser("verify_storage_command", "Hold the file store against the database: objects without a job, jobs without their objects.")
    made.add_argument("--repair", action="store_true", help="remove the ones, let the others run again; else it only reports")
    return made.parse_args()


async def verify(options: argparse.Namespace, settings: JanitorSettings, c: Connections) -> Exit:
    def told(finding: Finding) -> None:
        tell(finding, words(finding), json=options.json)

    act = options.repair and not settings.cleanup_dry_run
    async with in_turn(c.store, "orphans") if act else nullcontext():
        seen = await look_through(settings, c, act=act, tell=told)
    tell(seen, summary(seen), json=options.json)
    if seen.is_well:
        return Exit.DONE
    again = "unset CLEANUP_DRY_RUN to do something about it" if options.repair else "give it with --repair to do something about it"
    return say("give it again to go on" if act else again, Exit.FOUND)


def summary(seen: Seen) -> str:
    return (
        f"{seen.objects} objects and {seen.jobs} finished jobs looked at. "
        f"Without a job: {seen.orphans} objects, {seen.orphan_bytes} bytes, {seen.removed} removed. "
        f"Not ours: {seen.foreign}. "
        f"Lost: {seen.missing} objects of {seen.repaired + seen.unrepaired} jobs, {seen.repaired} jobs dealt with."
    )


if __name__ == "__main__":
    sys.exit(main())
