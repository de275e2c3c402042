"""`clipstream up` and `clipstream down`: the local stack."""

import click

from clipstream.cli import local
from clipstream.cli.options import as_json, examples
from clipstream.cli.terminal import Terminal


@click.command("up", epilog=examples("clipstream up", "clipstream up --urls", "PORT=9000 clipstream up"))
@click.option("--urls", is_flag=True, help="Take videos by URL too (ENABLE_YTDLP=true; docs/sources.md).")
@as_json
def up_command(*, urls: bool, as_json: bool) -> None:
    """Start the local stack, and print its address. The first time it sets itself up, which takes some minutes."""
    terminal, address = Terminal(as_json=as_json), local.start(urls=urls)
    if as_json:
        terminal.document({"url": address})
    else:
        terminal.give(address)


@click.command("down", epilog=examples("clipstream down"))
def down_command() -> None:
    """Stop the local stack. Its jobs and files stay, and go on when it is started again."""
    local.stop()
