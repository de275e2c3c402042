"""Where the fonts for burned-in subtitles are: plain files of two wheels, Noto Sans and Noto Sans CJK (SIL Open Font License)."""

from importlib.util import find_spec
from pathlib import Path

PACKAGE = "manimgx_fonts"
PACKAGES = (PACKAGE, "manimgx_fonts_cjk")


def fonts_folder() -> Path | None:
    """The folder of Noto Sans, as .ttf files; None when the package is not installed. Imports nothing of it."""
    return _folder(PACKAGE)


def fonts_folders() -> tuple[Path, ...]:
    """The folders of every font that is installed with us: of all scripts but Chinese, Japanese and Korean, and of these."""
    return tuple(folder for folder in map(_folder, PACKAGES) if folder)


def _folder(package: str) -> Path | None:
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        return None
    return Path(spec.origin).parent
