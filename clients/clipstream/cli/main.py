"""The command's entrance: the group of commands, and the one place where an error becomes words and an exit code."""

import io
import signal
import sys
from importlib.metadata import PackageNotFoundError, version

import click

from clipstream.cli.commands import Commands
from clipstream.cli.exits import MEANINGS, Exit

CODES = "\b\nExit codes:\n" + "\n".join(f"  {code:>3}  {meaning}" for code, meaning in MEANINGS.items())
INTRODUCTION = """Cut clips out of videos, to the frame, with subtitles when asked.

\b
  clipstream cut talk.mp4 1:02:03.5 1:02:20          a clip, in this folder
  clipstream cut talk.mp4 10:15 +30 --subs --burn    with subtitles, and a copy with them in the picture
  clipstream list                                    what you cut lately
"""


@click.group(cls=Commands, help=INTRODUCTION, epilog=CODES, no_args_is_help=False, invoke_without_command=True)
@click.option("--server", metavar="URL", help="The server (else CLIPSTREAM_URL, the configuration, the local stack).")
@click.option("--key-file", metavar="FILE", help="A file with the API key (else CLIPSTREAM_API_KEY, the configuration).")
@click.option("--version", "wants_version", is_flag=True, help="Print the version.")
@click.pass_context
def clipstream(context: click.Context, server: str | None, key_file: str | None, *, wants_version: bool) -> None:
    if wants_version:
        click.echo(f"clipstream {own_version()}")
    elif context.invoked_subcommand is None:
        click.echo(context.get_help())
    else:
        from clipstream.cli.options import Chosen  # noqa: PLC0415  the client takes a moment to load, and --help needs none

        context.obj = Chosen(server, key_file)


def main(argv: list[str] | None = None) -> int:
    words = sys.argv[1:] if argv is None else argv
    _prepare()
    try:
        return int(clipstream.main(args=words, prog_name="clipstream", standalone_mode=False) or Exit.DONE)
    except (KeyboardInterrupt, click.Abort):
        return Exit.INTERRUPTED
    except Exception as error:  # noqa: BLE001  the last net: nobody is shown a traceback
        from clipstream.cli.complaints import complain  # noqa: PLC0415  only where there is something to complain of

        return complain(error, as_json="--json" in words)


def _prepare() -> None:
    """What is told to end tidies up (the cursor, half a download); a name that the terminal can't write stops nothing."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:  # with nohup it is ignored, and stays so
            signal.signal(number, lambda told, _frame: sys.exit(128 + told))
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="surrogateescape" if sys.stdout.encoding.lower() == "utf-8" else "backslashreplace")


def own_version() -> str:
    try:
        return version("clipstream-client")
    except PackageNotFoundError:
        return "(from a checkout)"
