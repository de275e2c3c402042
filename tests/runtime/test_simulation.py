"""Stages, intake and janitor under every interleaving of faults that Hypothesis comes upon: nothing lost, nothing done twice."""

from tests.runtime.simulation.running import simulate

STORIES = 300


def test_whatever_happens_each_job_ends_once_and_nothing_is_lost_or_done_twice() -> None:
    counts = simulate(STORIES)
    assert counts["jobs"] > STORIES
    assert min(counts[fault] for fault in ("crash", "stop", "postgres lost", "nats lost", "replay", "replay by hand", "cancel")) > 0
