"""What a clean-up says of itself, in words and as data."""

from datetime import UTC, datetime, timedelta

import pytest

from services.janitor.report import Report, size_in_words

THEN = datetime(2026, 11, 18, 9, 30, tzinfo=UTC)


def test_a_report_counts_by_kind_and_names_the_oldest_and_a_few() -> None:
    report = Report()
    for n in range(1200):
        report.note("jobs", f"job-{n}", size=1024, at=THEN + timedelta(hours=n % 7))
    report.note("last traces", "job-x")
    report.more["jobs"] = 5000
    report.left["jobs at work"] += 2
    assert report.lines() == [
        "1,200 jobs, 1.2 MiB, oldest of 2026-11-18 09:30:00 UTC",
        "  such as job-0, job-1, job-2",
        "1 last traces",
        "  such as job-x",
        "5,000 more jobs, not looked at one by one",
        "2 jobs at work",
    ]
    assert report.as_data() == {
        "jobs": {"count": 1200, "bytes": 1200 * 1024, "oldest": THEN.isoformat(), "samples": ["job-0", "job-1", "job-2"]},
        "last traces": {"count": 1, "bytes": 0, "oldest": None, "samples": ["job-x"]},
        "more": {"jobs": 5000},
        "left": {"jobs at work": 2},
    }
    assert (report.counts, report.total) == ({"jobs": 1200, "last traces": 1}, 6201)


def test_nothing_is_nothing() -> None:
    assert (Report().lines(), Report().as_data(), Report().total) == ([], {}, 0)


@pytest.mark.parametrize(
    ("size", "words"), [(0, "0 bytes"), (1023, "1023 bytes"), (1536, "1.5 KiB"), (2**30, "1.0 GiB"), (2**52, "4096.0 TiB")]
)
def test_sizes_are_told_in_the_unit_that_fits(size: int, words: str) -> None:
    assert size_in_words(size) == words
