"""The whole system in memory: the real stage runner, intake, reconciler, rescue, replays and retention, over simulated servers.

Whoever drives it decides which gate opens next. Two worker processes run all four stages, so a message always has another to go to.
"""

from collections.abc import Coroutine
from contextvars import copy_context
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from libs.common.domain.events import SUBJECTS, Envelope, JobCancelled, Priority, cancel_id, decode, encode, request_id, type_of
from libs.common.domain.failures import Failure
from libs.common.domain.subjects import ADVISORIES, CLIPS, DLQ, subject_for
from libs.common.runtime import attempt, liveness
from libs.common.runtime.health import Health
from libs.common.runtime.jetstream import JetStreamBus
from libs.common.runtime.object_store import ObjectStore
from libs.common.runtime.settings import Secret
from libs.common.runtime.stage import process
from libs.common.runtime.world import World
from services.api.intake import Intake
from services.janitor.advisories import Rescue
from services.janitor.overdue import Deadlines
from services.janitor.reconciler import mend_all
from services.janitor.replay import ReplayRequest, Replays
from services.janitor.retention import Retention
from services.janitor.schedule import alone
from services.janitor.settings import JanitorSettings
from tests.builders import requested
from tests.fakes import NOW, MemoryEventStore
from tests.runtime.simulation.gates import ACTOR, Actor, Dependency, Gate, Killed, Passage, Process
from tests.runtime.simulation.handling import Handlers, Outcome
from tests.runtime.simulation.ledger import Ledger
from tests.runtime.simulation.stores import GatedBucket, GatedStore, database_away, storage_away
from tests.runtime.simulation.streams import MemoryClient, MemoryJetStream, Stored
from tests.runtime.simulation.streams import away as nats_away
from tests.runtime.simulation.virtual_loop import VirtualLoop

AWAY = {"postgres": database_away, "nats": nats_away, "s3": storage_away}
DEADLINES = Deadlines(queued=30, attempt=600, margin=60)
WORKERS = 2


class System:
    def __init__(self, scratch: Path) -> None:
        self.loop = VirtualLoop()
        self.loop.set_exception_handler(self._note)
        self.ledger = Ledger()
        self.js = MemoryJetStream(self.loop.time, self.ledger)
        self.bus = JetStreamBus(MemoryClient(self.js), self.js)  # type: ignore[arg-type]  in place of nats-py's
        self.memory = MemoryEventStore()
        self.store: Any = GatedStore(self.memory, self.ledger)
        bucket: Any = GatedBucket(self.ledger.objects)
        self.objects = ObjectStore(sources=bucket, results=bucket, region="")
        self.down: set[Dependency] = set()
        self.outcome = Outcome.WELL
        self.handlers = Handlers(self.ledger, lambda: self.outcome)
        self.stages = self.handlers.stages()
        self.settings = JanitorSettings(database_url=Secret(""), nats_url=Secret(""), scratch_dir=scratch, cleanup_pause_ms=1)
        self.processes: list[Process] = []
        self.workers = [self._worker(n) for n in range(WORKERS)]
        self.patches = pytest.MonkeyPatch()
        self._patch_clocks()

    def _patch_clocks(self) -> None:
        """The two clocks that the runner doesn't take from its loop; and progress is written as often as it is said."""
        hold, progress = liveness.Hold, liveness.Progress
        self.patches.setattr(liveness, "time", type("Clock", (), {"monotonic": staticmethod(self.loop.time)}))
        self.patches.setattr(liveness, "Hold", lambda patience: hold(patience, heard=self.loop.time()))
        self.patches.setattr(attempt, "Progress", lambda report: progress(report, at=self.loop.time()))
        self.patches.setattr(liveness, "PROGRESS_EVERY", 0.0)

    def close(self) -> None:
        for each in list(self.processes):
            self.crash(each)
        self.loop.close()
        self.patches.undo()

    def now(self) -> datetime:
        return NOW + timedelta(seconds=self.loop.time())

    def _note(self, _loop: Any, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if not isinstance(error, (Killed, Failure)):
            self.ledger.broken.append(f"nobody heard of {error!r}: {context['message']}")

    # Who acts.

    def _process(self, name: str) -> Process:
        self.processes.append(Process(name))
        return self.processes[-1]

    def _worker(self, number: int) -> Process:
        worker = self._process(f"worker {number}")
        worker.world = World(
            store=self.store,
            bus=self.bus,
            objects=self.objects,
            health=Health({name: self._ping(name) for name in AWAY}),
            settings=self.settings,
            now=self.now,
            chance=lambda: 0.5,
        )
        return worker

    def _ping(self, name: Any) -> Any:
        async def ping() -> None:
            if name in self.down:
                raise AWAY[name]()

        return ping

    def _begin(self, name: str, within: Process, work: Coroutine[Any, Any, Any], message: Any = None) -> Actor:
        actor = Actor(name, within, message=message)
        within.actors.append(actor)
        context = copy_context()
        context.run(ACTOR.set, actor)
        actor.task = self.loop.create_task(work, context=context)
        self._go()
        return actor

    def _go(self) -> None:
        self.loop.run_until_idle()
        for each in list(self.processes):
            each.actors = [actor for actor in each.actors if not actor.is_done]
            if not each.actors and each not in self.workers:
                self.processes.remove(each)

    @property
    def actors(self) -> list[Actor]:
        return [actor for each in self.processes for actor in each.actors]

    @property
    def movable(self) -> list[Actor]:
        return [actor for actor in self.actors if actor.gates and not actor.process.is_frozen]

    @property
    def is_deliverable(self) -> bool:
        return self.js.is_up and bool(self.js.due()) and not all(worker.is_frozen for worker in self.workers)

    @property
    def is_working(self) -> bool:
        return any(worker.actors for worker in self.workers)

    @property
    def is_all_over(self) -> bool:
        return all(job.is_over for job in self.ledger.jobs.values())

    @property
    def jobs(self) -> list[UUID]:
        return list(self.ledger.jobs)

    # What they are given to do.

    def submit(self, job_id: UUID, priority: Priority, **fields: Any) -> None:
        opening = requested(expires_at=self.now() + timedelta(hours=72), **fields)
        envelope = Envelope(
            id=request_id(job_id), job_id=job_id, at=self.now(), correlation_id=str(job_id), priority=priority, event=opening
        )
        intake = Intake(self.store, self.bus)

        async def take() -> None:
            await intake.take(envelope)
            await intake.settled()

        self._sweep("api", take())

    def deliver(self, message: Stored, worker: Process) -> None:
        delivery = self.js.deliver(message)
        self._begin(message.stage, worker, process(self.stages[message.stage], worker.world, delivery), delivery)

    def cancel(self, job_id: UUID) -> None:
        """As the API does it: a look, and the event if the job is not over; nobody waits in between."""
        job = self.ledger.jobs[job_id]
        if not job.is_over:
            event = JobCancelled(by="client")
            envelope = Envelope(
                id=cancel_id(job_id, job.run), job_id=job_id, run=job.run, at=self.now(), correlation_id=job.correlation_id, event=event
            )
            self._sweep("cancel", self.store.append(envelope))

    def reconcile(self) -> None:
        self._sweep("reconciler", alone(self.store, "reconciler", lambda: mend_all(self.store, self.bus, DEADLINES, self.now()))())

    def rescue(self) -> None:
        if self.js.streams[ADVISORIES].messages:
            self._sweep("rescue", alone(self.store, "advisories", Rescue(self.store, self.bus).heed_all)())

    def replay(self, sequence: int) -> None:
        self._sweep("replay", Replays(self.store, self.bus, self.now).answer(ReplayRequest(seq=sequence, by="ada")))

    def expire(self, job_id: UUID) -> None:
        self._sweep("retention", alone(self.store, "retention", lambda: self._retention.clean(job_id))())

    def clean_up(self) -> None:
        self._sweep("retention", alone(self.store, "retention", self._retention.clean_up)())

    @property
    def _retention(self) -> Retention:
        return Retention(self.store, self.objects, self.settings, self.now)

    def _sweep(self, name: str, work: Coroutine[Any, Any, Any]) -> None:
        async def once() -> None:
            try:
                await work
            except Failure:
                return
            except Exception as error:  # noqa: BLE001  the ledger tells it
                self.ledger.broken.append(f"{name} broke: {error!r}")

        self._begin(name, self._process(name), once())

    def publish_by_hand(self, body: bytes) -> None:
        """The operator's raw `nats pub`, with the body and nothing else."""
        cause = decode(body)
        self.js.put(CLIPS, subject_for(type_of(cause.event), cause.priority), body, {})

    def publish_twice(self, message: Stored) -> None:
        """The same message again, as from a proxy that sends everything twice, or a producer's library."""
        self.js.put(CLIPS, message.subject, message.body, message.headers)

    # What happens to them.

    def open(self, actor: Actor, gate: Gate, passage: Passage) -> None:
        if gate.dependency in self.down:
            passage = Passage.REFUSED
        gate.open(passage)
        self._go()

    def crash(self, dying: Process) -> None:
        """kill -9, and a new process in its place."""
        dying.is_dead = True
        self._replace(dying)
        for actor in list(dying.actors):
            for gate in list(actor.gates):
                gate.refuse_for_good()
        self.loop.run_until_idle()
        for actor in dying.actors:
            if actor.task and not actor.task.done():
                actor.task.cancel()
        self._go()

    def apply_unheard(self, within: Process) -> None:
        """What somebody in it waits for has taken place, though nobody will hear of it."""
        gates = [gate for actor in within.actors for gate in actor.gates if gate.dependency and gate.dependency not in self.down]
        for gate in gates[:1]:
            gate.effect_only()

    def stop(self, stopping: Process) -> None:
        """SIGTERM, after the time that it leaves to the work in hand."""
        stopping.is_stopping = True
        self._replace(stopping)
        for actor in list(stopping.actors):
            if actor.task:
                actor.task.cancel()
        self._go()

    def _replace(self, worker: Process) -> None:
        if worker in self.workers:
            self.workers[self.workers.index(worker)] = self._worker(self.workers.index(worker))

    def pass_time(self, seconds: float) -> None:
        self.loop.pass_time(seconds)
        self._go()

    def begin_or_end_outage(self, which: int) -> None:
        names: list[Dependency] = ["postgres", "nats", "s3"]
        for name in list(self.down) or [names[which % 3]]:
            self.set_down(name, is_down=name not in self.down)

    def fill_or_empty(self, which: int) -> None:
        """A stream has no room, or has room again."""
        stream = (CLIPS, DLQ)[which % 2]
        self.js.full = set() if self.js.full else {stream}
        self.ledger.was_full |= stream == CLIPS

    def set_down(self, name: Dependency, *, is_down: bool) -> None:
        (self.down.add if is_down else self.down.discard)(name)
        self.js.is_up = "nats" not in self.down

    def letters(self) -> list[Stored]:
        return list(self.js.streams[DLQ].messages.values())

    def bodies(self, job_id: UUID) -> list[bytes]:
        """The bodies of the job's messages so far, as an operator may have kept them."""
        return [encode(row) for row in self.ledger.rows[job_id] if type_of(row.event) in SUBJECTS.values()] or [b"not a message"]
