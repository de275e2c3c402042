"""Which font draws which character, and where lines are broken that the picture is too narrow for. Pure."""

import re
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from services.clipper.subtitle_text import is_seen
from services.clipper.typefaces import Face

HAN_FONTS = {"zh": "Noto Sans CJK SC", "yue": "Noto Sans CJK HK", "ja": "Noto Sans CJK JP", "ko": "Noto Sans CJK KR"}
"""The same character of Chinese, Japanese and Korean is written in different ways."""
_LAST_RESORTS = ("noto sans symbols", "noto sans cjk", "noto emoji")
"""Fonts that have letters besides those that they are for, in the order in which they are asked."""
_HAN = "\u4e00"
_KANA = re.compile("[\u3040-\u30ff]")
_HANGUL = re.compile("[\u1100-\u11ff\uac00-\ud7a3]")
_UNSPACED = "\u2e80-\u2fff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_CLOSING = "\u3001\u3002\u3005\u30fc\uff01\uff0c\uff1a\uff1b\uff1f\u300d\u300f\uff09"
_UNIT = re.compile(f"[{_UNSPACED}][{_CLOSING}]* *|[^ {_UNSPACED}]+ *| +")
"""What is not broken: a word with the space after it, or a character of Chinese or Japanese with the punctuation that closes it."""
STEPS = 50
"""Between the narrowest and the widest that the parts of a broken line may be."""


@dataclass(frozen=True, slots=True)
class Typeset:
    """Fonts in the order in which they are asked for a character; the first draws what none has. `reference`: the style's own."""

    faces: tuple[Face, ...]
    reference: Face
    _first: dict[str, Face | None] = field(default_factory=dict, repr=False, compare=False)
    _ems: dict[str, float] = field(default_factory=dict, repr=False, compare=False)

    def runs(self, line: str) -> list[tuple[Face, str]]:
        """The line in parts of one font each."""
        chosen: list[Face] = []
        for sign in line:
            chosen.append(self._face(sign, chosen[-1] if chosen else None))
        parts = groupby(zip(chosen, line, strict=True), key=lambda pair: pair[0])
        return [(face, "".join(sign for _, sign in pairs)) for face, pairs in parts]

    def width(self, line: str) -> float:
        """Ems, each character taken as the first font has it."""
        return sum(map(self._width, line))

    def _width(self, sign: str) -> float:
        if sign not in self._ems:
            self._ems[sign] = (self._first_with(sign) or self.faces[0]).width(sign)
        return self._ems[sign]

    def _first_with(self, sign: str) -> Face | None:
        if sign not in self._first:
            self._first[sign] = next((face for face in self.faces if face.has(sign)), None)
        return self._first[sign]

    def missing(self, text: str) -> str:
        """The characters that no font has, each once."""
        signs = dict.fromkeys(sign for sign in text if is_seen(sign))
        return "".join(sign for sign in signs if not self._first_with(sign))

    def _face(self, sign: str, current: Face | None) -> Face:
        """Punctuation, digits, marks and spaces stay in the font of what they follow."""
        if current and not sign.isalpha() and (current.has(sign) or not is_seen(sign)):
            return current
        return self._first_with(sign) or current or self.faces[0]


def typeset(faces: Sequence[Face], font: str, language: str, text: str) -> Typeset:
    """For a text in this language. Raises ValueError when there is no font at all."""
    if not faces:
        raise ValueError("no fonts")
    families = {face.family.lower(): face for face in reversed(faces)}
    own = families.get(font.lower(), faces[0])
    han = families.get(HAN_FONTS[_han_language(language, text)].lower())
    leading = (han, own) if han and language in HAN_FONTS and not own.has(_HAN) else (own,)
    rest = sorted(families.values(), key=lambda face: (_rank(face), face is not han))
    return Typeset(tuple(dict.fromkeys((*leading, *rest))), own)


def _han_language(language: str, text: str) -> str:
    if language in HAN_FONTS:
        return language
    return "ja" if _KANA.search(text) else "ko" if _HANGUL.search(text) else "zh"


def _rank(face: Face) -> int:
    name = face.family.lower()
    return next((rank for rank, prefix in enumerate(_LAST_RESORTS, 1) if name.startswith(prefix)), 0)


def fitted(lines: Sequence[str], room: float, width: Callable[[str], float]) -> tuple[str, ...]:
    """The lines, each that is wider than the room in as few parts as it takes, of about the same width."""
    return tuple(part for line in lines for part in (_broken(line, room, width) if width(line) > room else (line,)))


def _broken(line: str, room: float, width: Callable[[str], float]) -> tuple[str, ...]:
    units = [_Unit(text, width(text), width(text.rstrip())) for text in _UNIT.findall(line)]
    fewest = len(_filled(units, room))
    narrow = min(room, width(line) / fewest)
    limits = [narrow + (room - narrow) * step / STEPS for step in range(STEPS + 1)]
    least = bisect_left(limits, True, hi=STEPS, key=lambda limit: len(_filled(units, limit)) <= fewest)  # noqa: FBT003  a key's value
    return _filled(units, limits[least])


@dataclass(frozen=True, slots=True)
class _Unit:
    """What is not broken; its width with and without the space after it."""

    text: str
    width: float
    bare: float


def _filled(units: Sequence[_Unit], limit: float) -> tuple[str, ...]:
    parts: list[list[str]] = []
    taken = 0.0
    for unit in units:
        if parts and taken + unit.bare <= limit:
            parts[-1].append(unit.text)
            taken += unit.width
        else:
            parts.append([unit.text])
            taken = unit.width
    return tuple(line for part in parts if (line := "".join(part).strip()))
