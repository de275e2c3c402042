"""AsrSettings for the tests: what they are about is named, the rest needs no server."""

from typing import Any

from libs.common.runtime.settings import load
from services.asr.settings import AsrSettings


def asr_settings(**variables: Any) -> AsrSettings:
    """Loaded as a service loads them; `asr_provider="groq"` is ASR_PROVIDER=groq."""
    given = {
        "DATABASE_URL": "postgresql://localhost/none",
        "NATS_URL": "nats://localhost",
        **{k.upper(): str(v) for k, v in variables.items()},
    }
    return load(AsrSettings, given)
