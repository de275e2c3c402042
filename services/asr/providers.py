"""The one place that knows which provider the settings ask for."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from services.asr.groq import open_groq
from services.asr.local import open_local
from services.asr.settings import AsrSettings
from services.asr.transcriber import Transcriber


@asynccontextmanager
async def open_transcriber(settings: AsrSettings) -> AsyncIterator[Transcriber]:
    """The provider of ASR_PROVIDER, ready for use, until the block ends."""
    opened = open_groq(settings) if settings.asr_provider == "groq" else open_local(settings)
    async with opened as transcriber:
        yield transcriber
