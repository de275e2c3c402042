"""`clipstream dlq`: what failed for good, and what is done with it. For operators."""

from collections.abc import Iterator

import click

from clipstream import Clipstream, DeadLetter, Replays
from clipstream.cli.exits import Exit
from clipstream.cli.options import connected, examples
from clipstream.cli.terminal import Terminal
from clipstream.cli.words import moment

STAGES = click.Choice(["resolver", "clipper", "asr", "burner"])
LETTER = click.argument("seq", type=click.IntRange(1))
SURE = click.option("--yes", is_flag=True, help="Don't ask.")


@click.group("dlq", epilog=examples("clipstream dlq list --stage clipper", "clipstream dlq show 12", "clipstream dlq replay 12"))
def dlq_command() -> None:
    """List, show, replay and discard dead letters. Wants a key with the scope admin."""


@dlq_command.command("list", epilog=examples("clipstream dlq list", "clipstream dlq list --job 5f0c2a1e-… --json"))
@click.option("--stage", type=STAGES, help="Only what failed at this stage.")
@click.option("--job", "job_id", metavar="ID", help="Only this job's.")
@connected
def list_letters(*, terminal: Terminal, client: Clipstream, stage: str | None, job_id: str | None) -> None:
    """List dead letters, oldest first."""
    letters = client.dead_letters.list(stage=stage, job_id=job_id)
    if terminal.as_json:
        for letter in letters:
            terminal.document(letter)
    else:
        terminal.table(("SEQ", "BURIED", "STAGE", "CODE", "JOB", "REPLAYABLE", "WHY"), map(_row_of, letters))


def _row_of(letter: DeadLetter) -> tuple[str, ...]:
    replayable = "yes" if letter.replayable else f"no: {letter.why_not}"
    return str(letter.seq), moment(letter.at), letter.stage, letter.code, letter.job_id or "", replayable, letter.message


@dlq_command.command("show", epilog=examples("clipstream dlq show 12", "clipstream dlq show 12 --json | jq .body"))
@LETTER
@connected
def show_letter(*, terminal: Terminal, client: Clipstream, seq: int) -> None:
    """Show one, with all that came with it."""
    found = client.dead_letters.show(seq)
    if terminal.as_json:
        terminal.document(found)
        return
    terminal.facts(_facts_of(found.letter))
    terminal.facts(found.headers.items())
    terminal.document(found.body)


def _facts_of(letter: DeadLetter) -> Iterator[tuple[str, str]]:
    yield "letter", str(letter.seq)
    yield "buried", moment(letter.at)
    yield "job", f"{letter.job_id or 'not known'} ({letter.job})"
    yield "failed at", f"{letter.stage}, after {letter.attempts} attempts"
    yield "why", f"{letter.message} ({letter.code})"
    yield "can run again", "yes" if letter.replayable else f"no: {letter.why_not}"


@dlq_command.command(
    "replay", epilog=examples("clipstream dlq replay 12", "clipstream dlq replay --job 5f0c2a1e-…", "clipstream dlq replay --all --yes")
)
@click.argument("seq", type=click.IntRange(1), required=False)
@click.option("--job", "job_id", metavar="ID", help="This job's letters.")
@click.option("--stage", type=STAGES, help="All letters of this stage.")
@click.option("--all", "everything", is_flag=True, help="All letters.")
@SURE
@connected
def replay_letters(
    *, terminal: Terminal, client: Clipstream, seq: int | None, job_id: str | None, stage: str | None, everything: bool, yes: bool
) -> Exit:
    """Put dead letters back to work: one, a job's, a stage's, or all. The exit code is 3 where one can't run again."""
    if sum((seq is not None, job_id is not None, stage is not None, everything)) != 1:
        raise click.UsageError("say which: SEQ, --job, --stage or --all")
    if stage or everything:
        _sure(terminal, f"Replay all dead letters{f' of {stage}' if stage else ''}?", yes=yes)
    told = client.dead_letters.replay(seq, job_id=job_id, stage=stage, all=everything)
    _tell(terminal, told)
    return Exit.FAILED if told.refused else Exit.DONE


def _tell(terminal: Terminal, told: Replays) -> None:
    if terminal.as_json:
        terminal.document(told)
        return
    for letter in told.replayed:
        terminal.give(f"{letter.seq}: job {letter.job_id} runs again at {letter.stage}")
    for kept in told.refused:
        terminal.give(f"{kept.seq}: kept, {kept.reason}")
    if not told.replayed and not told.refused:
        terminal.say("there is no such letter")


@dlq_command.command("discard", epilog=examples("clipstream dlq discard 12", "clipstream dlq discard 12 --yes"))
@LETTER
@SURE
@connected
def discard_letter(*, terminal: Terminal, client: Clipstream, seq: int, yes: bool) -> None:
    """Delete one for good; its job stays as it is."""
    _sure(terminal, f"Delete the letter {seq} for good?", yes=yes)
    found = client.dead_letters.discard(seq)
    if terminal.as_json:
        terminal.document(found)
    else:
        terminal.say(f"the letter {seq} is deleted")


def _sure(terminal: Terminal, question: str, *, yes: bool) -> None:
    """Raises Abort unless who types says so; UsageError where there is nobody to ask."""
    if yes:
        return
    if not terminal.can_ask:
        raise click.UsageError("nobody is here to confirm: add --yes")
    if terminal.ask(f"{question} [y/N]") not in {"y", "yes"}:
        raise click.Abort
