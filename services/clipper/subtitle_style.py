"""How burned-in subtitles look: four presets, and what the operator sets about all of them. Pure."""

from dataclasses import dataclass
from typing import Literal

from libs.common.domain.values import SubtitleStyle

Position = Literal["bottom", "top", "middle"]

COLUMNS, UPRIGHT_COLUMNS = 42, 22
"""Characters of a full line, in a picture that is wide or square, and in one that is upright (spec section 8)."""
UPRIGHT = 0.8
"""Width by height below which a picture is upright."""
WIDEST_COLUMN = 0.68
"""Ems of a character in a line of capitals: the text is made no larger than lets a full line of them fit."""
REGULAR = 400
WIDER = 0.00047
"""What a unit of weight adds to the width of Noto Sans, at most: measured of the letters i and l, 14 % for bold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """`weight` is that of OpenType, 400 for regular; the others multiply what is set, `padding` is ems around the text in its box."""

    weight: int
    size: float = 1.0
    outline: float = 1.0
    padding: float | None = None
    highlights: bool = False


PRESETS: dict[SubtitleStyle, Preset] = {
    "default": Preset(weight=500),
    "bold": Preset(weight=700, size=1.15, outline=1.6),
    "boxed": Preset(weight=500, outline=0.0, padding=0.3),
    "karaoke": Preset(weight=700, size=1.1, outline=1.4, highlights=True),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What the operator sets. Sizes are per cent of the picture's height, the safe area's edges of its width too; colours are #RRGGBB.

    `brightness`: of the colours, 0 to 1; less where full white would be a light, as in HDR (ITU-R BT.2408: 58 % of PQ, 75 % of HLG).
    """

    font: str
    size: float
    outline: float
    safe_area: float
    colour: str
    outline_colour: str
    highlight: str
    position: Position
    brightness: float = 1.0


@dataclass(frozen=True, slots=True)
class Measure:
    """Of one picture, in pixels: an em of the text, its outline, and the edges that are kept free."""

    em: float
    outline: float
    beside: int
    below: int
    room: float
    """Ems of the widest line, measured in the regular weight."""
    depth: float
    """Ems from the safe area's upper edge to its lower one."""


def measure(look: Look, preset: Preset, width: int, height: int) -> Measure:
    """For a picture of this size in pixels, as it is shown."""
    beside, below = round(width * look.safe_area / 100), round(height * look.safe_area / 100)
    padding = (preset.padding or 0.0) * 2
    columns = UPRIGHT_COLUMNS if width < height * UPRIGHT else COLUMNS
    em = min(height * look.size / 100 * preset.size, (width - 2 * beside) / (columns * WIDEST_COLUMN + padding))
    outline = em * look.outline / look.size * preset.outline
    room = ((width - 2 * beside - 2 * outline) / em - padding) / (1 + (preset.weight - REGULAR) * WIDER)
    return Measure(em, outline, beside, below, room, (height - 2 * below) / em - padding)
