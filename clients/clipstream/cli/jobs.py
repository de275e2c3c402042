"""Commands on jobs that exist: status, list, events, cancel, retry, delete."""

import re
from datetime import UTC, datetime, timedelta

import click

from clipstream import Clipstream, Event, Job
from clipstream.cli.exits import Exit
from clipstream.cli.following import followed
from clipstream.cli.options import connected, examples
from clipstream.cli.plain import plain
from clipstream.cli.progress import job_progress
from clipstream.cli.terminal import Terminal
from clipstream.cli.words import facts_of, moment, range_of, standing_of
from clipstream.errors import JobCancelled, JobFailed

STATUSES = click.Choice(["queued", "processing", "done", "failed", "cancelled"])
AGES = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
JOB = click.argument("job_id", metavar="ID")


def since(_context: click.Context, _parameter: click.Parameter, value: str | None) -> datetime | None:
    """`2h` or `3d` ago, or a date in the zone of who types. Raises BadParameter."""
    if value is None:
        return None
    try:
        if age := re.fullmatch(r"([0-9]{1,5})([mhdw])", value):
            return datetime.now(UTC) - timedelta(**{AGES[age[2]]: int(age[1])})
        return datetime.fromisoformat(value).astimezone()
    except (ValueError, OverflowError):
        raise click.BadParameter(f"{value!r} is no time: write 30m, 2h, 3d, 1w, 2026-11-21 or 2026-11-21T12:00") from None


@click.command(
    "status", epilog=examples("clipstream status 5f0c2a1e-…", "clipstream status 5f0c2a1e-… --watch", "clipstream status 5f0c2a1e-… --json")
)
@JOB
@click.option("--watch", is_flag=True, help="Follow it to its end first.")
@connected
def status_command(*, terminal: Terminal, client: Clipstream, job_id: str, watch: bool) -> Exit:
    """Show how a job stands. With --watch the exit code is 3 if it failed."""
    job = _watched(terminal, client, job_id) if watch else client.job(job_id)
    if terminal.as_json:
        terminal.document(job)
    else:
        terminal.facts(facts_of(job))
    return Exit.FAILED if watch and job.status in {"failed", "cancelled"} else Exit.DONE


def _watched(terminal: Terminal, client: Clipstream, job_id: str) -> Job:
    """However it ended."""
    with job_progress(terminal) as stands:
        try:
            return followed(client, job_id, stands)
        except (JobFailed, JobCancelled) as over:
            return over.job


@click.command(
    "list",
    epilog=examples("clipstream list", "clipstream list --status failed --since 2h", "clipstream list --limit 500 --json | jq -r .id"),
)
@click.option("--status", type=STATUSES, help="Only jobs that stand so.")
@click.option("--since", "created_after", callback=since, metavar="TIME", help="Only jobs since then: 30m, 2h, 3d, 1w ago, or a date.")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="The most that are listed.")
@connected
def list_command(*, terminal: Terminal, client: Clipstream, status: str | None, created_after: datetime | None, limit: int) -> None:
    """List your jobs, newest first."""
    jobs = client.jobs(status=status, created_after=created_after, limit=limit)
    if terminal.as_json:
        for job in jobs:
            terminal.document(job)
    else:
        terminal.table(("ID", "STATUS", "RANGE", "CREATED"), map(_row_of, jobs))


def _row_of(job: Job) -> tuple[str, ...]:
    standing = standing_of(job)
    percent = f" {job.progress:.0f} %" if job.status == "processing" else ""
    return job.id, standing.words + percent, range_of(job), moment(job.created_at)


@click.command("events", epilog=examples("clipstream events 5f0c2a1e-…", "clipstream events 5f0c2a1e-… --follow --json | jq .type"))
@JOB
@click.option("--follow", is_flag=True, help="Go on while they happen, until the job is over.")
@connected
def events_command(*, terminal: Terminal, client: Clipstream, job_id: str, follow: bool) -> None:
    """Show what happened to a job, from its first event on. Without --follow: up to now."""
    latest = client.job(job_id).updated_at
    for event in client.events(job_id):
        terminal.document(event) if terminal.as_json else terminal.give(_line_of(event))
        if not follow and event.ts == latest:
            return


def _line_of(event: Event) -> str:
    told = " ".join(f"{plain(name)}={plain(value)}" for name, value in event.data.items() if isinstance(value, str | int | float))
    return f"{moment(event.ts)}  {plain(event.type):<16}  {event.job.progress:>3.0f} %  {told}".rstrip()


@click.command("cancel", epilog=examples("clipstream cancel 5f0c2a1e-…"))
@JOB
@connected
def cancel_command(*, terminal: Terminal, client: Clipstream, job_id: str) -> None:
    """Stop a job. Work on it ends within seconds."""
    _done(terminal, client.cancel(job_id), job_id, "cancelled")


@click.command("retry", epilog=examples("clipstream retry 5f0c2a1e-…", "clipstream retry 5f0c2a1e-… --watch"))
@JOB
@click.option("--watch", is_flag=True, help="Follow it to its end.")
@connected
def retry_command(*, terminal: Terminal, client: Clipstream, job_id: str, watch: bool) -> Exit:
    """Run a failed job again, from the stage that failed; what was done is kept."""
    job = client.retry(job_id)
    if not watch:
        _done(terminal, job, job_id, "runs again")
        return Exit.DONE
    job = _watched(terminal, client, job_id)
    _done(terminal, job, job_id, job.status)
    return Exit.DONE if job.is_done else Exit.FAILED


@click.command("delete", epilog=examples("clipstream delete 5f0c2a1e-…"))
@JOB
@connected
def delete_command(*, terminal: Terminal, client: Clipstream, job_id: str) -> None:
    """Delete a job's files now, instead of when it expires. There is no way back."""
    client.delete(job_id)
    _done(terminal, None, job_id, "deleted")


def _done(terminal: Terminal, job: Job | None, job_id: str, word: str) -> None:
    if terminal.as_json:
        terminal.document(job or {"id": job_id, "status": word})
    else:
        terminal.say(f"{job_id}: {word}")
