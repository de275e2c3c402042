"""What deploy/postgres/grants.sql gives to whom, read out of that file: there is no second list. Pure but for the reading."""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

GRANTS = Path(__file__).parents[4] / "deploy" / "postgres" / "grants.sql"
_LINE = re.compile(r"\('(\w+)',\s*'(\w+)',\s*'([^']+)'\)")
_RIGHT = re.compile(r"([A-Z]+)( \(\w+\))?")


@dataclass(frozen=True, slots=True, order=True)
class Right:
    """A verb on a table; `in_part`: on some of its columns is enough."""

    table: str
    verb: str
    in_part: bool = False


def rights_of(services: Collection[str], text: str) -> set[Right]:
    """All that these services are given by the file's text."""
    lines = [(table, verbs) for service, table, verbs in _LINE.findall(text) if service in services]
    return {Right(table, verb, bool(part)) for table, verbs in lines for verb, part in _RIGHT.findall(verbs)}


def written_rights(services: Collection[str]) -> set[Right] | None:
    """None where the file does not come with the service."""
    return rights_of(services, GRANTS.read_text()) if GRANTS.is_file() else None


def lacking(wanted: Iterable[Right], held: Collection[Right]) -> list[Right]:
    """A right on the whole table holds for its columns too."""
    return sorted(right for right in wanted if right not in held and Right(right.table, right.verb) not in held)


def needless(wanted: Collection[Right], held: Iterable[Right]) -> list[Right]:
    return sorted(right for right in held if right not in wanted and not right.in_part)
