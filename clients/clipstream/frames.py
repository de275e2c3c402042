"""An event stream taken apart as its bytes come in, by WHATWG HTML 9.2.6. Pure. What has no end is not kept."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from clipstream.errors import ClipstreamError

LARGEST = 1024 * 1024
"""Bytes of one event."""
_LINE_END = re.compile(rb"\r\n|\n|\r(?!\Z)")


@dataclass(frozen=True, slots=True)
class Frame:
    """`id` is that of the last event that had one."""

    id: str
    data: bytes


class Frames:
    """One stream's."""

    def __init__(self) -> None:
        self._rest = b""
        self._data: list[bytes] = []
        self._size = 0
        self._id = ""

    def fed(self, chunk: bytes) -> Iterator[Frame]:
        """The events that are whole now. Raises ClipstreamError for one that is too large."""
        self._size += len(chunk)
        *lines, self._rest = _LINE_END.split(self._rest + chunk)
        for line in lines:
            if line:
                self._read(line)
            else:
                if self._data:
                    yield Frame(self._id, b"\n".join(self._data))
                self._data, self._size = [], 0
        if self._size > LARGEST:
            raise ClipstreamError("BAD_ANSWER", "the server's event is too large")

    def _read(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        if name == b"data":
            self._data.append(value.removeprefix(b" "))
        elif name == b"id":
            self._id = value.removeprefix(b" ").decode(errors="replace")
