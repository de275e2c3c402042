"""What the operator sees of transcription: its time, the audio it was given, its errors; by provider."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import Counter, Histogram

from libs.common.domain.failures import Failure
from libs.common.runtime import tracing
from libs.common.runtime.metrics import SECONDS

ASR_SECONDS = Histogram("clip_asr_seconds", "Time of one transcription, with the wait for a recogniser", ["provider"], buckets=SECONDS)
ASR_AUDIO_SECONDS = Counter("clip_asr_audio_seconds_total", "Audio that was transcribed", ["provider"])
ASR_ERRORS = Counter("clip_asr_errors_total", "Transcriptions that failed", ["provider", "code"])
ASR_REUSED = Counter("clip_asr_reused_total", "Transcripts that were there already, or that another job was paying for", ["provider"])
ASR_FALLBACKS = Counter("clip_asr_fallbacks_total", "Transcriptions that the local model took over", ["reason"])


@contextmanager
def measured(provider: str, seconds: float) -> Iterator[None]:
    """Count and time one transcription of `seconds` of audio."""
    began = time.perf_counter()
    try:
        with tracing.span("transcribe", attributes={"gen_ai.provider.name": provider, "clip.audio.seconds": seconds}):
            yield
    except Failure as failure:
        ASR_ERRORS.labels(provider, failure.code).inc()
        raise
    ASR_SECONDS.labels(provider).observe(time.perf_counter() - began)
    ASR_AUDIO_SECONDS.labels(provider).inc(seconds)
