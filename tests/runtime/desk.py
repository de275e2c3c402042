"""A stage at its desk: the runner's world in memory, and one job whose source is ready."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from libs.common.domain.events import (
    ClipUploaded,
    Envelope,
    SourceReady,
    StageName,
    type_of,
)
from libs.common.domain.failures import Code, Failure
from libs.common.domain.job import fold
from libs.common.runtime.context import Context
from libs.common.runtime.settings import CommonSettings, Secret
from libs.common.runtime.stage import Stage, World, process
from tests.builders import history, ready, requested, uploaded
from tests.fakes import NOW, MemoryBus, MemoryDelivery, MemoryEventStore, Switch, healthy

CLIPPER = StageName.CLIPPER
Handler = Callable[[SourceReady, Context[Any, Any]], Awaitable[ClipUploaded]]


class Desk:
    """A stage with its world, and one job whose source is ready."""

    def __init__(
        self, tmp_path: Path, handle: Handler | None = None, patience: float = 30, *, subtitles: bool = False, **stage: Any
    ) -> None:
        """`subtitles`: a stage behind this one waits for what it answers."""
        self.store, self.bus = MemoryEventStore(), MemoryBus()
        self.postgres = Switch(lambda: Failure(Code.RETRYABLE_ERROR, "away", outage="postgres"))
        settings = CommonSettings(database_url=Secret(""), nats_url=Secret(""), scratch_dir=tmp_path, queue_ack_wait_sec=patience)
        self.world = World(
            store=self.store,
            bus=self.bus,  # type: ignore[arg-type]
            objects=None,  # type: ignore[arg-type]
            health=healthy(postgres=self.postgres.ping),
            settings=settings,
            now=lambda: NOW,
            chance=lambda: 0.5,
        )
        self.calls = 0
        self.handle = handle or self.cut
        given = {"name": CLIPPER, "consumes": SourceReady, "handle": self.counted}
        self.stage: Stage[SourceReady] = Stage(**given | stage)
        self.events = history(requested(with_subtitles=subtitles), ready())
        self.store.rows += self.events

    async def counted(self, event: SourceReady, ctx: Context[Any, Any]) -> ClipUploaded:
        self.calls += 1
        return await self.handle(event, ctx)

    @staticmethod
    async def cut(_event: SourceReady, _ctx: Context[Any, Any]) -> ClipUploaded:
        return uploaded()

    @property
    def cause(self) -> Envelope:
        return self.events[1]

    @property
    def job(self) -> Any:
        return fold(self.store.rows)

    @property
    def types(self) -> list[str]:
        """What the stage added to the history."""
        return [type_of(row.event) for row in self.store.rows[2:]]

    async def deliver(self, delivery: MemoryDelivery | None = None) -> MemoryDelivery:
        delivery = delivery or MemoryDelivery.of(self.cause)
        await process(self.stage, self.world, delivery)
        return delivery


def failing(*failures: Exception) -> Handler:
    """A handler that raises these in turn and then succeeds."""
    left = list(failures)

    async def handle(_event: SourceReady, _ctx: Context[Any, Any]) -> ClipUploaded:
        if left:
            raise left.pop(0)
        return uploaded()

    return handle
