"""Sources by URL: fetched once for all jobs that ask for the same part at about the same time; each job owns a copy."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

import msgspec

from libs.common.domain.events import ClipsRequested, SourceReady
from libs.common.domain.failures import Code, Failure
from libs.common.domain.source_urls import checked_url
from libs.common.runtime.probe import Media, media
from libs.common.runtime.process import Limits
from libs.common.runtime.source_cache import Fetched as Cached
from libs.common.runtime.source_cache import Section, fetched_once
from libs.common.runtime.telemetry import logger
from services.resolver.described import Describe
from services.resolver.duration import duration_of
from services.resolver.fetch.words import BEYOND, Fetched, Found, Progress, Said, Site
from services.resolver.metrics import SHARED
from services.resolver.settings import ResolverSettings
from services.resolver.sources import Container, check_picture, check_size, check_times, source_key
from services.resolver.tools import Resolver
from services.resolver.uploads import PROBE_MEMORY_BYTES
from services.resolver.visit import visit

log = logger(__name__)
CACHE = "sources/cache"
FETCHED_SHARE = 0.9
EDITION = "1"
"""Raised when the same words would fetch something else than before."""


async def download_source(event: ClipsRequested, ctx: Resolver) -> SourceReady:
    """Raises Failure. Repeated, it finds what it fetched, as long as the cache keeps it."""
    url = url_of(event, ctx.settings)
    ready = await _fetched(url, event, ctx)
    check_times(event.start, event.end, ready.duration, ctx.settings.caps)  # what another job fetched was not held against this one's range
    key = source_key(ctx.job_id, Container(ready.container, Path(ready.source_key).suffix.removeprefix(".")))
    try:
        await ctx.objects.sources.copy(ready.source_key, key)
    except Failure as failure:
        if failure.code is not Code.NOT_FOUND:
            raise
        await ctx.tools.cache.forget(ready.source_key)
        raise Failure(Code.RETRYABLE_ERROR, "the fetched source was deleted before it could be used") from failure
    return msgspec.structs.replace(ready, source_key=key)


def url_of(event: ClipsRequested, settings: ResolverSettings) -> str:
    """The URL of a job, checked again: rules may have changed since. Raises Failure."""
    if not settings.enable_ytdlp:
        raise Failure(Code.YTDLP_DISABLED, "sources by URL are switched off; upload the file")
    if event.source_url is None:
        raise Failure(Code.SOURCE_UNREADABLE, "the request names no URL")
    return checked_url(event.source_url, settings.url_rules)


def identity(url: str, site: Site) -> bytes:
    """Of all that decides what is fetched: the URL, the choice of formats, and whose cookies go along."""
    return hashlib.sha256("\0".join((EDITION, url, site.format, site.cookies_file or "")).encode()).digest()


async def _fetched(url: str, event: ClipsRequested, ctx: Resolver) -> SourceReady:
    """As an object of the cache."""
    download = _Download(url, event, ctx)
    cached = await fetched_once(
        ctx.tools.cache,
        identity(url, ctx.settings.site),
        Section(event.start, event.end),
        download.run,
        ttl=ctx.settings.source_cache_ttl_sec,
    )
    if download.got is None:
        SHARED.inc()
        log.info("source shared")
    return msgspec.json.decode(cached.result, type=SourceReady)


@dataclass(slots=True)
class _Download:
    """One fetch, for this job and for whoever waits for it."""

    url: str
    event: ClipsRequested
    ctx: Resolver
    got: Fetched | None = field(default=None, init=False)

    async def run(self, fetch_id: UUID) -> Cached:
        start, end, ctx = self.event.start, self.event.end, self.ctx
        await visit(self.url, start, end, ctx.scratch, self.hear, guard=ctx.tools.guard, children=ctx.tools.children, settings=ctx.settings)
        if self.got is None:
            raise Failure(Code.INTERNAL, "the fetching child brought nothing")
        path, section = _file(self.got, ctx.scratch.absolute()), _section(self.got)
        key = f"{CACHE}/{fetch_id}{path.suffix}"
        ready = await self.described(path, self.got, key)
        await ctx.objects.sources.upload(key, path, "application/octet-stream")
        return Cached(section, key, msgspec.json.encode(ready))

    async def hear(self, said: Said) -> None:
        match said:
            case Found():
                log.info("source found", extractor=said.extractor, duration=said.duration, section=said.is_section)
            case Progress(share=share):
                await self.ctx.progress(share * FETCHED_SHARE)
            case Fetched():
                self.got = said

    async def described(self, path: Path, got: Fetched, key: str) -> SourceReady:
        """What the file says of itself, held against the caps. Raises Failure."""
        caps, size = self.ctx.settings.caps, path.stat().st_size
        check_size(size, caps)
        found, duration = await self.looked_at(path, got)
        check_picture(found.video)
        return SourceReady(
            source_key=key,
            size=size,
            container=got.container,
            duration=duration,
            video=found.video,
            audio=found.audio,
            clock_offset=got.clock_offset,
        )

    async def looked_at(self, path: Path, got: Fetched) -> tuple[Media, float]:
        """With the duration in seconds of the whole source."""
        settings = self.ctx.settings
        seconds = settings.probe_timeout_sec
        limits = Limits(wall=seconds, cpu=seconds, memory=PROBE_MEMORY_BYTES, file_size=0)
        asked = msgspec.json.encode(Describe(str(path), got.container))
        found = media(await self.ctx.tools.describer.ask(asked, limits), got.container)
        if got.duration is not None:
            return found, got.duration
        return found, await duration_of(str(path), found, program=settings.ffprobe_bin, limits=limits)


def _file(got: Fetched, folder: Path) -> Path:
    """Where the child says that its file is, if that is its own: it has read what a site sent. Raises Failure."""
    path = folder / Path(got.path).name
    if path.is_symlink() or not path.is_file() or Path(got.path) != path:
        raise Failure(Code.INTERNAL, "the fetching child brought a file that is not its own")
    return path


def _section(got: Fetched) -> Section:
    """What jobs may be cut from it."""
    if got.begins is None or got.ends is None:
        return Section()
    is_last = got.duration is not None and got.ends >= got.duration
    return Section(got.begins, max(got.ends if is_last else got.ends - BEYOND, got.begins + 0.001))
