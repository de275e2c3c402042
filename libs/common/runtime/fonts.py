"""Where the fonts for burned-in subtitles are: plain files in the manimgx-fonts wheel (Noto Sans, SIL Open Font License)."""

from importlib.util import find_spec
from pathlib import Path

PACKAGE = "manimgx_fonts"


def fonts_folder() -> Path | None:
    """The folder of .ttf files for FONTS_DIR; None when the package is not installed. Imports nothing of it."""
    spec = find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        return None
    return Path(spec.origin).parent
