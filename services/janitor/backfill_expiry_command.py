"""Gives existing jobs RETENTION_HOURS: `python -m services.janitor.backfill_expiry_command --was 72 [--longer] [--yes] [--json]`.

Without --yes it only counts. A batch at a time, each a short statement; given again it goes on where it was cut short.
"""

import argparse
import asyncio
import sys
from datetime import UTC, datetime, timedelta
from uuid import UUID

from libs.common.runtime.fault_points import fault_point
from libs.common.runtime.postgres import Statements
from libs.common.runtime.service import Connections
from services.janitor.backfill import Backfilled, Kept, due
from services.janitor.command import Exit, parser, run, say, tell
from services.janitor.settings import JanitorSettings


def main() -> int:
    return run(backfill, _options(), ("postgres",))


def _options() -> argparse.Namespace:
    made = parser(
        "backfill_expiry_command", "Keep existing jobs for RETENTION_HOURS from their request, as new ones are. Jobs in flight stay."
    )
    made.add_argument(
        "--was", type=_hours, required=True, metavar="HOURS", help="RETENTION_HOURS as it was; jobs kept for another time stay"
    )
    made.add_argument("--longer", action="store_true", help="allow that jobs are kept for longer than was said when they were made")
    made.add_argument("--yes", action="store_true", help="do it; else it only counts")
    return made.parse_args()


def _hours(text: str) -> timedelta:
    try:
        return timedelta(hours=float(text))
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError("give a number of hours") from None


async def backfill(options: argparse.Namespace, settings: JanitorSettings, c: Connections) -> Exit:
    retention = timedelta(hours=settings.retention_hours)
    if retention > options.was and not options.longer:
        return say(f"RETENTION_HOURS is {settings.retention_hours:g}, longer than --was; give --longer if that is meant", Exit.FOUND)
    sql, count, after = Statements(c.pool, "storage.sql", "services.janitor"), Backfilled(), UUID(int=0)
    while rows := await sql.rows("asked", after, datetime.now(UTC), settings.cleanup_batch_size):
        after = rows[-1]["job_id"]
        asked = (row for row in rows if row["asked_at"] and not row["has_expired"])
        jobs = [Kept(row["job_id"], row["asked_at"], row["expires_at"], row["open"]) for row in asked]
        ends = due(jobs, options.was, retention, count)
        if options.yes and ends:
            read = {job.job_id: job.expires_at for job in jobs}
            count.changed += len(await sql.rows("keep_until", list(ends), [read[job_id] for job_id in ends], list(ends.values())))
            fault_point("janitor", "backfilled")
            await asyncio.sleep(settings.cleanup_pause_ms / 1000)
    tell(count, count.words, json=options.json)
    if count.changed < count.due:
        return say("give it again" if options.yes else "nothing was written; give it with --yes to do so", Exit.FOUND)
    return Exit.DONE


if __name__ == "__main__":
    sys.exit(main())
