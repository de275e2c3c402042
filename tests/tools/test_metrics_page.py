"""docs/metrics.md is the code's, and says what each label may be."""

import pytest

from libs.common.domain.version import VERSION
from tools import metrics_page
from tools.metrics_page import LABELS, Documented, documented
from tools.setup import ROOT


@pytest.fixture(scope="module")
def known() -> dict[str, Documented]:
    return documented()


def test_the_page_is_the_code_s(known: dict[str, Documented]) -> None:
    assert metrics_page.PAGE.read_text() == metrics_page.page(known.values()), "run `make metrics-page`"


def test_every_label_has_its_line_and_no_line_is_of_none(known: dict[str, Documented]) -> None:
    assert set(LABELS) == {label for metric in known.values() for label in metric.labels} | {"le"}


def test_every_metric_of_ours_says_what_it_means(known: dict[str, Documented]) -> None:
    assert [
        name for name, metric in known.items() if name.startswith("clip_") and (len(metric.help) < 15 or metric.help.endswith("."))
    ] == []
    assert known["clip_canary_up"].services == ("janitor",)
    assert known["clip_job_seconds"].series == ("clip_job_seconds_bucket", "clip_job_seconds_count", "clip_job_seconds_sum")
    assert (known["clip_upload_bytes_total"].unit, known["clip_upload_seconds"].unit) == ("bytes", "seconds")


def test_the_version_that_metrics_tell_is_the_project_s() -> None:
    assert f'\nversion = "{VERSION}"\n' in (ROOT / "pyproject.toml").read_text()
