"""Resolves jobs by URL as the stage runner would, on real S3, Postgres and sites."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from libs.common.domain.events import SourceReady
from libs.common.domain.failures import Failure
from libs.common.domain.job import fold
from libs.common.domain.values import Segment
from libs.common.runtime.context import Context
from libs.common.runtime.object_store import ObjectStore
from libs.common.runtime.settings import load
from services.resolver.handler import resolve_source
from services.resolver.settings import ResolverSettings
from services.resolver.tools import Tools, open_tools
from tests.builders import history, requested
from tests.sites.films import numbers_in
from tests.sites.site import Site


@dataclass
class Downloads:
    """One replica of the resolver, allowed to visit the site."""

    site: Site
    objects: ObjectStore
    variables: dict[str, str]
    folder: Path
    tools: Tools
    said: list[float] = field(default_factory=list)

    async def resolve(
        self, url: str | None, start: float = 8.4, end: float = 12.4, *, job_id: UUID | None = None, **variables: str
    ) -> SourceReady:
        return await self.answer(url, {"start": start, "end": end}, job_id=job_id, **variables)

    async def join(self, url: str, *segments: Segment, job_id: UUID | None = None, **variables: str) -> SourceReady:
        """For one clip of them all."""
        start, end = min(segment.start for segment in segments), max(segment.end for segment in segments)
        return await self.answer(url, {"start": start, "end": end, "segments": segments}, job_id=job_id, **variables)

    async def answer(self, url: str | None, fields: dict[str, Any], *, job_id: UUID | None = None, **variables: str) -> SourceReady:
        asked = requested(source_type="youtube", upload_key=None, source_url=url, **fields)
        job_id = job_id or uuid4()
        scratch = self.folder / str(uuid4())
        scratch.mkdir()
        context = Context(
            job_id=job_id,
            job=fold(history(asked, job_id=job_id)),
            settings=load(ResolverSettings, self.variables | variables),
            tools=self.tools,
            objects=self.objects,
            folder=lambda: scratch,
            progress=self.say,
        )
        return await resolve_source(asked, context)

    async def say(self, progress: float) -> None:
        self.said.append(progress)

    async def refusal(self, url: str | None, start: float = 8.4, end: float = 12.4, **variables: str) -> Failure:
        with pytest.raises(Failure) as raised:
            await self.resolve(url, start, end, **variables)
        return raised.value

    @property
    def fetches(self) -> int:
        """yt-dlp asks once for the whole of a direct file, to see what it is."""
        return len([request for request in self.site.requests if request.range is None])

    @asynccontextmanager
    async def replica(self) -> AsyncIterator["Downloads"]:
        async with open_tools(load(ResolverSettings, self.variables)) as own:
            tools = replace(own, describer=self.tools.describer, children=self.tools.children)
            yield Downloads(self.site, self.objects, self.variables, self.folder, tools)

    async def numbers(self, source_key: str) -> list[int]:
        """Of the pictures in a file of a job."""
        path = self.folder / f"{uuid4()}{Path(source_key).suffix}"
        await self.objects.sources.download(source_key, path)
        return numbers_in(path)
