"""clipper: source.ready -> clip.uploaded, and asr.done -> clip.burned. A burn-in that fails for good never costs the clip."""

from libs.common.domain.events import AsrDone, BurnFailed, SourceReady, StageName
from libs.common.runtime.service import run
from libs.common.runtime.world import Stage
from services.clipper.burn import burn_subtitles
from services.clipper.handler import cut_clip
from services.clipper.rendering import open_tools
from services.clipper.settings import ClipperSettings

IN_HAND = 4
"""Clips that are encoded wait for a core; those that are copied, which cost next to nothing, pass them."""

STAGES = (
    Stage(name=StageName.CLIPPER, consumes=SourceReady, handle=cut_clip, in_hand=IN_HAND),
    Stage(name=StageName.BURNER, consumes=AsrDone, handle=burn_subtitles, optional=BurnFailed),
)


def main() -> None:
    run(STAGES, ClipperSettings, opens=open_tools)
