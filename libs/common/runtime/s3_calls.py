"""What one S3 request may end in: the only file that knows botocore's and aiohttp's errors. Counts and times each request."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus

import aiohttp
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError, IncompleteReadError
from botocore.exceptions import ConnectionError as BotoConnectionError
from prometheus_client import Counter, Histogram

from libs.common.domain.failures import Code, Failure
from libs.common.runtime.logs import logger
from libs.common.runtime.metrics import SECONDS, measured

log = logger(__name__)

REQUESTS = Counter("clip_storage_requests_total", "Requests to S3, their repeats not counted", ["operation", "outcome"])
REQUEST_SECONDS = Histogram("clip_storage_request_seconds", "Time to S3's answer, repeats included", ["operation"], buckets=SECONDS)
BYTES = Counter("clip_storage_bytes_total", "Object bytes that went to S3 or came from it", ["direction"])

REPLACED = "the file was replaced while it was read"

_UNREACHABLE = (HTTPClientError, BotoConnectionError, IncompleteReadError, aiohttp.ClientError, OSError)  # TimeoutError is an OSError
_THROTTLED = frozenset({"SlowDown", "ServiceUnavailable", "RequestTimeout", "Throttling", "ThrottlingException", "TooManyRequests"})
_OUTCOMES = {Code.NOT_FOUND: "missing", Code.STORAGE_UNAVAILABLE: "unavailable", Code.RETRYABLE_ERROR: "replaced"}


@contextmanager
def calling(operation: str) -> Iterator[None]:
    """One request to S3, and nothing else: whatever goes wrong in it is S3's, and raised as a Failure."""
    began = time.perf_counter()
    with measured("s3", operation), reading(operation):
        yield
    REQUESTS.labels(operation, "ok").inc()
    REQUEST_SECONDS.labels(operation).observe(time.perf_counter() - began)


@contextmanager
def reading(operation: str) -> Iterator[None]:
    """A part of a request that is counted only when it fails, as reading the body of an answer is."""
    try:
        yield
    except (BotoCoreError, ClientError, aiohttp.ClientError, OSError) as error:
        failure = _failure(error, operation)
        REQUESTS.labels(operation, _OUTCOMES.get(failure.code, "refused")).inc()
        raise failure from error


def _failure(error: Exception, operation: str) -> Failure:
    match error:
        case ClientError():
            return _answered(error, operation)
        case BotoCoreError() if not isinstance(error, _UNREACHABLE):
            log.error("S3 request could not be made", operation=operation, error=str(error))
            return Failure(Code.INTERNAL, "the file store can't be used as it is configured")
        case _:
            return _unavailable("the file store can't be reached")


def _answered(error: ClientError, operation: str) -> Failure:
    """S3's own no. Its text stays in the log: it may name buckets and keys."""
    code = str(error.response.get("Error", {}).get("Code", ""))
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.TOO_MANY_REQUESTS or code in _THROTTLED:
        return _unavailable("the file store is overloaded or out of order")
    if status == HTTPStatus.NOT_FOUND:
        return Failure(Code.NOT_FOUND, "the file is not there")
    if status == HTTPStatus.PRECONDITION_FAILED or code == "InvalidPart":  # a part was put anew between our look and our word
        return Failure(Code.RETRYABLE_ERROR, REPLACED)
    log.error("S3 refused a request", operation=operation, status=status, code=code)
    return Failure(Code.INTERNAL, "the file store refused a request")


def _unavailable(message: str) -> Failure:
    return Failure(Code.STORAGE_UNAVAILABLE, message, outage="s3")
