"""The system in memory: worker processes with the real stage runner, over simulated servers. What others ask of it is in callers.py.

Whoever drives it decides which gate opens next. Two worker processes run all four stages, so a message always has another to go to.
"""

from collections.abc import Coroutine
from contextvars import copy_context
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from libs.common.domain.events import StageName, decode
from libs.common.domain.failures import Failure
from libs.common.domain.subjects import CLIPS, DLQ
from libs.common.runtime import attempt, liveness
from libs.common.runtime.health import Health
from libs.common.runtime.jetstream import JetStreamBus
from libs.common.runtime.object_store import ObjectStore
from libs.common.runtime.settings import Secret
from libs.common.runtime.stage import process
from libs.common.runtime.world import World
from services.janitor.settings import JanitorSettings
from tests.fakes import NOW, MemoryEventStore
from tests.runtime.simulation.gates import ACTOR, Actor, Dependency, Gate, Killed, Passage, Process
from tests.runtime.simulation.handling import WORK, Handlers, Outcome
from tests.runtime.simulation.ledger import Ledger
from tests.runtime.simulation.stores import GatedBucket, GatedStore, database_away, storage_away
from tests.runtime.simulation.streams import MemoryClient, MemoryJetStream, Stored
from tests.runtime.simulation.streams import away as nats_away
from tests.runtime.simulation.virtual_loop import VirtualLoop

AWAY = {"postgres": database_away, "nats": nats_away, "s3": storage_away}
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
        self.was_cut_off = False
        """Somebody was frozen, or away from the message server: messages may have been given to another though their worker was well."""
        self.poisoned: set[tuple[UUID, StageName]] = set()
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
                failure = AWAY[name]()
                raise failure

        return ping

    def _spawn(self, name: str, within: Process, work: Coroutine[Any, Any, Any], message: Any = None) -> Actor:
        actor = Actor(name, within, message=message)
        within.actors.append(actor)
        context = copy_context()
        context.run(ACTOR.set, actor)
        actor.task = self.loop.create_task(work, context=context)
        self._go()
        return actor

    def begin(self, name: str, work: Coroutine[Any, Any, Any]) -> None:
        """In a process of its own. An outage ends it, as it would end a request or a sweep."""

        async def once() -> None:
            try:
                await work
            except Failure:
                return
            except Exception as error:  # noqa: BLE001  the ledger tells it
                self.ledger.broken.append(f"{name} broke: {error!r}")

        self._spawn(name, self._process(name), once())

    def _go(self) -> None:
        self.loop.run_until_idle()
        for each in list(self.processes):
            for gone in (actor for actor in each.actors if actor.is_done and not each.is_dead):
                self.ledger.left(gone)
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

    # What happens to them.

    def deliver(self, message: Stored, worker: Process) -> None:
        working = [actor for actor in self.actors if actor.message is not None and not actor.process.is_stopping]
        holders = [actor for actor in working if actor.message.message is message]
        self.ledger.given(message, is_held=bool(holders), was_cut_off=self.was_cut_off or message.was_handed_back_late)
        delivery = self.js.deliver(message)
        self._spawn(message.stage, worker, process(self.stages[message.stage], worker.world, delivery), delivery)

    def open(self, actor: Actor, gate: Gate, passage: Passage) -> None:
        if gate.dependency in self.down:
            passage = Passage.REFUSED
        if gate.label == WORK and self._is_poison(actor):
            return self.crash(actor.process)
        if gate.dependency == "postgres" and passage is not Passage.GO:
            actor.was_not_heard = True
            actor.was_not_heard_at_its_end |= actor.process.is_stopping or gate.label == "append StageRetried"
        gate.open(passage)
        self._go()

    def _is_poison(self, actor: Actor) -> bool:
        """A job that kills whoever works on it, from now on and for ever."""
        place = (decode(actor.message.body).job_id, actor.message.message.stage)
        if self.outcome is Outcome.POISON:
            self.poisoned.add(place)
        if place in self.poisoned:
            self.ledger.dies_of_poison(actor, place)
        return place in self.poisoned

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
        self.was_cut_off |= not self.js.is_up

    def freeze_or_thaw(self, which: int) -> None:
        frozen = self.workers[which % WORKERS]
        frozen.is_frozen = not frozen.is_frozen
        self.was_cut_off = True

    def letters(self) -> list[Stored]:
        return list(self.js.streams[DLQ].messages.values())
