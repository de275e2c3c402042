"""The end of every story: all faults are over, everybody goes on; then each job must be over, the queue empty, and nothing left behind."""

from uuid import UUID

from libs.common.domain.job import fold
from libs.common.domain.subjects import ADVISORIES
from tests.runtime.simulation.callers import Callers
from tests.runtime.simulation.gates import Passage, at_once
from tests.runtime.simulation.handling import Outcome
from tests.runtime.simulation.ledger import named_objects
from tests.runtime.simulation.system import System

ROUNDS = 120
"""Half-minutes that the system has to come to rest: the longest wait in it is a silent attempt's deadline of eleven minutes."""
GATES = 2000
LIFE = 73 * 3600.0


class Ending:
    def __init__(self, system: System, callers: Callers) -> None:
        self.system = system
        self.callers = callers

    def reach(self) -> None:
        self.end_faults()
        self.come_to_rest()
        self.check_jobs()
        self.outlive()

    def end_faults(self) -> None:
        for name in list(self.system.down):
            self.system.set_down(name, is_down=False)
        for each in self.system.processes:
            each.is_frozen = False
        self.system.js.full.clear()
        self.system.outcome = Outcome.WELL

    def come_to_rest(self) -> None:
        for _ in range(ROUNDS):
            self.run()
            if self.is_at_rest:
                return
            self.system.pass_time(31)
            self.callers.reconcile()
            self.callers.rescue()
        self.promise(False, f"not at rest: {self.state()}")

    @property
    def is_at_rest(self) -> bool:
        return self.system.is_all_over and not (self.system.actors or self.system.js.work or self.system.js.streams[ADVISORIES].messages)

    def state(self) -> object:
        jobs = [(job.status, job.stage, job.run) for job in self.system.ledger.jobs.values()]
        actors = [(actor.name, [gate.label for gate in actor.gates]) for actor in self.system.actors]
        return jobs, actors, [(m.subject, m.deliveries, m.is_given_up) for m in self.system.js.work.values()]

    def run(self) -> None:
        """Deliver what is due, and open every gate, until only time can change anything."""
        for _ in range(GATES):
            for message in self.system.js.due():
                self.system.deliver(message, self.system.workers[message.sequence % len(self.system.workers)])
            if not (movable := self.system.movable):
                return
            for actor in movable:
                for gate in list(actor.gates):
                    self.system.open(actor, gate, Passage.GO)
        self.promise(False, f"no end of it: {self.state()}")

    def check_jobs(self) -> None:
        lettered = [message.body for message in self.system.letters()]
        for job_id, job in self.system.ledger.jobs.items():
            stored = fold(at_once(self.system.memory.history(job_id)))
            self.promise(stored.status == job.status, f"the stored job is {stored.status}, and was {job.status}")
            self.promise(job.status in {"done", "failed", "cancelled", "expired"}, f"a job is {job.status} in the end")
            if job.status == "done":
                self.promise(named_objects(job) <= self.system.ledger.objects, "a done job has lost an object")
            if job.status == "failed":
                self.promise(any(str(job_id).encode() in body for body in lettered), "a failed job has no dead letter")

    def outlive(self) -> None:
        """After their time, and as long again, nothing of the jobs is left, but of deleted ones what a worker wrote later and died."""
        for _ in range(2):
            self.system.pass_time(LIFE)
            self.callers.clean_up()
            self.run()
        orphaned = [key for key in sorted(self.system.ledger.objects) if UUID(key.split("/")[1]) not in self.callers.deleted]
        self.promise(not orphaned, f"orphaned objects: {orphaned}")
        self.promise(not self.system.memory.rows, f"orphaned rows: {[type(row.event).__name__ for row in self.system.memory.rows]}")

    def promise(self, kept: object, text: str) -> None:
        self.system.ledger.promise(kept, text)
