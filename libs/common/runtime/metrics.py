"""The Prometheus metrics that every service shares, in base units, with few labels. Those of a library or stage lie beside their code."""

import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from prometheus_client import REGISTRY, Counter, Gauge, Histogram, Metric, disable_created_metrics
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from libs.common.domain.failures import Code, Failure
from libs.common.runtime import tracing

disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each, of which nobody asks anything

SECONDS = (0.001, 0.005, 0.02, 0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
JOB_BUCKETS = (0.1, 0.25, 0.5, 1, 2, 3, 5, 10, 20, 30, 60, 90, 120, 300, 600, 1800)

BUILD = Gauge("clip_build_info", "1; the labels say which service this is, and in which version", ["service", "version"])
EVENTS_WRITTEN = Counter("clip_events_total", "Events that this process wrote, by type", ["type"])
STAGE_SECONDS = Histogram("clip_stage_seconds", "Time from a stage's start to its verdict", ["stage", "verdict"], buckets=SECONDS)
STAGE_WAIT_SECONDS = Histogram(
    "clip_stage_wait_seconds", "Time from an event to the start of the stage it is for", ["stage"], buckets=SECONDS
)
STAGE_IN_FLIGHT = Gauge("clip_stage_in_flight", "Messages that this process works on", ["stage"])
RETRIES = Counter("clip_retries_total", "Attempts that ended in another try", ["stage", "code"])
DEAD_LETTERS = Counter("clip_dead_letters_total", "Messages copied to the dead letters", ["stage", "code"])
JOBS_FINISHED = Counter("clip_jobs_finished_total", "Runs of jobs that came to their end, by outcome", ["outcome"])
JOB_SECONDS = Histogram(
    "clip_job_seconds",
    "Time of a job's run: from its request, or from the replay or edit that began it, to its end",
    ["outcome", "subtitles", "priority"],
    buckets=JOB_BUCKETS,
)
DEPENDENCY_SECONDS = Histogram(
    "clip_dependency_seconds", "Time of calls to what we depend on", ["dependency", "operation"], buckets=SECONDS
)
DEPENDENCY_ERRORS = Counter("clip_dependency_errors_total", "Failed calls to what we depend on", ["dependency", "operation"])
DEPENDENCY_UP = Gauge("clip_dependency_up", "1 while the dependency answers", ["dependency"])


class ChildrenCpu(Collector):
    """The programs that do the work (ffmpeg, a fetch) are not in process_cpu_seconds_total; a warm one counts when it ends."""

    def collect(self) -> Iterator[Metric]:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = used.ru_utime + used.ru_stime
        yield CounterMetricFamily("clip_children_cpu_seconds", "CPU time, user and system, of child processes that have ended", cpu)


REGISTRY.register(ChildrenCpu())


_seconds_of = cache(DEPENDENCY_SECONDS.labels)
"""Dependencies and operations are few, and finding a metric by them costs more than counting."""


@contextmanager
def measured(dependency: str, operation: str) -> Iterator[None]:
    """Count and time one call to a dependency; in a trace, it is a span."""
    began = time.perf_counter()
    try:
        with tracing.call(dependency, operation):
            yield
    except Exception as error:
        if not isinstance(error, Failure) or error.retryable or error.code is Code.INTERNAL:  # "there is none" is an answer
            DEPENDENCY_ERRORS.labels(dependency, operation).inc()
        raise
    finally:
        _seconds_of(dependency, operation).observe(time.perf_counter() - began)
