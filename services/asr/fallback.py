"""A transcriber that another takes over for when its provider is down, out of quota, or refuses us."""

from dataclasses import dataclass

import msgspec

from libs.common.domain.failures import Code, Failure
from libs.common.runtime.logs import logger
from services.asr.breaker import is_trouble
from services.asr.metrics import ASR_FALLBACKS
from services.asr.transcriber import Audio, Transcriber
from services.asr.transcript import Transcript
from services.asr.wish import Wish

log = logger(__name__)


@dataclass(frozen=True, slots=True)
class FallingBack:
    """`first`, or else `second`; a rate limit of at most `patience` seconds is waited out instead."""

    first: Transcriber
    second: Transcriber
    patience: float

    @property
    def provider(self) -> str:
        return self.first.provider

    @property
    def model(self) -> str:
        return self.first.model

    def refusal(self, wish: Wish) -> Failure | None:
        return self.first.refusal(wish)

    async def transcribe(self, audio: Audio, wish: Wish) -> Transcript:
        """Raises the first one's Failure where the second can't do what is wished."""
        try:
            return await self.first.transcribe(audio, wish)
        except Failure as failure:
            if not is_trouble(failure, self.patience) or self.second.refusal(wish):
                raise
            reason = reason_of(failure)
        ASR_FALLBACKS.labels(reason).inc()
        write = log.error if reason == "forbidden" else log.warning
        write("another transcriber takes over", provider=self.second.provider, model=self.second.model, reason=reason)
        return msgspec.structs.replace(await self.second.transcribe(audio, wish), fell_back=True)


def reason_of(failure: Failure) -> str:
    """For the metric: `forbidden` is the operator's to mend, `quota` passes by itself, `failing` is everything else."""
    if failure.code is Code.FORBIDDEN:
        return "forbidden"
    return "quota" if failure.retry_after is not None and not failure.charged else "failing"
