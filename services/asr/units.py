"""What lines are made of: words, and pieces of those that no line holds; how they join to running text. Pure."""

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from services.asr.rules import Layout, columns
from services.asr.transcript import Word, is_unspaced

CLOSING = ",.;:!?%)]}”〉》」』】\u3015〗〙〟、。・･·،؛؟\u06d4।॥\u0589။၊។៕፣።…"
"""No line begins with one (JIS X 4051, W3C jlreq 3.1.7; quotation marks that some languages open with are left out)."""
SMALL_KANA = "ぁぃぅぇぉっゃゅょゎゕゖァィゥェォッャュョヮヵヶーゝゞヽヾ々〻"
OPENING = "([{“„\u201a〈《「『【\u3014〖〘〝¿¡"
"""No line ends with one."""
_PIECES_A_LINE = 4
_LOOKED_BACK = 8
"""Characters: more punctuation than stands in a row."""


@dataclass(frozen=True, slots=True)
class Unit:
    """A word, or a piece of one; `space` is how many columns stand between it and the unit before, 0 or 1."""

    word: Word
    space: int
    is_piece: bool = False
    """It goes on with the word that the unit before began."""


def units(words: Sequence[Word], layout: Layout) -> list[Unit]:
    """The words in order, none wider than a line."""
    made: list[Unit] = []
    before = ""
    for word in words:
        space = int(bool(before) and not _joins(before, word.text))
        before = before[-_LOOKED_BACK:] + word.text
        whole = columns(word.text) <= layout.columns
        made += [Unit(word, space)] if whole else _pieces(word, space, max(2, layout.columns // _PIECES_A_LINE))
    return made


def written(line: Sequence[Unit]) -> str:
    """The units as running text."""
    return "".join(f" {unit.word.text}" if n and unit.space else unit.word.text for n, unit in enumerate(line))


def joined(texts: Sequence[str]) -> str:
    """The words as running text: a space between two, but none between characters of Chinese, Japanese, Thai …"""
    line = ""
    for text in texts:
        line += f" {text}" if line and not _joins(line, text) else text
    return line


def _joins(left: str, right: str) -> bool:
    """Whether two neighbours are written without a space; their punctuation goes by the characters that it stands at."""
    last, first = _core(reversed(left), CLOSING), _core(iter(right), OPENING)
    if all(char in CLOSING for char in right):
        return is_unspaced(last)
    return is_unspaced(last) and is_unspaced(first)


def _core(chars: Iterator[str], skipped: str) -> str:
    """The first character that is none of the skipped ones; a space for none."""
    return next((char for char in chars if char not in skipped), " ")


def _pieces(word: Word, space: int, widest: int) -> list[Unit]:
    """A word wider than a line, such as an address, or a sentence of a script without spaces: each piece with a share of its time."""
    texts = _chopped(word.text, widest)
    share = (word.end - word.start) / len(word.text)
    made, at = [], 0
    for text in texts:
        after = at + len(text)
        end = word.end if after == len(word.text) else word.start + after * share
        made.append(Unit(Word(text, word.start + at * share, end), 0 if at else space, is_piece=at > 0))
        at = after
    return made


def _chopped(text: str, widest: int) -> list[str]:
    """Pieces of at most so many columns, that end at punctuation or where they are full; marks stay with what they belong to."""
    pieces: list[str] = []
    piece, width = "", 0
    for char in text:
        wide = columns(char)
        stays = _stays(char) and width + wide <= 2 * widest
        if piece and not stays and (width + wide > widest or piece[-1] in CLOSING):
            pieces.append(piece)
            piece, width = "", 0
        piece, width = piece + char, width + wide
    return [*pieces, piece]


def _stays(char: str) -> bool:
    return char in CLOSING or char in SMALL_KANA or unicodedata.category(char) in {"Mn", "Mc", "Me", "Cf"}
