"""The table of `make chaos`: what a row counts, and what makes it not exact."""

from uuid import uuid4

from libs.common.domain.events import StageName
from libs.common.domain.job import Job, fold
from tests.builders import envelope, requested, started
from tests.chaos.checker import Finding, Problem
from tests.chaos.table import Case, TableRow, rows_of, table

JOB, OTHER = uuid4(), uuid4()


def row(**fields: object) -> TableRow:
    given = {"fault": "kill -9", "times": 1, "jobs": 10, "counts": (0, 0, 0, 0), "recoveries": [2.0], "bound": 10.0}
    return TableRow(**given | fields)  # type: ignore[arg-type]


def test_a_problem_counts_in_the_row_of_its_job_and_any_other_in_that_of_the_whole() -> None:
    problems = (Problem("stuck", JOB, ""), Problem("lost", OTHER, ""), Problem("orphan", None, ""))
    made = rows_of([Case("one", times=3, jobs={JOB})], Finding({JOB: Job(), OTHER: Job()}, problems), "the rest")
    assert [(each.fault, each.jobs, each.counts) for each in made] == [("one", 1, (0, 0, 1, 0)), ("the rest", 1, (1, 0, 0, 1))]


def test_a_charge_is_wrong_only_where_none_may_be() -> None:
    history = [envelope(requested(), JOB), *[envelope(started(StageName.RESOLVER), JOB)] * 2]
    finding = Finding({JOB: fold(history)}, ())
    for uncharged in (False, True):
        [made] = rows_of([Case("one", jobs={JOB}, uncharged=uncharged)], finding, "")
        assert (made.charged, made.is_exact) == (1, not uncharged)


def test_a_row_is_exact_when_nothing_was_counted_nor_broken_nor_late() -> None:
    assert row().is_exact
    assert not row(counts=(0, 0, 0, 1)).is_exact
    assert not row(broken=["exit code 1"]).is_exact
    assert not row(recoveries=[2.0, 10.1]).is_exact


def test_the_table_marks_what_was_not_exact_and_says_why() -> None:
    drawn = table([row(), row(fault="SIGTERM", broken=["exit code 1"])]).splitlines()
    assert ["<- not exact" in line for line in drawn] == [False, False, True, False]
    assert drawn[-1] == "  SIGTERM: exit code 1"
