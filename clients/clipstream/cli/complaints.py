"""An error as people read it (what went wrong, what to do, which request it was) and as scripts do."""

import json
import os
import sys
import traceback

import click
from rich.text import Text

from clipstream.cli.exits import Exit, exit_of
from clipstream.cli.plain import plain
from clipstream.cli.terminal import Terminal
from clipstream.errors import ClipstreamError

TRACEBACK = "CLIPSTREAM_TRACEBACK"


def complain(error: Exception, *, as_json: bool) -> Exit:
    """On stderr, and the exit code to end with."""
    code, told = _told(error)
    if code is Exit.UNEXPECTED and os.environ.get(TRACEBACK):
        traceback.print_exception(error)
    if as_json:
        print(json.dumps({"error": {name: value for name, value in told.items() if value not in {None, ""}}}), file=sys.stderr)
        return code
    terminal = Terminal()
    terminal.errors.print(Text.assemble(("error: ", "bold red"), plain(told["message"])))
    if told.get("hint"):
        terminal.say(f"hint: {told['hint']}")
    if told.get("correlationId"):
        terminal.say(f"correlation id: {told['correlationId']}", style="dim")
    return code


def _told(error: Exception) -> tuple[Exit, dict[str, object]]:
    match error:
        case ClipstreamError():
            return exit_of(error), _by_the_server(error)
        case click.ClickException():
            path = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else ""
            hint = f"`{path} --help` shows how it is used." if path else ""
            if isinstance(error, click.NoSuchOption):
                hint = f"A file whose name begins with - is written ./-name. {hint}"
            return Exit(error.exit_code), {"code": "USAGE", "message": error.format_message(), "hint": hint}
        case OSError(filename=name, strerror=str(why)):
            return Exit.USAGE, {"code": "FILE", "message": f"{name}: {why}" if name else why}
        case _:
            hint = f"{TRACEBACK}=1 in the environment shows where; please tell us."
            return Exit.UNEXPECTED, {
                "code": "UNEXPECTED",
                "message": f"an error that nobody thought of: {type(error).__name__}",
                "hint": hint,
            }


def _by_the_server(error: ClipstreamError) -> dict[str, object]:
    return {
        "code": error.code,
        "message": error.message,
        "hint": error.hint,
        "field": error.field,
        "retryable": error.retryable,
        "retryAfter": error.retry_after,
        "correlationId": error.correlation_id,
    }
