"""The clipper's handler in a process of its own, as its service runs it: a cut per line of stdin, an answer per line of stdout."""

import asyncio
import os
import shutil
import sys
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO
from uuid import UUID, uuid4

import msgspec
import uvloop

from bench.cutting.orders import Answer, Order, decode_order
from bench.processes import tree_cpu
from libs.common.domain.event_ids import request_id
from libs.common.domain.events import ClipsRequested, ClipUploaded, Envelope, SourceReady
from libs.common.domain.job import Job, fold
from libs.common.runtime.context import Context
from libs.common.runtime.logs import set_up_logs
from libs.common.runtime.object_store import Bucket, ObjectStore, open_object_store
from libs.common.runtime.settings import from_environment
from services.clipper import verification
from services.clipper.handler import cut_clip
from services.clipper.output_checks import Expected, Found
from services.clipper.rendering import open_tools
from services.clipper.settings import ClipperSettings

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

LINE_BYTES = 1 << 16


class Kept(Bucket):
    """A results bucket that only moves files: what a cut costs without its upload."""

    def __init__(self, name: str, kept: Path | None) -> None:
        super().__init__(name, None, None)
        self._kept = kept

    async def upload(self, key: str, path: Path, content_type: str) -> int:  # noqa: ARG002  as the real one's
        size = path.stat().st_size
        if self._kept:
            shutil.copyfile(path, self._kept)
        return size


class Verifications:
    """Stands in for `verified`: asked to, it repeats each call and keeps what one costs, or believes what it is told."""

    def __init__(self) -> None:
        self.original: Callable[..., Awaitable[Any]] = verification.verified
        self.is_on = True
        self.repeats = 0
        self.cpu = 0.0

    async def __call__(self, *given: Any, **named: Any) -> Any:
        if not self.is_on:
            return _believed(next(value for value in given if isinstance(value, Expected))), ()
        result = await self.original(*given, **named)
        before = tree_cpu(os.getpid())
        for _ in range(self.repeats):
            await self.original(*given, **named)
        if self.repeats:
            self.cpu = (tree_cpu(os.getpid()) - before) / self.repeats
        return result

    def put_in_place(self) -> None:
        """Wherever a module of the clipper has taken the name."""
        for name, module in list(sys.modules.items()):
            if name.startswith("services.clipper") and getattr(module, "verified", None) is self.original:
                setattr(module, "verified", self)  # noqa: B010  mypy knows that a module has no such assignment


def _believed(expected: Expected) -> Found:
    return Found(
        size=0,
        duration=expected.duration,
        frames=expected.frames or (),
        begins_with_keyframe=True,
        is_monotonic=True,
        has_video=expected.has_video,
        has_audio=expected.has_audio,
        complaints="",
        boxes=(),
    )


@dataclass(frozen=True, slots=True)
class Worker:
    """What lasts as long as the service: settings, tools, connections."""

    settings: ClipperSettings
    tools: Any
    objects: ObjectStore
    verifications: Verifications

    async def answer(self, order: Order) -> Answer:
        job_id = uuid4()
        scratch = self.settings.scratch_dir / str(job_id)
        scratch.mkdir(parents=True)
        self.verifications.is_on, self.verifications.repeats, self.verifications.cpu = order.verify, order.verify_again, 0.0
        began = time.perf_counter()
        try:
            event = await cut_clip(_ready(order), self._context(order, job_id, scratch))
        except Exception as error:  # noqa: BLE001  told to whoever measures: a failed cut is a figure too
            return Answer(id=order.id, error=f"{type(error).__name__}: {error}")
        finally:
            wall = time.perf_counter() - began
            shutil.rmtree(scratch)
        return _answer(order, event, wall, self.verifications.cpu)

    def _context(self, order: Order, job_id: UUID, scratch: Path) -> Context[ClipperSettings, Any]:
        kept = Kept(self.settings.s3_results_bucket, Path(order.keep) if order.keep else None)
        return Context(
            job_id=job_id,
            job=_job(order, job_id),
            settings=self.settings,
            tools=self.tools,
            objects=self.objects if order.upload else replace(self.objects, results=kept),
            folder=lambda: scratch,
            progress=_unheard,
        )


def _job(order: Order, job_id: UUID) -> Job:
    now = datetime.now(UTC)
    wish = ClipsRequested(
        source_type="upload", upload_key="uploads/u/file.mp4", start=order.start, end=order.end, expires_at=now + timedelta(1)
    )
    return fold([Envelope(id=request_id(job_id), job_id=job_id, run=1, at=now, correlation_id="bench", event=wish)])


def _ready(order: Order) -> SourceReady:
    return SourceReady(source_key=order.key, size=order.size, container="mov", duration=order.seconds)


def _answer(order: Order, event: ClipUploaded, wall: float, verification_cpu: float) -> Answer:
    return Answer(id=order.id, wall=wall, size=event.size, path=event.cut_path, verification_cpu=verification_cpu)


async def _unheard(_: float) -> None:
    """Nobody watches the progress here."""


async def work(answers: BinaryIO) -> None:
    """Orders are taken as they come: the caller decides how many are in hand."""
    settings = from_environment(ClipperSettings)
    set_up_logs("clipper", settings.log_level)
    orders = await _orders()
    verifications = Verifications()
    verifications.put_in_place()
    async with open_object_store(settings) as objects, open_tools(settings) as tools, asyncio.TaskGroup() as running:
        worker = Worker(settings, tools, objects, verifications)
        while line := await orders.readline():
            running.create_task(_work_on(worker, decode_order(line), answers))


async def _work_on(worker: Worker, order: Order, answers: BinaryIO) -> None:
    answers.write(msgspec.json.encode(await worker.answer(order)) + b"\n")
    answers.flush()


async def _orders() -> asyncio.StreamReader:
    reader = asyncio.StreamReader(limit=LINE_BYTES)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    return reader


def main() -> None:
    """Answers have the true stdout for themselves; logs go where stderr goes."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    uvloop.run(work(answers))


if __name__ == "__main__":
    main()
