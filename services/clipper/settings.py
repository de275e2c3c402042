"""The settings of the clipper service, for its cutting and its burning."""

import re
from pathlib import Path
from typing import Annotated

from msgspec import Meta

from libs.common.runtime.fonts import fonts_folders
from libs.common.runtime.settings import CommonSettings, Count, Positive
from services.clipper.subtitle_style import Position
from services.clipper.typefaces import all_faces

NOTO_SANS = "Noto Sans"
_COLOUR = re.compile("#[0-9A-Fa-f]{6}")


class ClipperSettings(CommonSettings, frozen=True, kw_only=True):
    encoder_crf: Annotated[int, Meta(ge=0, le=51, description="x264's constant rate factor: lower is better and larger")] = 20
    encoder_threads: Annotated[Count, Meta(description="Threads of one decoder or encoder")] = 2
    encoder_slots: Annotated[Count | None, Meta(description="Encodes at once in one process; unset: the cores by ENCODER_THREADS")] = None
    media_memory_mb: Annotated[Count, Meta(description="Address space of one media command, in MiB")] = 4096
    fonts_dir: Annotated[Path | None, Meta(description="Folder of fonts for subtitles, asked before those that come with the service")] = (
        None
    )
    subtitle_font: Annotated[str, Meta(description="Font family of burned-in subtitles; other scripts have their own")] = NOTO_SANS
    subtitle_size: Annotated[Positive, Meta(description="Their font size (the em), in per cent of the picture's height")] = 4.5
    subtitle_color: Annotated[str, Meta(description="Their colour")] = "#FFFFFF"
    subtitle_outline_color: Annotated[str, Meta(description="Their outline's colour")] = "#000000"
    subtitle_highlight_color: Annotated[str, Meta(description="Of the word that is spoken, with the style karaoke")] = "#FFD60A"
    subtitle_outline: Annotated[float, Meta(ge=0, le=5, description="Their outline's width, in per cent of the picture's height")] = 0.4
    subtitle_position: Annotated[Position, Meta(description="Where they are: bottom, top or middle")] = "bottom"
    subtitle_safe_area: Annotated[
        float, Meta(ge=0, le=25, description="What they keep free at every edge, in per cent of the picture's width and height")
    ] = 5.0
    subtitle_crf: Annotated[int, Meta(ge=0, le=51, description="The constant rate factor of the encode that burns subtitles in")] = 20

    def problems(self) -> list[str]:
        missing = [f"FONTS_DIR: {self.fonts_dir} is no folder"] if self.fonts_dir and not self.fonts_dir.is_dir() else []
        return [*super().problems(), *(missing or self._font_problems()), *self._colour_problems()]

    def _font_problems(self) -> list[str]:
        if not self.fonts_folders:
            return ["FONTS_DIR is required where the packages manimgx-fonts and manimgx-fonts-cjk are not installed"]
        if self.subtitle_font == NOTO_SANS or self.subtitle_font.lower() in {f.family.lower() for f in all_faces(self.fonts_folders)}:
            return []
        return ["SUBTITLE_FONT: no font of FONTS_DIR, nor of those that come with the service, is of this family"]

    def _colour_problems(self) -> list[str]:
        colours = {name: getattr(self, name) for name in ("subtitle_color", "subtitle_outline_color", "subtitle_highlight_color")}
        return [f"{name.upper()}: must be like #FFD60A" for name, colour in colours.items() if not _COLOUR.fullmatch(colour)]

    @property
    def fonts_folders(self) -> tuple[Path, ...]:
        """Where burned-in text finds its fonts, the operator's own first."""
        own = (self.fonts_dir.resolve(),) if self.fonts_dir else ()
        return tuple(dict.fromkeys((*own, *fonts_folders())))
