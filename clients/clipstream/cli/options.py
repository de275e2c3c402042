"""What many commands have in common: the server, the key, --json, examples in --help. Each opens its client here."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from typing import Any

import click

from clipstream import Clipstream
from clipstream.cli import local
from clipstream.cli.exits import Exit
from clipstream.cli.settings import configured, key_named, server_named
from clipstream.cli.terminal import Terminal

Body = Callable[..., Exit | None]


@dataclass(frozen=True, slots=True)
class Chosen:
    """The options that may stand before the command's name."""

    server: str | None = None
    key_file: str | None = None


class NoServer(click.ClickException):
    exit_code = Exit.UNAVAILABLE


def examples(*lines: str) -> str:
    """For `epilog`: each as typed."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


def as_json(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option("--json", "as_json", is_flag=True, help="Results as JSON on stdout, errors as JSON on stderr.")(command)


@dataclass(frozen=True, slots=True)
class Connection:
    """Where the command is to connect, once it knows what it wants there."""

    terminal: Terminal
    server: str | None
    key_file: str | None

    @contextmanager
    def opened(self, *, starts: bool = False) -> Iterator[Clipstream]:
        """`starts`: where no server is configured and none runs here, the local one is started."""
        config = configured()
        key = key_named(self.key_file, config)
        with Clipstream(_address(server_named(self.server, config), self.terminal, starts=starts), key=key) as client:
            yield client


def connecting(body: Body) -> Callable[..., Exit | None]:
    """Gives the command a `connection`."""

    @click.option("--server", metavar="URL", help="The server (else CLIPSTREAM_URL, the configuration, the local stack).")
    @click.option("--key-file", metavar="FILE", help="A file with the API key (else CLIPSTREAM_API_KEY, the configuration).")
    @as_json
    @wraps(body)
    def run(server: str | None, key_file: str | None, *, as_json: bool, **given: Any) -> Exit | None:
        chosen = click.get_current_context().find_object(Chosen) or Chosen()
        return body(connection=Connection(Terminal(as_json=as_json), server or chosen.server, key_file or chosen.key_file), **given)

    return run


def connected(body: Body) -> Callable[..., Exit | None]:
    """Gives the command a `terminal` and a `client`."""

    @wraps(body)
    def run(connection: Connection, **given: Any) -> Exit | None:
        with connection.opened() as client:
            return body(terminal=connection.terminal, client=client, **given)

    return connecting(run)


def _address(named: str | None, terminal: Terminal, *, starts: bool) -> str:
    if found := named or local.running():
        return found
    if not starts:
        raise NoServer("no server is configured, and none runs here: `clipstream up` starts one; or name one with --server URL")
    terminal.say("no server is configured: starting the local one … (`clipstream down` stops it)")
    return local.start()


def output_folder(given: str | None) -> str:
    """Where files go: the flag, the configuration, here."""
    return given or configured().output or "."
