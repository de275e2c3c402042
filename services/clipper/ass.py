"""Captions as an ASS file for libass to draw into the picture: our own styles, fonts and line breaks. Pure."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

import pysubs2

from services.clipper.captions import Caption
from services.clipper.subtitle_style import Look, Measure, Preset, measure
from services.clipper.subtitle_text import RIGHT_TO_LEFT_MARK, drawn, guarded, is_right_to_left
from services.clipper.typesetting import Typeset, fitted

AUTODETECT_DIRECTION = -1
"""As a style's encoding: libass takes each line's direction from its first letter or mark."""
ONE_BOX = 4
"""As a border style, libass's own: one box behind all of an event, its padding told as the shadow's depth."""
OUTLINED = 1
BOX_TRANSPARENCY = 0x40
BOX_COLOUR = "#000000"
MOST_DEPTH = 0.6
"""Part of the picture's height that one caption may take."""
_ALIGNMENTS = {"bottom": pysubs2.Alignment.BOTTOM_CENTER, "top": pysubs2.Alignment.TOP_CENTER, "middle": pysubs2.Alignment.MIDDLE_CENTER}
_SPACE = re.compile(r"\s")

Place = tuple[int, int]
"""A line of a caption, and a character in it."""


@dataclass(frozen=True, slots=True)
class _Text:
    """A caption as it is laid out: its lines, and how much smaller than the others it is, 1 for not at all."""

    lines: tuple[str, ...]
    scale: float
    is_right_to_left: bool


@dataclass(frozen=True, slots=True)
class Drawing:
    """All that every caption is drawn with. `language` is an ISO 639-1 code, or und."""

    look: Look
    preset: Preset
    typeset: Typeset
    language: str
    width: int
    height: int

    @property
    def measure(self) -> Measure:
        return measure(self.look, self.preset, self.width, self.height)


def ass(captions: Sequence[Caption], drawing: Drawing) -> str | None:
    """The file, for a picture of the drawing's size in pixels; None when nothing is left to draw."""
    file = pysubs2.SSAFile()
    file.events = [event for caption in captions for event in _events(caption, drawing)]
    file.info.update(
        {
            "PlayResX": str(drawing.width),
            "PlayResY": str(drawing.height),
            "WrapStyle": "2",
            "ScaledBorderAndShadow": "yes",
            "YCbCr Matrix": "None",
        }
    )
    file.styles = {"Default": _style(drawing)}
    return file.to_string("ass") if file.events else None


def _style(drawing: Drawing) -> pysubs2.SSAStyle:
    look, preset, sizes = drawing.look, drawing.preset, drawing.measure
    boxed = preset.padding is not None
    return pysubs2.SSAStyle(
        fontname=drawing.typeset.reference.family,
        fontsize=round(sizes.em * drawing.typeset.reference.height, 2),
        primarycolor=_colour(look.colour, look.brightness),
        outlinecolor=_colour(look.outline_colour, look.brightness),
        backcolor=_colour(BOX_COLOUR, look.brightness, BOX_TRANSPARENCY),
        outline=round(sizes.outline, 2),
        shadow=round((preset.padding or 0.0) * sizes.em, 2),
        borderstyle=ONE_BOX if boxed else OUTLINED,
        alignment=_ALIGNMENTS[look.position],
        marginl=sizes.beside,
        marginr=sizes.beside,
        marginv=round(sizes.below + (preset.padding or 0.0) * sizes.em + sizes.outline),
        encoding=AUTODETECT_DIRECTION,
    )


def _colour(colour: str, brightness: float, transparency: int = 0) -> pysubs2.Color:
    red, green, blue = (round(int(colour[n : n + 2], 16) * brightness) for n in (1, 3, 5))
    return pysubs2.Color(red, green, blue, transparency)


def _events(caption: Caption, drawing: Drawing) -> Iterator[pysubs2.SSAEvent]:
    text = _laid_out(caption, drawing)
    if not text.lines:
        return
    for start, end, lit in _spells(caption, text) if drawing.preset.highlights else [(caption.start, caption.end, frozenset[Place]())]:
        yield pysubs2.SSAEvent(start=start, end=end, text=_written(text, lit, drawing))


def _laid_out(caption: Caption, drawing: Drawing) -> _Text:
    """Broken where a line is too wide; smaller where that doesn't help, or gives too many lines."""
    sizes, width = drawing.measure, drawing.typeset.width
    lines = fitted([line for line in map(drawn, caption.lines) if line], sizes.room, width)
    widest = max(map(width, lines), default=0.0)
    deep = len(lines) * drawing.typeset.reference.height
    scale = min(1.0, sizes.room / widest if widest else 1.0, sizes.depth * MOST_DEPTH / deep if deep else 1.0)
    return _Text(lines, scale, is_right_to_left(lines, drawing.language))


def _spells(caption: Caption, text: _Text) -> Iterator[tuple[int, int, frozenset[Place]]]:
    """From when to when which characters are lit: each word from its start to the next one's."""
    at, since = caption.start, [(caption.start, frozenset[Place]())]
    for word, places in zip(caption.words, _places([word.text for word in caption.words], text.lines), strict=True):
        at = min(max(word.start, at), caption.end)
        since.append((at, places))
    for (start, lit), (end, _) in pairwise([*since, (caption.end, frozenset[Place]())]):
        if start < end:
            yield start, end, lit


def _places(words: Sequence[str], lines: Sequence[str]) -> Iterator[frozenset[Place]]:
    """Where each word stands in the lines, whatever spaces are in either; nowhere if it isn't there."""
    signs = [(n, m) for n, line in enumerate(lines) for m, sign in enumerate(line) if not sign.isspace()]
    text, at = "".join(lines[n][m] for n, m in signs), 0
    for word in words:
        bare = _SPACE.sub("", drawn(word))
        found = text.find(bare, at) if bare else -1
        at = found + len(bare) if found >= 0 else at
        yield frozenset(signs[found:at]) if found >= 0 else frozenset()


def _written(text: _Text, lit: frozenset[Place], drawing: Drawing) -> str:
    mark = RIGHT_TO_LEFT_MARK if text.is_right_to_left else ""
    lines = (mark + "".join(_parts(line, n, text.scale, lit, drawing)) for n, line in enumerate(text.lines))
    return f"{{\\b{drawing.preset.weight}}}" + r"\N".join(lines)


def _parts(line: str, n: int, scale: float, lit: frozenset[Place], drawing: Drawing) -> Iterator[str]:
    """The line's fonts, each as tall for its ems as the others, and its colours."""
    look, em, column = drawing.look, drawing.measure.em * scale, 0
    for face, run in drawing.typeset.runs(line):
        yield f"{{\\fn{face.family}\\fs{em * face.height:.2f}}}"
        for is_lit, signs in groupby(enumerate(run, column), key=lambda sign: (n, sign[0]) in lit):
            yield _coloured("".join(sign for _, sign in signs), look.highlight if is_lit else look.colour, drawing)
        column += len(run)


def _coloured(text: str, colour: str, drawing: Drawing) -> str:
    if not drawing.preset.highlights:
        return guarded(text)
    shown = _colour(colour, drawing.look.brightness)
    return f"{{\\1c&H{shown.b:02X}{shown.g:02X}{shown.r:02X}&}}{guarded(text)}"
