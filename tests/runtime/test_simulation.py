"""Stages, intake and janitor under every interleaving of faults that Hypothesis comes upon: nothing lost, nothing done twice."""

from tests.runtime.simulation.running import simulate


def test_whatever_happens_each_job_ends_once_and_nothing_is_lost_or_done_twice() -> None:
    counts = simulate(150)
    assert counts["jobs"] > 150
    assert counts["crash"] > 150
