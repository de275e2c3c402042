"""A transcriber with a circuit breaker: while it is known to be down it is not asked, so that nobody waits for its time-out again."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from libs.common.domain.failures import Code, Failure
from libs.common.runtime.logs import logger
from services.asr.transcriber import Around, Audio, Transcriber
from services.asr.transcript import Transcript
from services.asr.wish import Wish

log = logger(__name__)
FIRST_REST = 5.0
"""Seconds; twice as many after each further failure, and never fewer than the failed request took."""
LONGEST_REST = 600.0


@dataclass(slots=True)
class Breaker:
    """When a provider may be asked. Times are seconds of one clock; after a rest one request goes first, the others wait for its end."""

    failures: int = 0
    rests_until: float = 0.0
    cause: Failure | None = None
    is_probing: bool = False

    def closed_to(self, now: float) -> Failure | None:
        """What keeps a request from the provider; None lets it pass."""
        if self.cause is None or (now >= self.rests_until and not self.is_probing):
            return None
        left = None if self.cause.charged else max(self.rests_until - now, 1.0)
        return Failure(self.cause.code, self.cause.message, retry_after=left, charged=self.cause.charged)

    def begin(self) -> bool:
        """Whether the request is the one that goes first."""
        if self.cause is None or self.is_probing:
            return False
        self.is_probing = True
        return True

    def succeed(self) -> None:
        self.failures, self.cause, self.is_probing = 0, None, False

    def fail(self, cause: Failure, now: float, took: float) -> None:
        """Requests that were under way together count once."""
        if self.cause and now < self.rests_until:
            return
        rest = min(max(FIRST_REST * 2**self.failures, took), LONGEST_REST)
        self.rests_until = now + (rest if cause.retry_after is None else cause.retry_after)
        self.failures, self.cause, self.is_probing = min(self.failures + 1, 10), cause, False


def is_trouble(failure: Failure, patience: float) -> bool:
    """Whether a failure is the provider's own and won't pass within `patience` seconds; others are the audio's, or short."""
    if failure.outage not in {None, "asr"}:
        return False
    if failure.retry_after is not None and not failure.charged:
        return failure.retry_after > patience
    return failure.retryable or failure.code is Code.FORBIDDEN


@dataclass(frozen=True, slots=True)
class Guarded(Around):
    """`inner`, asked only while the breaker lets it, or where `spare` can't do the same."""

    inner: Transcriber
    spare: Transcriber
    patience: float
    breaker: Breaker = field(default_factory=Breaker)

    async def transcribe(self, audio: Audio, wish: Wish) -> Transcript:
        if self.spare.refusal(wish) is None and (closed := self.breaker.closed_to(time.monotonic())):
            raise closed
        with self._watched():
            return await self.inner.transcribe(audio, wish)

    @contextmanager
    def _watched(self) -> Iterator[None]:
        began, is_first = time.monotonic(), self.breaker.begin()
        try:
            yield
            self.breaker.succeed()
        except Failure as failure:
            self._note(failure, began)
            raise
        finally:
            if is_first:
                self.breaker.is_probing = False

    def _note(self, failure: Failure, began: float) -> None:
        if not is_trouble(failure, self.patience):
            return self.breaker.succeed()
        now = time.monotonic()
        self.breaker.fail(failure, now, now - began)
        log.warning("the transcription provider is left alone", seconds=round(self.breaker.rests_until - now), error=failure.message)
