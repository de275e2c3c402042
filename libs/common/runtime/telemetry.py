"""Logs and metrics: JSON lines on stdout, one an event, and the Prometheus metrics that every service shares.

Secrets and signed URLs are redacted here, whatever module logged them. Metrics of one library or stage live beside their code.
"""

import logging
import re
import sys
import time
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from functools import cache
from typing import Any

import msgspec
import structlog
from prometheus_client import Counter, Gauge, Histogram

SECONDS = (0.001, 0.005, 0.02, 0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)

EVENTS_WRITTEN = Counter("clip_events_total", "Events that this process wrote, by type", ["type"])
STAGE_SECONDS = Histogram("clip_stage_seconds", "Time from a stage's start to its verdict", ["stage", "verdict"], buckets=SECONDS)
STAGE_WAIT_SECONDS = Histogram(
    "clip_stage_wait_seconds", "Time from an event to the start of the stage it is for", ["stage"], buckets=SECONDS
)
STAGE_IN_FLIGHT = Gauge("clip_stage_in_flight", "Messages that this process works on", ["stage"])
RETRIES = Counter("clip_retries_total", "Attempts that ended in another try", ["stage", "code"])
DEAD_LETTERS = Counter("clip_dead_letters_total", "Messages copied to the dead letters", ["stage", "code"])
JOBS_FINISHED = Counter("clip_jobs_finished_total", "Jobs that came to their end, by outcome", ["outcome"])
JOB_SECONDS = Histogram("clip_job_seconds", "Time from request to end of a job", ["outcome"], buckets=SECONDS)
DEPENDENCY_SECONDS = Histogram(
    "clip_dependency_seconds", "Time of calls to what we depend on", ["dependency", "operation"], buckets=SECONDS
)
DEPENDENCY_ERRORS = Counter("clip_dependency_errors_total", "Failed calls to what we depend on", ["dependency", "operation"])
DEPENDENCY_UP = Gauge("clip_dependency_up", "1 while the dependency answers", ["dependency"])


_seconds_of = cache(DEPENDENCY_SECONDS.labels)
"""Dependencies and operations are few, and finding a metric by them costs more than counting."""


@contextmanager
def measured(dependency: str, operation: str) -> Iterator[None]:
    """Count and time one call to a dependency."""
    began = time.perf_counter()
    try:
        yield
    except Exception:
        DEPENDENCY_ERRORS.labels(dependency, operation).inc()
        raise
    finally:
        _seconds_of(dependency, operation).observe(time.perf_counter() - began)


_SECRETS = re.compile(
    r"(?P<before>://[^/\s:@]*:)[^@/\s]+(?=@)"  # the password of a URL
    r"|(?P<query>[?&](?:X-Amz-(?:Signature|Credential|Security-Token)|AWSAccessKeyId|Signature|token|key)=)[^&\s\"']+"
    r"|(?P<bearer>\b(?:Bearer|Basic)\s+)[\w.~+/=-]+"
    r"|\b(?:gsk_|whsec_|ck_[0-9a-f-]{8,}_)[\w-]+",
    re.IGNORECASE,
)


def redacted(text: str) -> str:
    """The text with passwords of URLs, signatures, bearer tokens and keys replaced by ***."""
    return _SECRETS.sub(lambda m: f"{m['before'] or m['query'] or m['bearer'] or ''}***", text)


_MAY_HOLD_SECRETS = re.compile(r"[?&\s]|//|[kKcC]_")
"""What every text has in which `_SECRETS` finds something: most have not."""


def _redact(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for key, value in event.items():
        if isinstance(value, str) and _MAY_HOLD_SECRETS.search(value):
            event[key] = redacted(value)
    return event


class _Lines(structlog.BytesLogger):
    """Writes lines as they are, at once. Its name is the module's."""

    def __init__(self, name: str = "") -> None:
        super().__init__(sys.stdout.buffer)
        self.name = name


def _line(_logger: object, _method: str, event: MutableMapping[str, Any]) -> bytes:
    return msgspec.json.encode(event, enc_hook=repr)


def _json(event: object, **_: object) -> str:
    return msgspec.json.encode(event, enc_hook=repr).decode()


def set_up_logs(service: str, level: str) -> None:
    """Everything that this process logs, ours and the libraries', as JSON lines on stdout.

    Ours go past the standard library, which costs a line more than all the rest.
    """
    common: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    theirs: list[Any] = [structlog.stdlib.add_logger_name, structlog.stdlib.ExtraAdder()]
    remove_meta = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*theirs, *common], processors=[remove_meta, _redact, structlog.processors.JSONRenderer(serializer=_json)]
        )
    )
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for noisy in ("botocore", "aiobotocore", "boto3", "httpx", "httpcore", "nats", "aiohttp.access", "faster_whisper"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, logging.getLevelName(level)))
    structlog.configure(
        processors=[structlog.stdlib.add_logger_name, *common, _redact, _line],
        logger_factory=_Lines,
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level)),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(service=service)


def logger(name: str) -> Any:
    """A logger whose keyword arguments become fields of the line."""
    return structlog.get_logger(name)
