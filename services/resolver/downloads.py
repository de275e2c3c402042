"""Sources by URL: fetched once for all jobs that ask for the same part at about the same time; each job owns a copy."""

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from uuid import UUID

import msgspec
from msgspec.structs import replace

from libs.common.domain.events import ClipsRequested, SourceReady
from libs.common.domain.failures import Code, Failure
from libs.common.domain.fetching import parts_to_fetch
from libs.common.domain.source_urls import checked_url
from libs.common.domain.values import Segment
from libs.common.runtime.logs import logger
from libs.common.runtime.probe import Media, media
from libs.common.runtime.process import Limits
from libs.common.runtime.source_cache import Fetched as Cached
from libs.common.runtime.source_cache import Section, fetched_once
from services.resolver.described import Describe
from services.resolver.duration import duration_of
from services.resolver.fetch.words import BEYOND, Fetched, Found, Progress, Said, Site
from services.resolver.held import Held, is_held, source_ready
from services.resolver.metrics import SHARED
from services.resolver.settings import ResolverSettings
from services.resolver.sources import check_picture, check_ranges, check_size, source_key
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
    alone = event.fetch or Segment(start=event.start, end=event.end)
    parts = parts_to_fetch(event.segments) or (alone,)
    files: list[Held] = []
    for done, part in enumerate(parts):
        if not is_held(files, part):
            is_shared = event.fetch is not None and not event.segments
            download = _Download(url, part, ctx, is_shared=is_shared, before=done / len(parts), share=1 / len(parts))
            files.append(await _own_file(await _fetched(download), part, event, ctx, files))
    return source_ready(files, parts)


async def _own_file(cached: Cached, part: Segment, event: ClipsRequested, ctx: Resolver, files: Sequence[Held]) -> Held:
    """A copy of what the cache holds of a part, beside those that the job has. Raises Failure."""
    found = msgspec.json.decode(cached.result, type=SourceReady)
    check_ranges(event, found.duration, ctx.settings.caps)  # what another job fetched was not held against this one's ranges
    check_size(found.size + sum(file.ready.size for file in files), ctx.settings.caps)
    key = source_key(ctx.job_id, Path(found.source_key).suffix.removeprefix("."), len(files) + 1)
    await _copy(found.source_key, key, ctx)
    # Before the first picture there is nothing to hold: what was asked for counts as held.
    return Held(replace(found, source_key=key), min(part.start, cached.section.start), max(part.end, cached.section.end))


async def _copy(cached: str, key: str, ctx: Resolver) -> None:
    try:
        await ctx.objects.sources.copy(cached, key)
    except Failure as failure:
        if failure.code is not Code.NOT_FOUND:
            raise
        await ctx.tools.cache.forget(cached)
        raise Failure(Code.RETRYABLE_ERROR, "the fetched source was deleted before it could be used") from failure


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


async def _fetched(download: "_Download") -> Cached:
    """As an object of the cache. Raises Failure."""
    ctx, part = download.ctx, download.part
    source, section, ttl = identity(download.url, ctx.settings.site), Section(part.start, part.end), ctx.settings.source_cache_ttl_sec
    while True:
        try:
            cached = await fetched_once(ctx.tools.cache, source, section, download.run, ttl=ttl)
        except Failure as failure:
            if failure.code is Code.RANGE_OUTSIDE_SOURCE and download.is_shared and not download.has_begun:
                continue  # of another job, whose whole range this is: nothing is said of this job's own
            raise
        if not download.has_begun:
            SHARED.inc()
            log.info("source shared")
        return cached


@dataclass(slots=True)
class _Download:
    """One fetch, for this job and for whoever waits for it. It is a `share` of the job's fetching, and `before` is done."""

    url: str
    part: Segment
    ctx: Resolver
    is_shared: bool
    before: float
    share: float
    has_begun: bool = field(default=False, init=False)
    got: Fetched | None = field(default=None, init=False)

    async def run(self, fetch_id: UUID) -> Cached:
        self.has_begun = True
        got, path = await self.visited()
        key = f"{CACHE}/{fetch_id}{path.suffix}"
        ready = await self.described(path, got, key)
        await self.ctx.objects.sources.upload(key, path, "application/octet-stream")
        await asyncio.to_thread(path.unlink)  # the next part needs the room
        return Cached(_section(got), key, msgspec.json.encode(ready))

    async def visited(self) -> tuple[Fetched, Path]:
        part, ctx = self.part, self.ctx
        await visit(
            self.url,
            part.start,
            part.end,
            ctx.scratch,
            self.hear,
            guard=ctx.tools.guard,
            children=ctx.tools.children,
            settings=ctx.settings,
            is_shared=self.is_shared,
        )
        if self.got is None:
            raise Failure(Code.INTERNAL, "the fetching child brought nothing")
        return self.got, _file(self.got, ctx.scratch.absolute())

    async def hear(self, said: Said) -> None:
        match said:
            case Found():
                log.info("source found", extractor=said.extractor, duration=said.duration, section=said.is_section)
            case Progress(share=share):
                await self.ctx.progress((self.before + share * self.share) * FETCHED_SHARE)
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
    return Section(got.begins, inf if got.is_last else max(got.ends - BEYOND, got.begins + 0.001))
