"""What is told of a clip that was made and verified."""

from dataclasses import dataclass

from libs.common.domain.values import CutPath
from services.clipper.splice_plan import Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """CLIP in the attempt's folder. `start` and `end`: what it really shows, in seconds of the source as a client counts them."""

    path: CutPath
    reason: Reason
    start: float
    end: float
    duration: float
    has_video: bool
    has_audio: bool
    frames: tuple[float, ...]
    """When each is shown, in seconds of the clip's own time."""
    poster: bytes | None
