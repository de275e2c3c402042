"""What clients, operators and the janitor's schedule ask of the system, by the real code, each in a process of its own."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from msgspec.structs import replace

from libs.common.domain.causes import cause_for
from libs.common.domain.event_ids import cancel_id, replay_id, request_id
from libs.common.domain.events import SUBJECTS, Envelope, JobCancelled, JobReplayed, Priority, StageName, decode, encode, type_of
from libs.common.domain.subjects import ADVISORIES, CLIPS, subject_for
from services.api.intake import Intake
from services.janitor.advisories import Rescue
from services.janitor.expiry import expired
from services.janitor.overdue import Deadlines
from services.janitor.reconciler import mend_all
from services.janitor.replay import ReplayRequest, Replays
from services.janitor.retention import Retention
from services.janitor.schedule import Sweep, alone
from tests.builders import requested
from tests.fakes import MemoryOpening
from tests.runtime.simulation.streams import Stored
from tests.runtime.simulation.system import System

DEADLINES = Deadlines(queued=30, attempt=600, margin=60)


class Callers:
    def __init__(self, system: System) -> None:
        self.system = system
        self.deleted: set[UUID] = set()

    # Clients.

    def submit(self, job_id: UUID, priority: Priority, **fields: Any) -> None:
        now = self.system.now()
        opening = requested(expires_at=now + timedelta(hours=72), **fields)
        envelope = Envelope(id=request_id(job_id), job_id=job_id, at=now, correlation_id=str(job_id), priority=priority, event=opening)
        intake = Intake(MemoryOpening(self.system.store), self.system.bus)

        async def take() -> None:
            await intake.take([envelope], 0)
            await intake.settled()

        self.system.begin("api", take())

    def cancel(self, job_id: UUID) -> None:
        """As the API does it: a look, and the event if the job is not over."""
        job = self.system.ledger.jobs[job_id]
        if not job.is_over:
            event, now = JobCancelled(by="client"), self.system.now()
            envelope = Envelope(
                id=cancel_id(job_id, job.run), job_id=job_id, run=job.run, at=now, correlation_id=job.correlation_id, event=event
            )
            self.system.begin("cancel", self.system.store.append(envelope))

    def edit(self, job_id: UUID, text: int) -> None:
        """The client puts an edited transcript back: a done job runs on from its asr stage."""
        job = self.system.ledger.jobs[job_id]
        cause = cause_for(job, StageName.ASR)
        if not job.is_editable or cause is None:
            return
        replayed, run = JobReplayed(stage=StageName.ASR, by="edit", source=f"edit:{text}"), job.run + 1
        opening = replace(cause.followed_by(replayed, event_id=replay_id(job_id, run), at=self.system.now()), run=run)
        intake = Intake(MemoryOpening(self.system.store), self.system.bus)

        async def reopen() -> None:
            await intake.reopen(opening, replace(cause, run=run), expires_at=job.expires_at or self.system.now(), cap=0)
            await intake.settled()

        self.system.begin("edit", reopen())

    # Operators.

    def replay(self, sequence: int) -> None:
        self.system.begin(
            "replay", Replays(self.system.store, self.system.bus, self.system.now).answer(ReplayRequest(seq=sequence, by="ada"))
        )

    def publish_by_hand(self, body: bytes) -> None:
        """A raw `nats pub`, with the body and nothing else."""
        cause = decode(body)
        self.system.js.put(CLIPS, subject_for(type_of(cause.event), cause.priority), body, {})

    def publish_twice(self, message: Stored) -> None:
        """The same message again, as from a proxy that sends everything twice, or a producer's library."""
        self.system.js.put(CLIPS, message.subject, message.body, message.headers)

    def bodies(self, job_id: UUID) -> list[bytes]:
        """The bodies of the job's messages so far, as an operator may have kept them."""
        return [encode(row) for row in self.system.ledger.rows[job_id] if type_of(row.event) in SUBJECTS.values()]

    # The janitor.

    def reconcile(self) -> None:
        self._alone("reconciler", lambda: mend_all(self.system.store, self.system.bus, DEADLINES, self.system.now()))

    def rescue(self) -> None:
        if self.system.js.streams[ADVISORIES].messages:
            self._alone("advisories", Rescue(self.system.store, self.system.bus).heed_all)

    def expire(self, job_id: UUID) -> None:
        """A client deletes the job, as the API does it, and a janitor cleans up: also while it is at work."""
        self.deleted.add(job_id)
        event = expired(job_id, self.system.ledger.jobs[job_id], self.system.now())

        async def delete() -> None:
            await self.system.store.append(event)
            await alone(self.system.store, "retention", self._retention.clean_up, patience=0)()

        self.system.begin("delete", delete())

    def clean_up(self) -> None:
        self._alone("retention", self._retention.clean_up)

    @property
    def _retention(self) -> Retention:
        return Retention(self.system.store, self.system.objects, self.system.settings, self.system.now)

    def _alone(self, name: str, sweep: Sweep) -> None:
        self.system.begin(name, alone(self.system.store, name, sweep, patience=0)())
