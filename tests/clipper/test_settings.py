"""What the service refuses to start with, and where it looks for fonts."""

from pathlib import Path

import pytest

from libs.common.runtime.fonts import fonts_folders
from libs.common.runtime.settings import SettingsError, load
from services.clipper.settings import ClipperSettings

NEEDED = {"DATABASE_URL": "postgresql://none", "NATS_URL": "nats://none"}


@pytest.mark.parametrize(
    "variables",
    [
        {"SUBTITLE_COLOR": "white"},
        {"SUBTITLE_OUTLINE_COLOR": "#FFF"},
        {"SUBTITLE_HIGHLIGHT_COLOR": "#FFD60A00"},
        {"SUBTITLE_FONT": "Comic Sans"},
        {"SUBTITLE_POSITION": "left"},
        {"SUBTITLE_SAFE_AREA": "30"},
        {"SUBTITLE_CRF": "52"},
        {"FONTS_DIR": "/no/such/folder"},
    ],
)
def test_a_look_that_can_not_be_drawn_is_refused_by_name(variables: dict[str, str]):
    with pytest.raises(SettingsError, match="^" + next(iter(variables))):
        load(ClipperSettings, NEEDED | variables)


def test_every_installed_font_is_at_hand_and_the_operators_own_come_first(tmp_path: Path):
    assert load(ClipperSettings, NEEDED).fonts_folders == fonts_folders()
    assert load(ClipperSettings, NEEDED | {"FONTS_DIR": str(tmp_path)}).fonts_folders == (tmp_path.resolve(), *fonts_folders())
    assert load(ClipperSettings, NEEDED | {"FONTS_DIR": str(fonts_folders()[0])}).fonts_folders == fonts_folders()


def test_a_family_among_the_fonts_may_be_the_style():
    assert load(ClipperSettings, NEEDED | {"SUBTITLE_FONT": "noto sans Thai"}).subtitle_font == "noto sans Thai"
