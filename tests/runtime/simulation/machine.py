"""The rules by which Hypothesis drives the system: who goes on, what breaks, and what operators and clients do meanwhile."""

import tempfile
from collections import Counter
from pathlib import Path
from typing import Any, ClassVar
from uuid import UUID

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from libs.common.domain.events import Priority
from tests.runtime.simulation.callers import Callers
from tests.runtime.simulation.ending import Ending
from tests.runtime.simulation.gates import Actor, Passage
from tests.runtime.simulation.handling import Outcome
from tests.runtime.simulation.system import WORKERS, System

JOBS = 3
WISHES: list[dict[str, bool]] = [{}, {"with_subtitles": True}, {"with_subtitles": True, "burn_subtitles": True}]
any_one = st.integers(0, 11)
"""Chooses among however many there are."""
worker = st.integers(0, WORKERS - 1)
outcomes = st.sampled_from([*[Outcome.WELL] * 6, *Outcome, Outcome.FATAL, Outcome.FATAL])
ENDINGS = st.sampled_from(["lost", "", "crash", "refused", "crash unheard", "stop"])
"""How a delivery's work is broken off at the gate that it has come to."""
DISTURBANCES = ("freeze", "freeze", "outage", "outage", "window", "twice", "twice", "full")
OPERATIONS = ("old body", "old body", "cancel", "expire", "edit", "edit", "edit and cancel")


class SystemUnderFaults(RuleBasedStateMachine):
    counts: ClassVar[Counter[str]] = Counter()

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory(prefix="simulation-")
        self.system = System(Path(self.folder.name))
        self.callers = Callers(self.system)
        self.submitted = 0

    def teardown(self) -> None:
        try:
            if not self.system.ledger.broken:
                Ending(self.system, self.callers).reach()
                self.nothing_is_broken()
            self.counts["stories"] += 1
            self.counts["jobs"] += len(self.system.jobs)
            self.counts["handler calls"] += self.system.handlers.calls
        finally:
            self.system.close()
            self.folder.cleanup()

    @invariant()
    def nothing_is_broken(self) -> None:
        assert not self.system.ledger.broken, self.system.ledger.broken

    # Who goes on.

    @initialize(wish=st.sampled_from(WISHES), lane=st.sampled_from(Priority), gates=st.integers(0, 3))
    def begin(self, wish: dict[str, Any], lane: Priority, gates: int) -> None:
        self.submit(wish, lane, gates)

    @precondition(lambda self: self.submitted < JOBS)
    @rule(wish=st.sampled_from(WISHES), lane=st.sampled_from(Priority), gates=st.integers(0, 3))
    def submit(self, wish: dict[str, Any], lane: Priority, gates: int) -> None:
        self.submitted += 1
        self.callers.submit(UUID(int=self.submitted), lane, **wish)
        self._open(-1, gates, 0, Outcome.WELL)
        self.counts["submit"] += 1

    @precondition(lambda self: self.system.is_deliverable)
    @rule(which=any_one, to=worker, gates=st.integers(0, 7), outcome=outcomes, then=ENDINGS)
    def deliver(self, which: int, to: int, gates: int, outcome: Outcome, then: str) -> None:
        awake = chosen([worker for worker in self.system.workers if not worker.is_frozen], to)
        self.system.deliver(chosen(self.system.js.due(), which), awake)
        self._open_of(awake.actors[-1:], gates, 0, outcome)
        self.counts["deliver"] += 1
        if awake.actors and awake.actors[-1].gates:
            self._break(awake.actors[-1], then)

    @precondition(lambda self: self.system.is_deliverable)
    @rule(which=any_one, to=worker, outcome=outcomes)
    def deliver_and_see_it_through(self, which: int, to: int, outcome: Outcome) -> None:
        self.deliver(which, to, 12, outcome, "")

    @precondition(lambda self: self.system.movable)
    @rule(who=any_one, gates=st.integers(1, 12), gate=st.integers(0, 2), outcome=outcomes)
    def go_on(self, who: int, gates: int, gate: int, outcome: Outcome) -> None:
        self._open(who, gates, gate, outcome)
        self.counts["go on"] += 1

    @precondition(lambda self: self.system.movable)
    @rule(who=any_one, outcome=outcomes)
    def go_one_step(self, who: int, outcome: Outcome) -> None:
        self.go_on(who, 1, 0, outcome)

    def _open(self, who: int, gates: int, which: int, outcome: Outcome) -> None:
        movable = self.system.movable
        self._open_of(movable[-1:] if who < 0 else [chosen(movable, who)], gates, which, outcome)

    def _open_of(self, actors: list[Actor], gates: int, which: int, outcome: Outcome) -> None:
        self.system.outcome = outcome
        for actor in actors:
            for _ in range(gates):
                if actor.gates:
                    self.system.open(actor, chosen(actor.gates, which), Passage.GO)
        self.system.outcome = Outcome.WELL

    def _break(self, actor: Actor, how: str) -> None:
        """Right here, at the gate that it has come to."""
        match how:
            case "lost" | "refused" if actor.gates[0].dependency:
                self.system.open(actor, actor.gates[0], Passage[how.upper()])
            case "crash" | "crash unheard":
                if how == "crash unheard":
                    self.system.apply_unheard(actor.process)
                self.system.crash(actor.process)
            case "stop":
                self.system.stop(actor.process)
            case _:
                return
        self.counts[how] += 1

    @precondition(lambda self: self.system.actors or self.system.js.work)
    @rule(seconds=st.sampled_from([0.7, 3.0, 11.0, 31.0, 31.0, 65.0, 700.0]))
    def time_passes(self, seconds: float) -> None:
        self.system.pass_time(seconds)
        self.counts["time passes"] += 1

    # What breaks.

    @precondition(lambda self: self.system.movable)
    @rule(who=any_one, gate=st.integers(0, 2), passage=st.sampled_from([Passage.REFUSED, Passage.LOST, Passage.LOST]))
    def answer_is_lost(self, who: int, gate: int, passage: Passage) -> None:
        actor = chosen(self.system.movable, who)
        lost = chosen(actor.gates, gate)
        if lost.dependency:
            self.system.open(actor, lost, passage)
            self.counts[f"{lost.dependency} {passage.name.lower()}"] += 1

    @precondition(lambda self: self.system.actors)
    @rule(who=any_one, applied=st.booleans())
    def crash(self, who: int, applied: bool) -> None:
        dying = chosen(self.system.actors, who).process
        if applied:
            self.system.apply_unheard(dying)
        self.system.crash(dying)
        self.counts["crash"] += 1

    @precondition(lambda self: self.system.is_working)
    @rule(which=worker, applied=st.booleans())
    def stop(self, which: int, applied: bool) -> None:
        if applied:
            self.system.apply_unheard(self.system.workers[which])
        self.system.stop(self.system.workers[which])
        self.counts["stop"] += 1

    @precondition(lambda self: self.system.actors or self.system.js.work)
    @rule(kind=st.sampled_from(DISTURBANCES), which=any_one)
    def disturb(self, kind: str, which: int) -> None:
        match kind:
            case "freeze":
                self.system.freeze_or_thaw(which)
            case "outage":
                self.system.begin_or_end_outage(which)
            case "full":
                self.system.fill_or_empty(which)
            case "window":
                self.system.js.end_duplicate_window()
            case _ if self.system.js.work:
                self.callers.publish_twice(chosen(list(self.system.js.work.values()), which))
        self.counts[kind] += 1

    # What operators, clients and the janitor do.

    @precondition(lambda self: self.system.jobs)
    @rule(kind=st.sampled_from(OPERATIONS), which=any_one, row=any_one)
    def operate(self, kind: str, which: int, row: int) -> None:
        job_id = chosen(self.system.jobs, which)
        match kind:
            case "old body":
                self.callers.publish_by_hand(chosen(self.callers.bodies(job_id), row))
            case "edit":
                self.callers.edit(job_id, row % 2)
            case "edit and cancel":
                self.callers.edit(job_id, row % 2)
                self._open(-1, 3, 0, Outcome.WELL)
                self.callers.cancel(job_id)
                self._open(-1, 1, 0, Outcome.WELL)
            case "cancel" if row < 4:
                self.callers.cancel(job_id)
            case "expire" if row < 2 and self.system.ledger.jobs[job_id].status != "expired":
                self.callers.expire(job_id)
            case _:
                return
        self.counts[kind] += 1

    @precondition(lambda self: self.system.letters())
    @rule(which=any_one, by_hand=st.booleans(), gates=st.integers(0, 6))
    def replay(self, which: int, by_hand: bool, gates: int) -> None:
        letter = chosen(self.system.letters(), which)
        if by_hand:
            self.callers.publish_by_hand(letter.body)
        else:
            self.callers.replay(letter.sequence)
            self._open(-1, gates, 0, Outcome.WELL)
        self.counts["replay by hand" if by_hand else "replay"] += 1

    @precondition(lambda self: not (self.system.jobs and self.system.is_all_over))
    @rule()
    def sweep(self) -> None:
        self.system.js.due()
        self.callers.reconcile()
        self.callers.rescue()
        self.counts["sweep"] += 1


def chosen(from_: list[Any], which: int) -> Any:
    return from_[which % len(from_)]
