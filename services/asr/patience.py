"""Transcribers whose outages are waited out, at no attempt's cost: in place, by all, or outside, by those that nobody else can serve."""

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from libs.common.domain.failures import Failure
from services.asr.transcriber import Around, Audio, Transcriber
from services.asr.transcript import Transcript
from services.asr.wish import Wish

REST = 3.0
"""Seconds after a failure in which the provider is not asked again: also the longest that its return can go unnoticed by us."""

LONGEST_REST = 30.0
"""Where the provider says itself when to come back."""

DEFERRED = 30.0
"""Seconds until a message that was sent back comes again, at least: the last net bounds its deliveries (80 by default, 40 minutes)."""


@dataclass(slots=True)
class Patient(Around):
    """`inner`, the failures of which that say outage="asr" keep everybody away for a moment; `reach` tells whether it answers at all."""

    inner: Transcriber
    reach: Callable[[], Awaitable[None]]
    away: Failure | None = field(default=None, init=False)
    rests_until: float = field(default=0.0, init=False)

    async def transcribe(self, audio: Audio, wish: Wish) -> Transcript:
        """Raises Failure; with outage="asr" nothing is known against this audio."""
        try:
            transcript = await self.inner.transcribe(audio, wish)
        except Failure as failure:
            self.away = failure if failure.outage == "asr" else None
            self.rests_until = time.monotonic() + min(max(failure.retry_after or 0.0, REST), LONGEST_REST)
            raise
        if not transcript.reused:
            self.away = None
        return transcript

    async def ping(self) -> None:
        """Costs the provider nothing while all is well. Raises Failure(outage="asr")."""
        if self.away is None:
            return
        if time.monotonic() < self.rests_until:
            raise self.away
        await self.reach()


@dataclass(frozen=True, slots=True)
class Deferring(Around):
    """`inner`, which has somebody to take over: a wish that only the provider can serve goes back and comes again, the others go on."""

    inner: Transcriber

    async def transcribe(self, audio: Audio, wish: Wish) -> Transcript:
        """Raises Failure; an outage of the provider is an uncharged one."""
        try:
            return await self.inner.transcribe(audio, wish)
        except Failure as failure:
            if failure.outage != "asr":
                raise
            later = max(failure.retry_after or 0.0, DEFERRED)
            raise Failure(failure.code, failure.message, retry_after=later, charged=False) from failure


def pings(tools: Any) -> Mapping[str, Callable[[], Awaitable[None]]]:
    """What of the asr service's tools belongs to its health."""
    return {"asr": tools.ping} if isinstance(tools, Patient) else {}
