"""What every service counts: calls to what it depends on, and the CPU of its children."""

import asyncio
import re
import sys

import pytest
from prometheus_client import REGISTRY, generate_latest

from libs.common.domain.failures import Code, Failure
from libs.common.runtime.metrics import measured


def calls() -> float:
    return REGISTRY.get_sample_value("clip_dependency_seconds_count", {"dependency": "tests", "operation": "ask"}) or 0.0


def errors() -> float:
    return REGISTRY.get_sample_value("clip_dependency_errors_total", {"dependency": "tests", "operation": "ask"}) or 0.0


@pytest.mark.parametrize(
    ("error", "is_failed"),
    [
        (Failure(Code.STORAGE_UNAVAILABLE, "away", outage="s3"), True),
        (Failure(Code.RETRYABLE_ERROR, "away"), True),
        (Failure(Code.INTERNAL, "refused"), True),
        (Failure(Code.NOT_FOUND, "there is none"), False),
        (Failure(Code.SOURCE_FORBIDDEN, "asks for a login"), False),
        (OSError(), True),
    ],
    ids=["away", "retryable", "internal", "not-found", "forbidden", "unknown"],
)
async def test_every_call_is_timed_and_one_that_failed_is_an_error_but_a_no_is_an_answer(error: Exception, is_failed: bool) -> None:
    before = calls(), errors()
    with pytest.raises(type(error)), measured("tests", "ask"):
        raise error
    assert (calls(), errors()) == (before[0] + 1, before[1] + is_failed)


async def test_the_cpu_of_children_that_ended_is_counted() -> None:
    before = REGISTRY.get_sample_value("clip_children_cpu_seconds_total") or 0.0
    busy = "import time\nwhile time.process_time() < 0.2: pass"
    child = await asyncio.create_subprocess_exec(sys.executable, "-c", busy)
    assert await child.wait() == 0
    assert (REGISTRY.get_sample_value("clip_children_cpu_seconds_total") or 0.0) >= before + 0.2


def test_a_page_has_no_series_of_when_each_series_began() -> None:
    assert re.findall(rb"^\w+_created\b", generate_latest(), re.MULTILINE) == []
