"""`clipstream overview`: the operator's numbers."""

from collections.abc import Iterator

import click

from clipstream import Clipstream, Overview
from clipstream.cli.options import connected, examples
from clipstream.cli.plain import about
from clipstream.cli.terminal import Terminal
from clipstream.cli.words import moment

UNKNOWN = "not known: nobody answered"


@click.command("overview", epilog=examples("clipstream overview", "clipstream overview --json | jq .deadLetters"))
@connected
def overview_command(*, terminal: Terminal, client: Clipstream) -> None:
    """Show queues, jobs, failures of the last 24 hours, and dead letters. Wants a key with the scope admin."""
    found = client.overview()
    if terminal.as_json:
        terminal.document(found)
        return
    terminal.facts(_facts_of(found))
    if found.queues:
        rows = [(each.stage, each.lane, str(each.pending), str(each.ack_pending), _age(each.oldest_seconds)) for each in found.queues]
        terminal.table(("STAGE", "LANE", "WAITING", "AT WORK", "OLDEST"), rows)


def _facts_of(found: Overview) -> Iterator[tuple[str, str]]:
    yield "jobs", _counts(found.jobs.by_status if found.jobs else None)
    yield "at work", _counts(found.jobs.by_stage if found.jobs else None)
    yield "failures", _counts(None if found.failures is None else {each.code: each.count for each in found.failures})
    yield "dead letters", UNKNOWN if found.dead_letters is None else str(found.dead_letters)
    yield "measured at", moment(found.measured_at)


def _counts(counts: dict[str, int] | None) -> str:
    if counts is None:
        return UNKNOWN
    return ", ".join(f"{count} {name}" for name, count in counts.items() if count) or "none"


def _age(seconds: float | None) -> str:
    return "" if seconds is None else about(seconds)
