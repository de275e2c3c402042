"""One errand of the fetching child: started behind a guarding proxy of its own, listened to, and ended."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from libs.common.domain.failures import Code, Failure
from libs.common.domain.source_urls import DEFAULT_PORTS
from libs.common.runtime import tracing
from libs.common.runtime.egress import Guard
from libs.common.runtime.egress_proxy import Allowance, egress_proxy
from libs.common.runtime.logs import logger
from libs.common.runtime.metrics import measured
from libs.common.runtime.nursery import Nursery
from libs.common.runtime.process import Completed, ended
from services.resolver.fetch.words import MOST_LINES, Errand, Found, Refused, Said, decoded
from services.resolver.metrics import FETCHED_BYTES, VISITS
from services.resolver.settings import ResolverSettings

log = logger(__name__)
SPARE_BYTES = 64 << 20
"""What a job may read beyond its largest source: pages, manifests, what was asked for and not needed."""

Hear = Callable[[Said], Awaitable[None]]


async def visit(  # noqa: PLR0913  a range more or less, it is one errand's words
    url: str,
    start: float,
    end: float | None,
    folder: Path | None,
    hear: Hear,
    *,
    guard: Guard,
    children: Nursery,
    settings: ResolverSettings,
    is_shared: bool = False,
) -> None:
    """Everything that the child says goes to `hear`, but for a refusal, which is raised. `folder` None: only look.

    `is_shared`: the range may reach past the source's end, as it holds those of several jobs.

    Raises Failure: what the guard kept the child from goes before what the child made of it.
    """
    parts = urlsplit(url)
    await guard.addresses(parts.hostname or "", parts.port or DEFAULT_PORTS[parts.scheme])  # the child would only see a proxy's refusal
    allowance = Allowance(
        max_bytes=settings.caps.max_bytes + SPARE_BYTES,
        stall_seconds=settings.source_stall_sec,
        bytes_per_second=settings.ytdlp_rate_limit_kbps and settings.ytdlp_rate_limit_kbps * 1000,
    )
    async with egress_proxy(guard, allowance, settings.upstream) as proxy:
        errand = Errand(
            url=url,
            start=start,
            end=end,
            is_shared=is_shared,
            folder=str(folder.absolute()) if folder else None,
            proxy=proxy.url,
            proxy_port=proxy.port,
            site=settings.site,
            max_bytes=settings.caps.max_bytes,
            max_seconds=settings.caps.max_seconds,
            min_clip_seconds=settings.caps.min_clip_seconds,
        )
        try:
            with measured("site", "fetch" if folder else "look"):
                tracing.current().note({"server.address": parts.hostname or ""})
                await _run(errand, hear, children, settings)
        except Failure as failure:
            VISITS.labels((proxy.failure or failure).code).inc()
            raise proxy.failure or failure from None
        finally:
            FETCHED_BYTES.inc(proxy.received)
        VISITS.labels("ok").inc()


async def _run(errand: Errand, hear: Hear, children: Nursery, settings: ResolverSettings) -> None:
    conversation = _Conversation(hear)
    try:
        async with asyncio.timeout(settings.probe_timeout_sec) as patience:
            conversation.found = lambda: patience.reschedule(None)
            child, wall = await children.child(), settings.clip_max_runtime_sec
            how = await ended(child, "the fetching child", wall, child.kill, on_line=conversation.take, stdin=msgspec.json.encode(errand))
    except TimeoutError:
        if not patience.expired():
            raise
        raise Failure(Code.RETRYABLE_ERROR, f"the site did not show its video within {settings.probe_timeout_sec} s") from None
    conversation.check(how)


class _Conversation:
    """What the child has said so far."""

    def __init__(self, hear: Hear) -> None:
        self._hear = hear
        self._refusal: Failure | None = None
        self._lines = 0
        self.found: Callable[[], None] = lambda: None

    async def take(self, line: str) -> None:
        """Raises Failure(INTERNAL) for a line that is none, or one too many: then the child is not what it was."""
        self._lines += 1
        try:
            said = decoded(line)
        except ValueError:
            raise Failure(Code.INTERNAL, "the fetching child said what can't be read") from None
        if self._lines > MOST_LINES:
            raise Failure(Code.INTERNAL, "the fetching child said too much")
        match said:
            case Refused():
                self._refusal = Failure(said.code, said.message, hint=said.hint, retry_after=said.retry_after)
                return
            case Found():
                self.found()
        await self._hear(said)

    def check(self, ended: Completed) -> None:
        """Raises Failure unless the child came to its own good end."""
        if self._refusal:
            raise self._refusal
        if ended.code < 0:
            raise Failure(Code.RETRYABLE_ERROR, f"the fetching child was killed by signal {-ended.code}")
        if ended.code:
            log.error("the fetching child broke", code=ended.code, where=_places(ended.stderr))
            raise Failure(Code.INTERNAL, "the source could not be fetched; the log says where it broke")


def _places(stderr: str) -> list[str]:
    """The places of a traceback; its message may hold a URL, and that a secret."""
    return [line.strip() for line in stderr.splitlines() if line.lstrip().startswith("File ")][-5:]
