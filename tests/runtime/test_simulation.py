"""Stages, intake and janitor under every interleaving of faults that Hypothesis comes upon: nothing lost, nothing done twice."""

from tests.runtime.simulation.running import simulate
from tests.thorough import IS_THOROUGH

STORIES = 300 if IS_THOROUGH else 150


def test_whatever_happens_each_job_ends_once_and_nothing_is_lost_or_done_twice() -> None:
    counts = simulate(STORIES)
    assert counts["jobs"] > STORIES
    assert min(counts[fault] for fault in ("crash", "stop", "postgres lost", "nats lost", "replay", "replay by hand", "cancel")) > 0
