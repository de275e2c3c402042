"""The settings of the clipper service, for its cutting and its burning."""

from pathlib import Path
from typing import Annotated

from msgspec import Meta

from libs.common.runtime.settings import CommonSettings, Count, Positive


class ClipperSettings(CommonSettings, frozen=True, kw_only=True):
    encoder_crf: Annotated[int, Meta(ge=0, le=51, description="x264's constant rate factor: lower is better and larger")] = 20
    encoder_threads: Annotated[Count, Meta(description="Threads of one decoder or encoder")] = 2
    encoder_slots: Annotated[Count | None, Meta(description="Encodes at once in one process; unset: the cores by ENCODER_THREADS")] = None
    media_memory_mb: Annotated[Count, Meta(description="Address space of one media command, in MiB")] = 4096
    fonts_dir: Annotated[Path | None, Meta(description="Folder of fonts for burned-in subtitles; unset: those of fontconfig")] = None
    subtitle_font: Annotated[str, Meta(description="Font family of burned-in subtitles")] = "Noto Sans"
    subtitle_size: Annotated[Positive, Meta(description="Height of burned-in text, in per cent of the picture's")] = 5.5
    subtitle_outline: Annotated[float, Meta(ge=0, description="Its outline, in per cent of the picture's height")] = 0.3
    subtitle_margin: Annotated[float, Meta(ge=0, description="Its distance from the picture's lower edge, in per cent")] = 5.0

    def problems(self) -> list[str]:
        missing = [f"FONTS_DIR: {self.fonts_dir} is no folder"] if self.fonts_dir and not self.fonts_dir.is_dir() else []
        odd = ["SUBTITLE_FONT: a name without commas or line breaks"] if set(self.subtitle_font) & set(",\r\n") else []
        return [*super().problems(), *missing, *odd]
