"""A transcriber whose transcripts are kept: for the same sound, model and wish it is asked, and paid, once by all replicas together."""

import asyncio
import hashlib
import json
from dataclasses import dataclass, field
from uuid import UUID

import msgspec

from libs.common.domain.failures import Code, Failure
from libs.common.runtime.logs import logger
from libs.common.runtime.source_cache import Fetched, Section, SourceCache, fetched_once
from services.asr.metrics import ASR_REUSED
from services.asr.transcriber import Around, Audio, Transcriber
from services.asr.transcript import Transcript
from services.asr.wish import Wish

log = logger(__name__)
EDITION = "1"
"""Raised when the same sound would give another transcript than before, or a kept one can't be read any more."""
THE_AUDIO_S = frozenset({Code.SOURCE_UNREADABLE, Code.INPUT_TOO_LARGE, Code.VALIDATION_FAILED})
"""Failures that every asker would meet; any other final one may be the replica's that asked (its key, its bug)."""


@dataclass(frozen=True, slots=True)
class Kept(Around):
    """`inner`'s transcripts, for `ttl` seconds each."""

    inner: Transcriber
    cache: SourceCache
    ttl: float

    async def transcribe(self, audio: Audio, wish: Wish) -> Transcript:
        if refused := self.refusal(wish):
            raise refused
        key = identity(await asyncio.to_thread(audio.sha256), self.provider, self.model, wish)
        while True:
            call = _Call(self.inner, audio, wish)
            try:
                kept = await fetched_once(self.cache, key, Section(), call, ttl=self.ttl)
            except Failure as failure:
                if call.transcript:
                    log.warning("a transcript is not kept", error=failure.message)
                    return call.transcript
                if call.is_made:
                    raise
                if told := as_told(failure):
                    raise told from failure
                continue
            return call.transcript or self._reused(kept.result)

    def _reused(self, result: bytes) -> Transcript:
        ASR_REUSED.labels(self.provider).inc()
        return msgspec.structs.replace(msgspec.json.decode(result, type=Transcript), reused=True)


@dataclass(slots=True)
class _Call:
    """One request of the provider, for this job and for whoever waits for it. What it brought is paid for, whatever comes after."""

    inner: Transcriber
    audio: Audio
    wish: Wish
    is_made: bool = field(default=False, init=False)
    transcript: Transcript | None = field(default=None, init=False)

    async def __call__(self, _: UUID) -> Fetched:
        self.is_made = True
        self.transcript = await self.inner.transcribe(self.audio, self.wish)
        return Fetched(Section(), None, msgspec.json.encode(self.transcript))


def as_told(failure: Failure) -> Failure | None:
    """Another job's failure, to this one that waited for it: never an attempt of its own. None: better ask oneself."""
    if failure.code in THE_AUDIO_S or failure.outage or not failure.charged:
        return failure
    return Failure(failure.code, failure.message, charged=False) if failure.retryable else None


def identity(audio: bytes, provider: str, model: str, wish: Wish) -> bytes:
    """SHA-256 of all that decides a transcript; `audio` is that of the FLAC file."""
    decided_by = (EDITION, audio.hex(), provider, model, wish.language, wish.task, wish.hint)
    return hashlib.sha256(json.dumps(decided_by).encode()).digest()
