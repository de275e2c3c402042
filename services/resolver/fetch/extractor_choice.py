"""Which extractors may take a URL: those whose expressions could match it, by the letters that they can't match without.

yt-dlp alone would compile each expression before the right one: it was half of a short visit's CPU. `make literals` writes the table.
"""

from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path

import msgspec
from yt_dlp.version import __version__

TABLE = Path(__file__).with_name("url_literals.json")


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """`literals`: by an extractor's key, lower-case strings of which a URL of its sites, in lower case, holds at least one."""

    yt_dlp: str
    literals: Mapping[str, tuple[str, ...]]


def possible(keys: Iterable[str], url: str) -> Iterator[str]:
    """Of these extractors, in their order, those that may take the URL."""
    literals, lower = _literals() if url.isascii() else {}, url.lower()
    return (key for key in keys if (known := literals.get(key)) is None or any(literal in lower for literal in known))


@cache
def _literals() -> Mapping[str, tuple[str, ...]]:
    """None of them for another yt-dlp than the table is of: then all are tried."""
    table = msgspec.json.decode(TABLE.read_bytes(), type=Table)
    return table.literals if table.yt_dlp == __version__ else {}
