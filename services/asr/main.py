"""asr: clip.uploaded -> asr.done. A transcription that fails for good never costs the clip."""

from libs.common.domain.events import AsrFailed, ClipUploaded, StageName
from libs.common.runtime.service import run
from libs.common.runtime.world import Stage
from services.asr.handler import transcribe_clip
from services.asr.patience import pings
from services.asr.providers import open_transcriber
from services.asr.settings import AsrSettings

STAGES = (Stage(name=StageName.ASR, consumes=ClipUploaded, handle=transcribe_clip, optional=AsrFailed),)


def main() -> None:
    run(STAGES, AsrSettings, opens=open_transcriber, pings=pings)
