"""How far something is: a bar that moves where a person looks, else a line at each change. On stderr alone."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, DownloadColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.table import Column

from clipstream.cli.plain import plain
from clipstream.cli.terminal import Terminal
from clipstream.cli.words import Standing

Moved = Callable[[int, int], None]
"""Bytes there, of how many."""
Stands = Callable[[Standing], None]
WIDE = 70
"""Columns from which on figures have room beside the bar."""


@contextmanager
def transfer(terminal: Terminal, words: str, *, then: str = "") -> Iterator[Moved]:
    """While bytes move. `then` is what goes on once they are all there."""
    if not terminal.is_lively:
        terminal.say(words)
        yield lambda _there, _total: None
        return
    columns = [SpinnerColumn(), _words(terminal), BarColumn()]
    if terminal.errors.width >= WIDE:
        columns += [DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn()]
    with Progress(*columns, console=terminal.errors, transient=True) as bars:
        task = bars.add_task(plain(words), total=None)

        def moved(there: int, total: int) -> None:
            bars.update(task, completed=there, total=total, description=plain(then if then and there == total else words))

        yield moved


@contextmanager
def job_progress(terminal: Terminal, label: str = "") -> Iterator[Stands]:
    """While a job runs. `label` says which, where there are several."""
    if not terminal.is_lively:
        yield _at_changes(terminal, label)
        return
    columns = (
        SpinnerColumn(),
        _words(terminal),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TextColumn("{task.fields[outlook]}", markup=False),
    )
    with Progress(*columns, console=terminal.errors, transient=True) as bars:
        task = bars.add_task(plain(label or "queued"), total=100, outlook="")

        def stands(standing: Standing) -> None:
            words = plain(label + standing.words)
            bars.update(task, description=words, completed=standing.percent, outlook=plain(standing.outlook))

        yield stands


def _words(terminal: Terminal) -> TextColumn:
    """On one line, however long the file's name."""
    return TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True, max_width=terminal.errors.width // 2))


def _at_changes(terminal: Terminal, label: str) -> Stands:
    told: list[str] = []

    def stands(standing: Standing) -> None:
        if told[-1:] != [standing.words]:
            told.append(standing.words)
            terminal.say(label + standing.words)

    return stands
