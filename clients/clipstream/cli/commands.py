"""Which commands there are, with what `--help` says of each in a line; a command's own module is only loaded when it is run."""

import os
import sys
from importlib import import_module
from typing import Any, NamedTuple

import click

from clipstream.cli.exits import Exit


class Entry(NamedTuple):
    module: str
    short: str


SECTIONS: dict[str, dict[str, Entry]] = {
    "Most used": {
        "cut": Entry("cut", "Cut a clip out of a video, and fetch it."),
        "status": Entry("jobs", "Show how a job stands."),
        "list": Entry("jobs", "List your jobs, newest first."),
    },
    "Jobs": {
        "events": Entry("jobs", "Show what happened to a job."),
        "download": Entry("downloading", "Fetch a finished job's files."),
        "cancel": Entry("jobs", "Stop a job."),
        "retry": Entry("jobs", "Run a failed job again, from where it failed."),
        "delete": Entry("jobs", "Delete a job's files now."),
        "probe": Entry("probing", "Say what a video holds, without cutting."),
    },
    "This computer": {
        "up": Entry("stack", "Start the local stack, and print its address."),
        "down": Entry("stack", "Stop the local stack."),
        "doctor": Entry("doctor", "Say whether all is set up right, and what to do."),
        "completion": Entry("completing", "Print the completion script of your shell."),
    },
    "Operators": {
        "overview": Entry("operating", "Show queues, jobs, failures and dead letters."),
        "dlq": Entry("dead_letters", "List, show, replay and discard dead letters."),
        "keys": Entry("keys", "Make, list, revoke and rotate API keys."),
    },
}
ENTRIES = {name: entry for section in SECTIONS.values() for name, entry in section.items()}


class Commands(click.Group):
    """Lists them by section, and loads one when it is asked for."""

    def invoke(self, ctx: click.Context) -> Any:
        """A reader that went away (`| head -1`) ends the command without a word; click would make it an error."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else the interpreter complains of it once more as it ends
            return Exit.NOBODY_READS

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  click's signature
        return list(ENTRIES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  click's signature
        entry = ENTRIES.get(cmd_name)
        if entry is None:
            return None
        found = getattr(import_module(f"clipstream.cli.{entry.module}"), f"{cmd_name}_command")
        return found if isinstance(found, click.Command) else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  click's signature
        for title, entries in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(name, entry.short) for name, entry in entries.items()])
