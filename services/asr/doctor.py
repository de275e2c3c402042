"""`python -m services.asr.doctor`: whether asr is set up right. The provider is asked for its list of models, which costs nothing."""

from collections.abc import Sequence
from functools import partial

from libs.common.domain.events import StageName
from libs.common.runtime.doctor.examination import Check
from libs.common.runtime.doctor.findings import Seen, failed, ok, warning
from libs.common.runtime.doctor.programs import Needs, feature_check, program_checks
from libs.common.runtime.doctor.services import Patient, main
from libs.common.runtime.doctor.subjects import said_by
from services.asr.groq import open_groq
from services.asr.local import Recogniser
from services.asr.settings import AsrSettings

NEEDS: Needs = {
    "encoders": {"flac", "libopus"},
    "decoders": {"aac", "flac"},
    "filters": {"aresample", "apad", "atrim", "asetpts"},
    "muxers": {"flac", "ogg"},
    "demuxers": {"mov", "flac"},
}
KEY = "Set GROQ_API_KEY anew: the provider's console makes one."
REACH = "Check ASR_BASE_URL and ASR_API_PREFIX, and that a firewall lets this service out."


def own_checks(settings: AsrSettings) -> Sequence[Check]:
    local = [Check(topic="asr", name="local model", look=partial(_local, settings), seconds=60, advice="Check ASR_MODEL.")]
    groq = [Check(topic="asr", name="provider", look=partial(_groq, settings), advice=REACH)]
    return [
        *program_checks("asr", {"FFMPEG_BIN": settings.ffmpeg_bin, "FFPROBE_BIN": settings.ffprobe_bin}),
        feature_check("asr", settings.ffmpeg_bin, NEEDS),
        *(local if settings.is_local_used else []),
        *(groq if settings.asr_provider == "groq" else []),
    ]


async def _local(settings: AsrSettings) -> Seen:
    """One recogniser is started, which loads the model, and stopped."""
    recogniser = Recogniser(settings)
    try:
        await recogniser.start()
    except OSError:
        return failed(
            f"{settings.local_model_name} can't be loaded", "Name the folder of a CTranslate2 model in ASR_MODEL, and give it memory."
        )
    finally:
        await recogniser.stop()
    return ok(f"{settings.local_model_name} is loaded and ready")


async def _groq(settings: AsrSettings) -> Seen:
    async with open_groq(settings) as groq:
        return provider_seen(await groq.models(), settings.groq_model)


def provider_seen(models: Sequence[str] | int, wanted: str) -> Seen:
    """`models`: their names, or the status with which the list was refused."""
    if isinstance(models, int):
        if models in {401, 403}:
            return failed("the provider refuses the key", KEY)
        return warning(f"the provider answers {models} where its models should be", REACH)
    if wanted not in models:
        return failed(
            f"the provider has no model {wanted}", f"Set GROQ_MODEL to one of: {', '.join(sorted(models)[:5]) or 'none is there'}."
        )
    return ok(f"takes the key, and has {wanted}")


PATIENT = Patient(name="asr", settings=AsrSettings, says=said_by(StageName.ASR, makes=StageName.BURNER), own=own_checks, memory_mb=1024)

if __name__ == "__main__":
    main(PATIENT)
