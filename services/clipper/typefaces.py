"""What a font file holds: its family, which characters, how wide they are, how tall libass takes it to be (OpenType 1.9; head, hhea, …).

Reads those tables only. The files are the operator's own; what can't be read as a font is passed over.
"""

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

SUFFIXES = frozenset({".ttf", ".otf", ".ttc", ".otc"})
MOST_TABLES = 200
LARGEST_TABLE = 16 << 20
_COLLECTION = b"ttcf"
_TYPOGRAPHIC_FAMILY, _FAMILY = 16, 1
_WINDOWS, _ENGLISH = 3, 0x409
_CMAP_ORDER = ((3, 10), (0, 6), (0, 4), (3, 1), (0, 3))
"""Platform and encoding of the character maps that we read, those with all of Unicode first."""
_NO_GLYPH = 0
_ITALIC = 0b10
_UNWRITABLE = frozenset(",{}\\\r\n")


@dataclass(frozen=True, slots=True)
class Face:
    """One font of a file. `height`: ems from the highest ascent to the lowest descent, which libass makes as tall as the font size."""

    family: str
    height: float
    glyphs: dict[int, int] = field(repr=False, hash=False, compare=False)
    advances: tuple[float, ...] = field(repr=False, hash=False, compare=False)
    """Ems, by glyph; the last one holds for all that follow."""

    def has(self, sign: str) -> bool:
        return ord(sign) in self.glyphs

    def width(self, text: str) -> float:
        """Ems that the text takes in the font's default weight, without kerning and ligatures."""
        glyphs = (self.glyphs.get(ord(sign), _NO_GLYPH) for sign in text)
        return sum(self.advances[min(glyph, len(self.advances) - 1)] for glyph in glyphs)


def all_faces(folders: Iterable[Path]) -> tuple[Face, ...]:
    """The fonts of several folders, in their order."""
    return tuple(face for folder in folders for face in faces(folder))


@lru_cache(maxsize=16)
def faces(folder: Path) -> tuple[Face, ...]:
    """Every upright font in the folder and those below it, by path; read once in a process."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    return tuple(face for path in paths for face in faces_of(path))


def faces_of(path: Path) -> tuple[Face, ...]:
    """The upright fonts of one file, several of a collection; none of what is no font."""
    try:
        with path.open("rb") as file:
            return tuple(face for offset in _offsets(file) if (face := _face(file, offset)))
    except (OSError, ValueError, KeyError, IndexError, struct.error):
        return ()


def _offsets(file: BinaryIO) -> tuple[int, ...]:
    head = file.read(12)
    if head[:4] != _COLLECTION:
        return (0,)
    (count,) = struct.unpack(">L", head[8:12])
    return struct.unpack(f">{min(count, 64)}L", file.read(4 * min(count, 64)))


def _face(file: BinaryIO, offset: int) -> Face | None:
    """None for an italic, and a font without a size or a name that ASS can hold."""
    tables = _tables(file, offset)
    units, style = struct.unpack_from(">18xH24xH", tables["head"])
    family = _family(tables["name"])
    if not units or not family or style & _ITALIC or set(family) & _UNWRITABLE:
        return None
    return Face(family, _height(tables) / units, _glyphs(tables["cmap"]), _advances(tables["hhea"], tables["hmtx"], units))


def _tables(file: BinaryIO, offset: int) -> dict[str, bytes]:
    file.seek(offset)
    (count,) = struct.unpack(">4xH6x", file.read(12))
    records = list(struct.iter_unpack(">4sLLL", file.read(16 * min(count, MOST_TABLES))))
    wanted = (b"head", b"hhea", b"hmtx", b"OS/2", b"name", b"cmap")
    found = {}
    for tag, _, start, length in records:
        if tag in wanted and length <= LARGEST_TABLE:
            file.seek(start)
            found[tag.decode()] = file.read(length)
    return found


def _height(tables: dict[str, bytes]) -> int:
    """As libass has it, after GDI: the Windows ascent and descent, else those of hhea."""
    ascent, descent = struct.unpack_from(">HH", tables["OS/2"], 74) if "OS/2" in tables else (0, 0)
    if ascent + descent:
        return int(ascent + descent)
    above, below = struct.unpack_from(">hh", tables["hhea"], 4)
    return int(above - below)


def _family(table: bytes) -> str:
    _, count, strings = struct.unpack_from(">HHH", table)
    names: dict[int, str] = {}
    for platform, _, language, name, length, at in struct.iter_unpack(">6H", table[6 : 6 + 12 * count]):
        if platform == _WINDOWS and language == _ENGLISH and name in {_TYPOGRAPHIC_FAMILY, _FAMILY}:
            names[name] = table[strings + at : strings + at + length].decode("utf-16-be")
    return names.get(_TYPOGRAPHIC_FAMILY) or names.get(_FAMILY, "")


def _advances(hhea: bytes, hmtx: bytes, units: int) -> tuple[float, ...]:
    (count,) = struct.unpack_from(">H", hhea, 34)
    return tuple(advance / units for advance, _ in struct.iter_unpack(">Hh", hmtx[: 4 * count]))


def _glyphs(table: bytes) -> dict[int, int]:
    """Character to glyph. Raises KeyError for a font without a Unicode map."""
    (count,) = struct.unpack_from(">2xH", table)
    maps = {(platform, encoding): at for platform, encoding, at in struct.iter_unpack(">HHL", table[4 : 4 + 8 * count])}
    at = next((maps[kind] for kind in _CMAP_ORDER if kind in maps), None)
    if at is None:
        raise KeyError("cmap")
    (form,) = struct.unpack_from(">H", table, at)
    pairs = {4: _segments, 12: _groups}[form](table, at)
    return {sign: glyph for sign, glyph in pairs if glyph != _NO_GLYPH}


def _groups(table: bytes, at: int) -> Iterator[tuple[int, int]]:
    """Format 12: runs of characters whose glyphs follow each other too."""
    (count,) = struct.unpack_from(">L", table, at + 12)
    for first, last, glyph in struct.iter_unpack(">LLL", table[at + 16 : at + 16 + 12 * count]):
        for n in range(min(last, 0x10FFFF) - first + 1):
            yield first + n, glyph + n


def _segments(table: bytes, at: int) -> Iterator[tuple[int, int]]:
    """Format 4: runs of characters of the first plane, with a distance to their glyphs or a list of them."""
    (double,) = struct.unpack_from(">H", table, at + 6)
    ends, starts, deltas, offsets = (at + 14 + n * double + (2 if n else 0) for n in range(4))
    for n in range(0, double, 2):
        end, start, delta, offset = (struct.unpack_from(">H", table, part + n)[0] for part in (ends, starts, deltas, offsets))
        for sign in range(start, min(end, 0xFFFE) + 1):
            listed = struct.unpack_from(">H", table, offsets + n + offset + 2 * (sign - start))[0] if offset else sign
            yield sign, (listed + delta) & 0xFFFF if listed or not offset else _NO_GLYPH
