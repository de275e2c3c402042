"""What a log line says, made plain: whatever a field holds, as JSON can have it, without secrets, and no longer than a reader bears.

Pure. How lines come to be and where they go, logs.py knows.
"""

import re
from collections.abc import Collection, Hashable, Mapping
from datetime import datetime
from functools import lru_cache
from itertools import islice
from pathlib import PurePath
from typing import Any
from uuid import UUID

import msgspec

from libs.common.runtime.redaction import MASK, SECRET_NAME, redacted, without

TEXT = 8_192
"""Characters of one text that are kept: its beginning and its end, where a traceback says what happened."""
LINE_BYTES = 65_536
"""Of a whole line; one that would be longer keeps the beginnings of its texts alone."""
SHORT = 256
LOOKED_AT = 16_384
"""Characters at either end of a very long text: the rest is not even looked at."""
MARGIN = 4_096
"""Of those, thrown away where it was cut before redaction: they may hold half a secret, which nothing would know for one."""
MEMBERS, DEPTH = 100, 6
"""Of a list or mapping: members that are kept, and lists within lists."""
FIRST = 16
"""Members that a line keeps which is too long even so: the first of them say who speaks, and what of."""
PAIR = 2
"""Members of a header as servers and clients hold it: its name and its value."""
INTEGER = 2**63
_UNSEEN = re.compile(rb"\x7f|\xc2[\x80-\x9f]|\xd8\x9c|\xe2\x80[\x8e\x8f\xa8-\xae]|\xe2\x81[\xa6-\xa9]")
"""In UTF-8, what JSON lets stand though it ends a line for some readers, steers a terminal, or turns what is read around.

DEL, C1, U+2028, U+2029, and the signs of writing from right to left.
"""


class Fields:
    """Makes the fields of lines plain; `secrets` are never in any, whatever they look like."""

    def __init__(self, secrets: Collection[str] = ()) -> None:
        self._secrets = tuple(secrets)
        self._again = lru_cache(2_048)(self._clean)
        self._named = lru_cache(1_024)(self._name)

    def plain(self, fields: Mapping[Any, Any], depth: int = DEPTH) -> dict[str, Any]:
        """Names as JSON writes them (jobId); *** for what a name says is secret."""
        plain = {}
        for name, value in islice(fields.items(), MEMBERS):
            told, is_secret = self._named(name)
            plain[told] = MASK if is_secret and value else self._value(value, depth)
        return plain

    def _name(self, name: Hashable) -> tuple[str, bool]:
        """As the line has it, and whether what stands behind it is secret."""
        told = self._text(_camel(name) if isinstance(name, str) and name.isidentifier() else _shown(name))[:SHORT]
        return told, _is_secret(name)

    def _value(self, value: object, depth: int) -> Any:
        if type(value) is str and len(value) <= SHORT:  # nearly always
            return self._again(value)
        if isinstance(value, str):
            return self._text(str(value))  # a Secret says *** of itself
        if value is None or isinstance(value, bool | float):
            return value
        if isinstance(value, int):
            return int(value) if abs(value) < INTEGER else self._text(hex(value))
        if isinstance(value, bytes | bytearray):
            return self._text(value.decode(errors="replace"))
        if isinstance(value, Mapping) and depth:
            return self.plain(value, depth - 1)
        if isinstance(value, list | tuple | set | frozenset) and depth:
            return self._list(value, depth - 1)
        return self._text(_shown(value))

    def _list(self, values: Collection[object], depth: int) -> list[Any]:
        plain = [self._value(each, depth) for each in islice(values, MEMBERS)]
        is_header = len(plain) == PAIR and isinstance(values, list | tuple) and isinstance(plain[0], str)
        return [plain[0], MASK] if is_header and plain[1] and _is_secret(plain[0]) else plain

    def _text(self, text: str) -> str:
        if len(text) <= SHORT:
            return self._again(text)
        if len(text) <= 2 * LOOKED_AT:
            return _shortened(self._clean(text))
        return f"{self._clean(text[:LOOKED_AT])[:-MARGIN][: TEXT // 2]} … {self._clean(text[-LOOKED_AT:])[MARGIN:][-TEXT // 2 :]}"

    def _clean(self, text: str) -> str:
        whole = text if text.isascii() else text.encode(errors="replace").decode()
        return redacted(without(self._secrets, whole))


def _shortened(text: str) -> str:
    return text if len(text) <= TEXT else f"{text[: TEXT // 2]} … {text[-TEXT // 2 :]}"


def _shown(value: object) -> str:
    """In words, whatever it is."""
    try:
        return str(value) if isinstance(value, str | UUID | datetime | PurePath) else repr(value)
    except Exception:  # noqa: BLE001  an object that can't even say what it is must not cost the line
        return f"<{type(value).__name__}>"


@lru_cache(1_024)
def _camel(name: str) -> str:
    """jobId for job_id; a name that begins with an underscore stays."""
    first, *more = name.split("_")
    return first + "".join(word[:1].upper() + word[1:] for word in more) if first else name


@lru_cache(1_024)
def _is_secret(name: Hashable) -> bool:
    return SECRET_NAME.search(_shown(name)[-SHORT:]) is not None


def line(fields: Mapping[str, Any]) -> bytes:
    """One line of JSON without its end, of plain fields."""
    encoded = msgspec.json.encode(fields)
    for most in (len(fields), FIRST):
        if len(encoded) > LINE_BYTES:
            encoded = msgspec.json.encode({name: _beginning(value) for name, value in islice(fields.items(), most)} | {"cut": True})
    return encoded if encoded.isascii() and b"\x7f" not in encoded else _UNSEEN.sub(_escaped, encoded)


def _beginning(value: object) -> object:
    return value[:SHORT] if isinstance(value, str) else value if isinstance(value, int | float | None) else "…"


def _escaped(found: re.Match[bytes]) -> bytes:
    return f"\\u{ord(found[0].decode()):04x}".encode()
