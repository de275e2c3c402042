"""Runs the resolver's handler as the stage runner would, on real S3."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from libs.common.domain.events import SourceReady
from libs.common.domain.failures import Failure
from libs.common.domain.job import fold
from libs.common.domain.values import Segment
from libs.common.runtime.context import Context
from libs.common.runtime.object_store import Bucket, ObjectStore
from libs.common.runtime.settings import load
from services.resolver.handler import resolve_source
from services.resolver.settings import ResolverSettings
from services.resolver.tools import Tools
from tests import media
from tests.builders import history, requested


@dataclass
class Moments:
    """Does something when the handler says that it has come so far: 0.2 when the container is known."""

    what: dict[float, Callable[[], Awaitable[object]]] = field(default_factory=dict)

    async def __call__(self, progress: float) -> None:
        if progress in self.what:
            await self.what.pop(progress)()


@dataclass
class Resolving:
    """The service on a store; `variables` are its environment. One job."""

    objects: ObjectStore
    variables: dict[str, str]
    folder: Path
    tools: Tools
    job_id: UUID = field(default_factory=uuid4)
    moments: Moments = field(default_factory=Moments)

    @property
    def bucket(self) -> Bucket:
        return self.objects.sources

    async def uploaded(self, body: bytes, name: str = "file.mp4") -> str:
        key = f"uploads/{uuid4()}/{name}"
        await self.bucket.put(key, body, "video/mp4")
        return key

    async def resolve(
        self,
        upload_key: str | None,
        *,
        start: float = 1,
        end: float = 3,
        source_type: str = "upload",
        segments: tuple[Segment, ...] = (),
        **variables: str,
    ) -> SourceReady:
        asked = requested(source_type=source_type, upload_key=upload_key, start=start, end=end, segments=segments)
        settings = load(ResolverSettings, {**self.variables, "FFPROBE_BIN": media.FFPROBE, **variables})
        job = fold(history(asked, job_id=self.job_id))
        return await resolve_source(
            asked,
            Context(
                job_id=self.job_id,
                job=job,
                settings=settings,
                tools=self.tools,
                objects=self.objects,
                folder=lambda: self.folder,
                progress=self.moments,
            ),
        )

    async def refusal(self, upload_key: str | None, **asked: object) -> Failure:
        """Why it is refused; that nothing is left of it is part of being refused."""
        with pytest.raises(Failure) as raised:
            await self.resolve(upload_key, **asked)  # type: ignore[arg-type]
        assert await self.own_files() == []
        return raised.value

    async def own_files(self) -> list[str]:
        return [info.key async for info in self.bucket.list(f"sources/{self.job_id}/")]

    async def content(self, source: SourceReady) -> bytes:
        return await self.bucket.read(source.source_key, 0, source.size + 1)
