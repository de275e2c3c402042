"""What ffmpeg needs to draw a clip's subtitles, in the attempt's folder: the ASS file, the fonts, and fontconfig's word for them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from libs.common.domain.values import Notice, SubtitleStyle
from libs.common.runtime.logs import logger
from services.clipper.ass import Drawing, ass
from services.clipper.captions import Caption
from services.clipper.ffmpeg_plan import FONTS, FONTS_CONFIG, SUBTITLES, fonts_config
from services.clipper.settings import ClipperSettings
from services.clipper.subtitle_style import PRESETS, Look
from services.clipper.subtitle_text import drawn
from services.clipper.typefaces import all_faces
from services.clipper.typesetting import typeset

log = logger(__name__)

MOST_NAMED = 20
"""Characters that a warning names."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What is to be drawn: in a language (ISO 639-1, or und), into a picture of `size` pixels as shown; `white` is the level of white."""

    captions: Sequence[Caption]
    language: str
    style: SubtitleStyle
    size: tuple[int, int]
    white: float = 1.0


def write_subtitles(shown: Shown, settings: ClipperSettings, folder: Path) -> tuple[Notice, ...] | None:
    """Writes them all; what the client should know of them. None, and nothing written, when nothing is left to draw."""
    text = "\n".join(drawn(line) for caption in shown.captions for line in caption.lines)
    fonts = typeset(all_faces(settings.fonts_folders), settings.subtitle_font, shown.language, text)
    drawing = Drawing(_look(settings, shown.white), PRESETS[shown.style], fonts, shown.language, *shown.size)
    document = ass(shown.captions, drawing)
    if document is None:
        return None
    (folder / SUBTITLES).write_text(document, encoding="utf-8")
    _link_fonts(settings.fonts_folders, folder)
    return _warnings(fonts.missing(text))


def _look(settings: ClipperSettings, white: float) -> Look:
    return Look(
        font=settings.subtitle_font,
        size=settings.subtitle_size,
        outline=settings.subtitle_outline,
        safe_area=settings.subtitle_safe_area,
        colour=settings.subtitle_color,
        outline_colour=settings.subtitle_outline_color,
        highlight=settings.subtitle_highlight_color,
        position=settings.subtitle_position,
        brightness=white,
    )


def _link_fonts(sources: Sequence[Path], folder: Path) -> None:
    (folder / FONTS).mkdir()
    for n, source in enumerate(sources):
        (folder / FONTS / str(n)).symlink_to(source)
    (folder / FONTS_CONFIG).write_text(fonts_config(), encoding="utf-8")


def _warnings(missing: str) -> tuple[Notice, ...]:
    if not missing:
        return ()
    log.warning("glyphs are missing", signs=missing[:MOST_NAMED], count=len(missing))
    more = " …" if len(missing) > MOST_NAMED else ""
    named = " ".join(f"{sign} (U+{ord(sign):04X})" for sign in missing[:MOST_NAMED])
    return (Notice("MISSING_GLYPHS", f"No font has these characters, which the burned-in subtitles show as boxes: {named}{more}"),)
