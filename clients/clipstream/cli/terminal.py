"""What is written where: results on stdout, all else on stderr. The only place that knows whether a person is looking."""

import json
import os
import select
import signal
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from clipstream.cli.plain import plain

ROOM = 10_000
"""Columns where nobody looks: nothing is shortened in a pipe."""
OTHERS = 44
"""Columns for what stands behind an id, which must stay whole to be copied: the terminal may break the line instead."""


class Terminal:
    def __init__(self, *, as_json: bool = False) -> None:
        self.as_json = as_json
        self.errors = Console(stderr=True, highlight=False, soft_wrap=True)

    @property
    def is_lively(self) -> bool:
        """Whether bars may move here: a terminal that can, and a person who did not switch colours off."""
        return self.errors.is_terminal and not self.errors.is_dumb_terminal and not self.errors.no_color

    @property
    def can_ask(self) -> bool:
        return sys.stdin.isatty() and sys.stderr.isatty()

    def say(self, text: str, style: str = "") -> None:
        """A line for people, on stderr. What came from elsewhere is made plain here."""
        self.errors.print(Text(plain(text), style=style))

    def ask(self, question: str) -> str:
        """The answer in lower case; empty at the end of the input."""
        self.errors.print(Text(plain(question)), end=" ")
        _until_typed()
        return sys.stdin.readline().strip().lower()

    def give(self, text: str) -> None:
        """A line of the result, as it is where a program reads it."""
        print(plain(text) if sys.stdout.isatty() else text, flush=True)

    def document(self, value: object) -> None:
        """One JSON document on one line; ASCII, so that nothing in it can speak to the terminal."""
        print(json.dumps(_without_nothing(msgspec.to_builtins(value, enc_hook=str))), flush=True)

    def facts(self, rows: Iterable[tuple[str, str]]) -> None:
        """Names and what they are, on stdout."""
        _print(rows, first="dim")

    def table(self, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        _print([heads, *rows], head="bold")


def _until_typed() -> None:
    """A Ctrl-C that comes right before a read would be heard only behind it; what the system itself tells of a signal ends this wait."""
    told, tell = os.pipe()
    os.set_blocking(tell, False)
    before = signal.set_wakeup_fd(tell)
    try:
        select.select([sys.stdin, told], [], [])
    finally:
        signal.set_wakeup_fd(before)
        os.close(told)
        os.close(tell)


def _print(rows: Iterable[Sequence[str]], *, first: str = "", head: str = "") -> None:
    """In columns; `first` is the first column's style, `head` the first row's."""
    lines = [[plain(cell) for cell in row] for row in rows]
    shown = Console(highlight=False)
    if not shown.is_terminal:
        shown = Console(highlight=False, width=ROOM)
    elif head:
        shown.width = max(shown.width, cell_len(max((cells[0] for cells in lines), key=cell_len)) + OTHERS)
    grid = Table.grid(padding=(0, 3, 0, 0))
    for place in range(max(map(len, lines), default=0)):
        grid.add_column(overflow="fold", no_wrap=place == 0)
    for number, cells in enumerate(lines):
        grid.add_row(*(Text(cell, first if place == 0 else "") for place, cell in enumerate(cells)), style=head if number == 0 else None)
    with shown.capture() as drawn:
        shown.print(grid)
    print("\n".join(line.rstrip() for line in drawn.get().splitlines()), flush=True)


def _without_nothing(value: Any) -> Any:
    """What is not known is absent, as the API has it."""
    match value:
        case dict():
            return {name: _without_nothing(held) for name, held in value.items() if held is not None}
        case list() | tuple():
            return [_without_nothing(held) for held in value]
        case _:
            return value
