"""The handlers of clipper, asr and burner in one warm process, on real servers: an order a line of stdin, an answer a line of stdout."""

import os
import shutil
import sys
import time
from collections.abc import Awaitable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID, uuid4

import msgspec
import uvloop

from bench.processes import tree_cpu
from bench.system.orders import Answer, Order, Stage
from libs.common.domain.events import AnyEvent
from libs.common.domain.job import fold
from libs.common.runtime.context import Context
from libs.common.runtime.logs import set_up_logs
from libs.common.runtime.object_store import ObjectStore, open_object_store
from libs.common.runtime.settings import from_environment
from services.asr.handler import transcribe_clip
from services.asr.providers import open_transcriber
from services.asr.settings import AsrSettings
from services.clipper.burn import burn_subtitles
from services.clipper.handler import cut_clip
from services.clipper.rendering import open_tools
from services.clipper.settings import ClipperSettings
from tests.builders import history, ready, requested

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Service:
    """What one service has for as long as it runs."""

    settings: Any
    tools: Any


@dataclass(slots=True)
class Journey:
    """One job from its source to its burned clip, its stages timed."""

    order: Order
    objects: ObjectStore
    folder: Path
    job_id: UUID = field(default_factory=uuid4)
    stages: dict[str, Stage] = field(default_factory=dict)

    async def made(self, clipper: Service, asr: Service) -> Answer:
        asked = requested(start=self.order.start, end=self.order.end, with_subtitles=True, burn_subtitles=True)
        source = ready(source_key=self.order.key, size=self.order.size, duration=self.order.seconds)
        clip = await self.timed("cut", cut_clip(source, self.context(clipper, asked)))
        told = await self.timed("transcribe", transcribe_clip(clip, self.context(asr, asked, source, clip)))
        burned = await self.timed("burn", burn_subtitles(told, self.context(clipper, asked, source, clip, told)))
        keys = {"clip_key": clip.video_key, "burned_key": burned.video_key, "srt_key": told.srt_key}
        return Answer(**keys, reused=told.reused, stages=self.stages)

    async def timed(self, name: str, work: Awaitable[T]) -> T:
        cpu, began = tree_cpu(os.getpid()), time.perf_counter()
        done = await work
        self.stages[name] = Stage(time.perf_counter() - began, tree_cpu(os.getpid()) - cpu)
        return done

    def context(self, service: Service, *events: AnyEvent) -> Context[Any, Any]:
        """Its scratch is the attempt's own."""
        scratch = self.folder / uuid4().hex
        scratch.mkdir(parents=True)
        job = fold(history(*events, job_id=self.job_id))
        return Context(
            job_id=self.job_id,
            job=job,
            settings=service.settings,
            tools=service.tools,
            objects=self.objects,
            folder=lambda: scratch,
            progress=_unheard,
        )


async def _unheard(_: float) -> None:
    """Nobody watches the progress here."""


async def work(orders: Any, answers: Any) -> None:
    """One order at a time: nothing else may run beside what is timed."""
    of_clipper, of_asr = from_environment(ClipperSettings), from_environment(AsrSettings)
    set_up_logs("worker", of_asr.log_level)
    async with open_object_store(of_clipper) as objects, open_tools(of_clipper) as tools, open_transcriber(of_asr) as transcriber:
        for line in orders:
            folder = of_clipper.scratch_dir / uuid4().hex
            journey = Journey(msgspec.json.decode(line, type=Order), objects, folder)
            try:
                answer = await journey.made(Service(of_clipper, tools), Service(of_asr, transcriber))
            except Exception as error:  # noqa: BLE001  told to whoever measures
                answer = Answer(error=f"{type(error).__name__}: {error}")
            shutil.rmtree(folder)
            answers.write(msgspec.json.encode(answer) + b"\n")
            answers.flush()


def main() -> None:
    """Answers have the true stdout for themselves; logs go where stderr goes."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    uvloop.run(work(sys.stdin.buffer, answers))


if __name__ == "__main__":
    main()
