"""Boxes, of which MP4 and MOV files are made (ISO/IEC 14496-12 4.2): taken apart within their bounds, and put together. Pure."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

HEADER = 8
LARGE_HEADER = 16
MOST_CHILDREN = 1024


class NotUnderstood(ValueError):
    """A file that is broken, or uses what this package does not take exactly. Another way has to be found to read it."""


@dataclass(frozen=True, slots=True)
class Header:
    """`length` bytes of header begin a box of `size` bytes, header included."""

    kind: bytes
    length: int
    size: int


def read_header(data: bytes, at: int, room: int) -> Header:
    """The header of the box at data[at:], which has `room` bytes to lie in. Raises NotUnderstood where it is cut short or leaves them."""
    if min(room, len(data) - at) < HEADER:
        raise NotUnderstood("a box without a header")
    size, kind = struct.unpack_from(">I4s", data, at)
    length = LARGE_HEADER if size == 1 else HEADER
    if size == 1 and len(data) - at >= LARGE_HEADER:
        (size,) = struct.unpack_from(">Q", data, at + HEADER)
    header = Header(kind, length, size or room)
    if not length <= header.size <= room:
        raise NotUnderstood(f"a box of {size} bytes where {room} are left")
    return header


@dataclass(frozen=True, slots=True, eq=False)
class Box:
    """data[start:end], of which the content begins at `body`."""

    data: bytes
    kind: bytes
    start: int
    body: int
    end: int

    @property
    def content(self) -> bytes:
        return self.data[self.body : self.end]

    def children(self, skip: int = 0) -> Iterator["Box"]:
        """The boxes within, after `skip` bytes of fields. Zeros that end a QuickTime list are passed over, and what is too short."""
        at = self.body + skip
        for _ in range(MOST_CHILDREN):
            if self.end - at < HEADER or not any(self.data[at : at + HEADER]):
                return
            header = read_header(self.data, at, self.end - at)
            yield Box(self.data, header.kind, at, at + header.length, at + header.size)
            at += header.size
        raise NotUnderstood("too many boxes")

    def child(self, kind: bytes, skip: int = 0) -> "Box | None":
        return next((box for box in self.children(skip) if box.kind == kind), None)

    def need(self, *path: bytes) -> "Box":
        """The box at the end of a path of kinds. Raises NotUnderstood where there is none."""
        box = self
        for kind in path:
            found = box.child(kind)
            if found is None:
                raise NotUnderstood(f"no {kind!r} box")
            box = found
        return box

    def unpack(self, layout: str, at: int = 0) -> tuple[Any, ...]:
        """Big-endian fields, `at` bytes into the content. Raises NotUnderstood beyond its end."""
        if self.body + at + struct.calcsize(">" + layout) > self.end:
            raise NotUnderstood(f"a {self.kind!r} box that is too short")
        return struct.unpack_from(">" + layout, self.data, self.body + at)

    @property
    def version(self) -> int:
        """Of a full box (ISO/IEC 14496-12 4.2)."""
        return int(self.unpack("B")[0])


def outermost(data: bytes) -> Box:
    """The one box that `data` begins with."""
    header = read_header(data, 0, len(data))
    return Box(data, header.kind, 0, header.length, header.size)


def box(kind: bytes, *parts: bytes) -> bytes:
    """A box of these contents, with a header of 8 bytes."""
    content = b"".join(parts)
    return struct.pack(">I4s", HEADER + len(content), kind) + content


def full_box(kind: bytes, version: int, flags: int, *parts: bytes) -> bytes:
    return box(kind, struct.pack(">I", version << 24 | flags), *parts)
