"""The local stack: found by the note that it leaves in its state folder, started and stopped by the checkout's `make`."""

import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import click

from clipstream.cli.exits import Exit

NOWHERE = (
    "There is no checkout of Clipstream here, so there is nothing to start.\n"
    "Run this inside one (git clone …; cd clipstream), or name a server: --server URL, or CLIPSTREAM_URL."
)


class LocalFailed(click.ClickException):
    """The stack can't be started or stopped; the message says why."""

    exit_code = Exit.UNAVAILABLE


def checkout() -> Path | None:
    """The one that this package lies in, else the one around the working directory."""
    candidates = (Path(__file__).resolve().parents[3], Path.cwd(), *Path.cwd().parents)
    return next((folder for folder in candidates if (folder / "tools" / "stack.py").is_file() and (folder / "Makefile").is_file()), None)


def running() -> str | None:
    """The address of a stack that is ready: its note, believed only while the stack holds the folder's lock (see tools/local_stack.py)."""
    home = _home()
    if home is None or not _is_held(home / "lock"):
        return None
    try:
        note: dict[str, Any] = json.loads((home / "stack.json").read_text())
        return str(note["url"])
    except (OSError, ValueError, KeyError):
        return None


def _home() -> Path | None:
    if chosen := os.environ.get("CLIPSTREAM_HOME"):
        return Path(chosen)
    folder = checkout()
    return folder / ".clipstream" if folder else None


def _is_held(lock: Path) -> bool:
    try:
        with lock.open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def start(*, urls: bool = False) -> str:
    """Its address, once it is ready. What it says meanwhile goes to stderr."""
    if urls and running():
        raise LocalFailed("a stack runs already, and what it allows is settled when it starts: `clipstream down` first")
    environ = {**os.environ, **({"ENABLE_YTDLP": "true"} if urls else {})}
    said = _make("start", environ).split()
    if not said:
        raise LocalFailed("`make start` did not say where the stack is")
    return said[-1]


def stop() -> None:
    _make("stop", dict(os.environ))


def _make(target: str, environ: dict[str, str]) -> str:
    folder = checkout()
    if folder is None:
        raise LocalFailed(NOWHERE)
    try:
        done = subprocess.run(["make", target], cwd=folder, env=environ, stdout=subprocess.PIPE, stderr=sys.stderr, text=True, check=False)  # noqa: S607  make is where PATH says
    except OSError as error:
        raise LocalFailed("`make` is needed to run the local stack, and it is not on PATH") from error
    if done.returncode:
        raise LocalFailed(f"`make {target}` in {folder} failed; what it said is above")
    return done.stdout
