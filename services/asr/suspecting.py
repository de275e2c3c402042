"""A transcriber that tells its provider's outage from a sound that the provider always fails at: that costs attempts, and so ends."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, field

from libs.common.domain.failures import Failure
from libs.common.runtime.logs import logger
from services.asr.suspicion import Suspicion
from services.asr.transcriber import Around, Audio, Transcriber
from services.asr.transcript import Transcript
from services.asr.wish import Wish

log = logger(__name__)


@dataclass(frozen=True, slots=True)
class Suspecting(Around):
    """`inner`, whose outages are believed until they are the sound's own; `reach` raises Failure when the provider answers nothing."""

    inner: Transcriber
    reach: Callable[[], Awaitable[None]]
    suspicion: Suspicion = field(default_factory=Suspicion)

    async def transcribe(self, audio: Audio, wish: Wish) -> Transcript:
        """Raises Failure; one that is the sound's own says nothing of an outage."""
        asked = time.monotonic()
        try:
            transcript = await self.inner.transcribe(audio, wish)
        except Failure as failure:
            if failure.outage == "asr" and await self._is_its_own(audio, wish):
                raise _own(failure) from failure
            raise
        if self.suspicion.rows and not (transcript.reused or transcript.fell_back):
            self.suspicion.served(await _sound(audio, wish), asked)
        return transcript

    async def _is_its_own(self, audio: Audio, wish: Wish) -> bool:
        """Never while the provider answers nothing; and the sound's next attempt is believed anew."""
        try:
            await self.reach()
        except Failure:
            self.suspicion.forget()
            return False
        sound = await _sound(audio, wish)
        if not self.suspicion.refused(sound, time.monotonic()):
            return False
        self.suspicion.close(sound)
        log.warning("the transcription provider fails at this sound alone, or for too long")
        return True


async def _sound(audio: Audio, wish: Wish) -> Hashable:
    """The same in every try, whose files are new each time."""
    return await asyncio.to_thread(audio.sha256), wish


def _own(failure: Failure) -> Failure:
    return Failure(failure.code, "the transcription provider has trouble with the clip's audio", retry_after=failure.retry_after)
