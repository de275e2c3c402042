"""Running the simulation: in `make test` with fixed choices, from `make chaos` with a seed and as long as one likes."""

import logging
from collections import Counter

import structlog
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.runtime.simulation.machine import SystemUnderFaults

STEPS = 60
Counts = Counter[str]


def simulate(examples: int, seed_of_choices: int | None = None, *, steps: int = STEPS) -> Counts:
    """Play that many stories and count what happened in them; without a seed always the same ones.

    Raises AssertionError with the promise that broke, after Hypothesis has printed the shortest story that breaks it.
    """
    counts: Counts = Counter()
    machine = type("Story", (SystemUnderFaults,), {"counts": counts})
    how = settings(
        max_examples=examples,
        stateful_step_count=steps,
        derandomize=seed_of_choices is None,
        database=None,
        deadline=None,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate, Phase.shrink],
    )
    with silence():
        run_state_machine_as_test(seed(seed_of_choices)(machine) if seed_of_choices is not None else machine, settings=how)
    return counts


class silence:  # noqa: N801  reads as the phrase that it is
    """What the services would log of all these faults is of no interest."""

    def __enter__(self) -> None:
        self.before = structlog.get_config()
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL), cache_logger_on_first_use=False)

    def __exit__(self, *_: object) -> None:
        structlog.configure(**self.before)
