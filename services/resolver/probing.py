"""Answers POST /api/probe for the API, over NATS: what a source holds, and whether a job on it would be refused. Nothing is kept."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import msgspec
from structlog.contextvars import bound_contextvars

from libs.common.domain.failures import Code, Failure, classify
from libs.common.domain.probing import SECONDS, SUBJECT, ProbeAnswer, ProbeFailed, ProbeReply, ProbeRequest, refusal_of, request_of
from libs.common.domain.retry import is_transient
from libs.common.domain.source_urls import checked_url
from libs.common.domain.values import VideoTrack
from libs.common.runtime.logs import logger
from libs.common.runtime.object_store import Bucket
from libs.common.runtime.request_reply import serve
from libs.common.runtime.service import Connections
from libs.common.runtime.warm_process import Warm
from services.resolver.settings import ResolverSettings
from services.resolver.sources import Caps, check_picture, check_size, check_times
from services.resolver.uploads import container_in, look_into, unless_gone, upload_at

log = logger(__name__)
PROBES_AT_ONCE = 4
SWITCHED_OFF = "sources by URL are switched off; upload the file"
MAX_FORMATS, MAX_KEYFRAMES, MAX_TITLE = 200, 1000, 500
"""What one answer holds at most; a message of NATS may have 1 MiB."""

LookAtUrl = Callable[[str, float | None, float | None], Awaitable[ProbeAnswer]]
"""What there is at a URL; the range in seconds, where one was named. Raises Failure."""


async def switched_off(_url: str, _start: float | None, _end: float | None) -> ProbeAnswer:
    raise Failure(Code.YTDLP_DISABLED, SWITCHED_OFF)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prober:
    """All that a look at a source needs."""

    settings: ResolverSettings
    bucket: Bucket
    describer: Warm
    look_at_url: LookAtUrl = switched_off

    async def reply(self, body: bytes, correlation_id: str) -> bytes:
        """A ProbeReply in JSON, within SECONDS."""
        with bound_contextvars(correlation_id=correlation_id):
            try:
                async with asyncio.timeout(SECONDS):
                    said = await self._said(request_of(body))
            except Exception as error:  # noqa: BLE001  whatever it is, who asked is told, as a stage's failure would be
                said = _failed(error)
        return msgspec.json.encode(said)

    async def _said(self, asked: ProbeRequest) -> ProbeReply:
        try:
            found = await self._found(asked)
        except Failure as failure:
            if is_transient(failure):
                raise
            return ProbeAnswer(refusal=refusal_of(failure))
        return judged(bounded(found), asked, self.settings.caps)

    async def _found(self, asked: ProbeRequest) -> ProbeAnswer:
        if asked.source.source_url is not None:
            return await self.look_at_url(self._allowed(asked.source.source_url), asked.start, asked.end)
        with unless_gone():
            return await self._uploaded(asked)

    def _allowed(self, url: str) -> str:
        """Checked here again: whoever is on NATS may ask."""
        if not self.settings.enable_ytdlp:
            raise Failure(Code.YTDLP_DISABLED, SWITCHED_OFF)
        return checked_url(url, self.settings.url_rules)

    async def _uploaded(self, asked: ProbeRequest) -> ProbeAnswer:
        upload = await upload_at(asked.source.upload_key, self.bucket)
        check_size(upload.size, self.settings.caps)
        container = await container_in(upload, self.bucket)
        around = None if asked.start is None else (asked.start, asked.start if asked.end is None else asked.end)
        look = await look_into(upload, container, self.bucket, describer=self.describer, settings=self.settings, around=around)
        return ProbeAnswer(
            duration=look.duration,
            size=upload.size,
            container=container.demuxer,
            video=look.media.video,
            audio=look.media.audio,
            keyframes=look.keyframes,
        )


async def serve_probes(prober: Prober, c: Connections) -> None:
    """Until cancelled."""
    await serve(
        c.bus.client,
        name="sources",
        description="Tells what a source holds",
        subject=SUBJECT,
        answer=prober.reply,
        refuse=busy,
        at_once=PROBES_AT_ONCE,
    )


def busy() -> bytes:
    return msgspec.json.encode(_failed(Failure(Code.RETRYABLE_ERROR, "too many sources are being looked at; ask again")))


def _failed(error: Exception) -> ProbeFailed:
    failure = classify(error)
    if failure.code is Code.INTERNAL:
        log.error("unexpected error", exc_info=error)
    return ProbeFailed(refusal=refusal_of(failure))


def judged(found: ProbeAnswer, asked: ProbeRequest, caps: Caps) -> ProbeAnswer:
    """With the refusal that a job would meet, if it would. A source of which a section is fetched may have any size."""
    if found.refusal is not None:
        return found
    try:
        if found.size is not None and not found.section:
            check_size(found.size, caps)
        _check(found.video, found.duration, asked, caps)
    except Failure as failure:
        return msgspec.structs.replace(found, refusal=refusal_of(failure))
    return found


def _check(video: VideoTrack | None, duration: float | None, asked: ProbeRequest, caps: Caps) -> None:
    check_picture(video)
    if duration is not None:
        start = asked.start or 0.0
        check_times(start, start if asked.end is None else asked.end, duration, caps)


def bounded(found: ProbeAnswer) -> ProbeAnswer:
    """Cut to what a message holds."""
    title = found.title and found.title[:MAX_TITLE]
    return msgspec.structs.replace(found, title=title, formats=found.formats[:MAX_FORMATS], keyframes=found.keyframes[:MAX_KEYFRAMES])
