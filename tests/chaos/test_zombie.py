"""Findings B8 row 7: a worker that sleeps beyond ack_wait has lost its work, and knows it soon after it wakes."""

from tests.chaos.zombies import zombies


async def test_a_worker_that_wakes_after_another_took_over_writes_nothing_and_stops(servers: dict[str, str]) -> None:
    """Four jobs in its hands: two that it would have gone on with, two that it answers at once."""
    counted = await zombies(4, seed=7, variables=servers)
    assert counted.is_exact
    assert (counted.jobs, counted.injected, counted.handled) == (4, 4, 8)
