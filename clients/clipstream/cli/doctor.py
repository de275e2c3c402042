"""`clipstream doctor`: is it set up right? The server as it is from here and, in a checkout, the services and what they need."""

import os
import platform
import subprocess
import sys
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import groupby
from pathlib import Path

import click
import msgspec
from rich.console import Console
from rich.text import Text

from clipstream.address import address
from clipstream.cli import connecting, local
from clipstream.cli.asking import Asked
from clipstream.cli.exits import Exit
from clipstream.cli.findings import Finding, Look, Seen, State, counts, examined, failed, ok, warning
from clipstream.cli.main import own_version
from clipstream.cli.options import Chosen, examples
from clipstream.cli.plain import plain
from clipstream.cli.settings import Configured, configured, key_named, server_named
from clipstream.cli.terminal import Terminal
from clipstream.errors import ClipstreamError
from clipstream.pacing import Pacing
from clipstream.server import Server
from clipstream.wire import BlockingWire

PATIENCE = 10.0
CHECKOUT = 150.0
"""Seconds that all looks at the services may take together."""
MARKS: dict[State, tuple[str, str]] = {
    "ok": ("ok", "green"),
    "warning": ("WARN", "bold yellow"),
    "failed": ("FAIL", "bold red"),
    "skipped": ("skip", "dim"),
}
WIDEST, NAMES = 100, 20
UP = "clipstream up starts one here; or name one with --server URL."


class Reported(msgspec.Struct, frozen=True):
    """What tools/doctor.py says."""

    findings: list[Finding]


@click.command("doctor", epilog=examples("clipstream doctor", "clipstream doctor --quiet", "clipstream doctor --json | jq .counts"))
@click.option("--server", metavar="URL", help="The server (else CLIPSTREAM_URL, the configuration, the local stack).")
@click.option("--key-file", metavar="FILE", help="A file with the API key (else CLIPSTREAM_API_KEY, the configuration).")
@click.option("--json", "as_json", is_flag=True, help="All findings as one JSON document.")
@click.option("--quiet", is_flag=True, help="Only warnings and what has failed.")
@click.pass_context
def doctor_command(context: click.Context, server: str | None, key_file: str | None, *, as_json: bool, quiet: bool) -> Exit:
    """Say whether all is set up right, and what to do where it is not. In a checkout it looks at the services too.

    The exit code is 1 where something has failed; warnings are 0.
    """
    chosen = context.find_object(Chosen) or Chosen()
    found = list(_findings(server or chosen.server, key_file or chosen.key_file))
    if as_json:
        Terminal(as_json=True).document({"findings": found, "counts": counts(found)})
    else:
        _show(found, quiet=quiet)
    return Exit.UNWELL if counts(found)["failed"] else Exit.DONE


def _findings(flag: str | None, key_file: str | None) -> Iterator[Finding]:
    yield from examined("this computer", [Look("client", _client), Look("terminal", _terminal), Look("configuration", _configuration)])
    with suppress(click.UsageError):  # which the look at the configuration has told of
        config, here = configured(), local.running()
        named = server_named(flag, config)
        yield from _of_server(named or here, _origin(flag, config), key_file, config)
        yield from _of_checkout(is_elsewhere=named not in {None, here})


def _origin(flag: str | None, config: Configured) -> str:
    """Who named the server: as server_named has it."""
    named = {"--server": flag, "CLIPSTREAM_URL": os.environ.get("CLIPSTREAM_URL"), "the configuration": config.server}
    return next((place for place, value in named.items() if value), "the local stack")


def _client() -> Seen:
    return ok(f"clipstream {own_version()}, Python {platform.python_version()}")


def _terminal() -> Seen:
    encoding = (sys.stdout.encoding or "").lower().replace("_", "-")
    if encoding in {"utf-8", "utf8"}:
        return ok("UTF-8")
    return warning(f"writes {encoding or 'nothing known'}: names of files may look odd", "Set LANG=C.UTF-8, or another locale with UTF-8.")


def _configuration() -> Seen:
    try:
        configured()
    except click.UsageError as error:
        return failed(error.format_message(), "Correct the file: docs/command-line.md says what may be in it.")
    return ok("good")


def _of_server(url: str | None, origin: str, key_file: str | None, config: Configured) -> Iterator[Finding]:
    if url is None:
        yield Finding("server", "address", "failed", "no server is named, and none runs here", UP)
        return
    try:
        where = address(url, key_named(key_file, config) or "")
        asked = Asked(Server(where, BlockingWire(PATIENCE, where.url), Pacing(retries=0)))
    except ClipstreamError as error:
        yield Finding("server", "address", "failed", error.message, error.hint)
    except click.UsageError as error:
        yield Finding("server", "key", "failed", error.format_message(), "Name a file that holds the key alone, on one line.")
    else:
        address_look = Look("address", lambda: ok(f"{where.url} ({origin})"))
        yield from examined("server", [address_look, *connecting.looks(where.url), *asked.looks()])


def _of_checkout(*, is_elsewhere: bool) -> Iterator[Finding]:
    folder = local.checkout()
    if folder is None:
        return
    python = folder / ".venv" / "bin" / "python"
    if is_elsewhere:
        yield Finding("checkout", "services", "skipped", "the server is not the one of this checkout, so that is not looked at")
    elif not python.exists():
        yield Finding("checkout", "services", "skipped", "it is not set up: make setup, or clipstream up, does that")
    else:
        Terminal().say("looking at the services of this checkout …", style="dim")
        yield from _services(folder, python)


def _services(folder: Path, python: Path) -> list[Finding]:
    """In the checkout's own Python: this client knows nothing of the services' insides."""
    broke = "Run .venv/bin/python -m tools.doctor in the checkout to see why; make setup may mend it."
    try:
        argv = [str(python), "-m", "tools.doctor", "--json"]
        done = subprocess.run(argv, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, timeout=CHECKOUT, check=False)
        return msgspec.json.decode(done.stdout, type=Reported).findings
    except subprocess.TimeoutExpired:
        return [Finding("checkout", "services", "failed", f"no answer within {CHECKOUT:g} s", broke)]
    except (OSError, msgspec.DecodeError):
        return [Finding("checkout", "services", "failed", "their doctor can't be run", broke)]


def _show(found: Sequence[Finding], *, quiet: bool) -> None:
    console = Console(highlight=False, soft_wrap=True)
    width = min(console.width, WIDEST) if console.is_terminal else WIDEST
    shown = [finding for finding in found if not quiet or finding.state in {"warning", "failed"}]
    with console.capture() as drawn:
        for topic, group in groupby(shown, key=lambda finding: finding.topic):
            console.print(Text(topic, "bold"))
            for finding in group:
                console.print(_lines(finding, width))
            console.print()
        console.print(Text(_summary(found), "bold"))
    print(drawn.get(), end="", flush=True)  # not rich: a pipe that nobody reads would be its own 1, "something is wrong"


def _lines(finding: Finding, width: int) -> Text:
    mark, style = MARKS[finding.state]
    name = f"{plain(finding.name):<{NAMES}} "
    text = Text.assemble("  ", (f"{mark:<4}", style), "  ", _wrapped(name + plain(finding.seen), width, 8, " " * (8 + NAMES + 1)))
    if finding.advice:
        text.append(f"\n{' ' * 8}→ {_wrapped(plain(finding.advice), width, 10, ' ' * 10)}")
    return text


def _wrapped(text: str, width: int, used: int, indent: str) -> str:
    """Behind what stands in the line already, `used` columns of it."""
    lines = textwrap.wrap(
        text,
        width,
        initial_indent=" " * used,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
        drop_whitespace=True,
    )
    return "\n".join(lines)[used:]


def _summary(found: Sequence[Finding]) -> str:
    told = counts(found)
    verdict = "something is wrong" if told["failed"] else "good, with warnings" if told["warning"] else "all is well"
    return f"{verdict}: ok {told['ok']}, warnings {told['warning']}, failed {told['failed']}, skipped {told['skipped']}"
