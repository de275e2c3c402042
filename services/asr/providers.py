"""The one place that knows which provider the settings ask for, who takes over for it, and that transcripts are kept."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from libs.common.runtime.source_cache import open_source_cache
from services.asr.breaker import Guarded
from services.asr.fallback import FallingBack
from services.asr.kept import Kept
from services.asr.local import open_local
from services.asr.patience import Deferring, Patient
from services.asr.settings import AsrSettings
from services.asr.suspecting import Suspecting
from services.asr.transcriber import Transcriber

HOUR = 3600


@asynccontextmanager
async def open_transcriber(settings: AsrSettings) -> AsyncIterator[Transcriber]:
    """The provider of ASR_PROVIDER, ready for use, until the block ends."""
    ttl, patience = settings.asr_cache_ttl_hours * HOUR, settings.asr_fallback_after_sec
    async with AsyncExitStack() as stack:
        cache = await stack.enter_async_context(open_source_cache(settings.database_url.reveal(), holder=settings.worker))
        if settings.asr_provider == "local":
            yield Kept(await stack.enter_async_context(open_local(settings)), cache, ttl)
            return
        from services.asr.groq import open_groq  # noqa: PLC0415  a sixth of the imports and 10 MB, which only Groq is to cost

        groq = await stack.enter_async_context(open_groq(settings))
        if settings.falls_back:
            second = await stack.enter_async_context(open_local(settings))
            guarded = Guarded(groq, second, patience)
            both = FallingBack(Kept(guarded, cache, ttl), Kept(second, cache, ttl), patience)
            yield Deferring(Suspecting(both, groq.reach))
        else:
            yield Patient(Suspecting(Kept(groq, cache, ttl), groq.reach), groq.reach)
