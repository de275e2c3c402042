"""Which upload a file belongs to, kept between processes: no URL, no key, no byte of the file is in it."""

import hashlib
import json
import os
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID, uuid4

KEPT = 7 * 24 * 3600.0
"""Seconds; the server keeps no upload for so long unless a job needs it."""


@dataclass(frozen=True, slots=True)
class FileMark:
    """A file as it was when its upload began. A change of it shows in its size or in its time."""

    path: str
    size: int
    mtime_ns: int


def mark(path: Path) -> FileMark:
    """Raises OSError."""
    found = path.stat()
    return FileMark(str(path.resolve()), found.st_size, found.st_mtime_ns)


def folder() -> Path:
    """By the XDG base directory specification."""
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "clipstream" / "uploads"


def remembered(server: str, file: FileMark) -> str | None:
    """The id of the file's upload to this server, if one was begun."""
    with suppress(OSError, ValueError):
        return str(UUID(_place(server, file).read_text()))
    return None


def remember(server: str, file: FileMark, upload_id: str) -> None:
    """Of an upload that can't be remembered nothing is lost but the way back to it, so a full disk is no error."""
    place = _place(server, file)
    draft = place.with_name(f"{place.name}.{uuid4().hex}")
    with suppress(OSError):
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _swept(place.parent)
        draft.write_text(upload_id)
        draft.replace(place)


def _place(server: str, file: FileMark) -> Path:
    named = json.dumps([server, file.path, file.size, file.mtime_ns])
    return folder() / hashlib.sha256(named.encode(errors="surrogatepass")).hexdigest()


def _swept(states: Path) -> None:
    for old in states.iterdir():
        with suppress(OSError):
            if old.stat().st_mtime < time.time() - KEPT:
                old.unlink()
