"""Errors as clients see them: the only place where a code has an HTTP status, and where an exception becomes an answer."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any

from litestar import Request, Response
from litestar.exceptions import HTTPException
from msgspec import UNSET, Meta, Struct, UnsetType
from prometheus_client import Counter

from libs.common.domain.failures import Code, Failure, classify
from libs.common.runtime.logs import logger
from services.api.caller import correlation_of
from services.api.requests import Refused

log = logger(__name__)
HTTP_PROBLEMS = Counter("clip_http_problems_total", "Answers that are no success, by the error's code", ["code"])

STATUS: dict[Code, int] = {
    Code.VALIDATION_FAILED: 400,
    Code.CLIP_TOO_LONG: 400,
    Code.BAD_REQUEST: 400,
    Code.UNAUTHORIZED: 401,
    Code.FORBIDDEN: 403,
    Code.SOURCE_FORBIDDEN: 403,
    Code.SSRF_BLOCKED: 403,
    Code.YTDLP_DISABLED: 403,
    Code.NOT_FOUND: 404,
    Code.NOT_READY: 404,
    Code.METHOD_NOT_ALLOWED: 405,
    Code.CONFLICT: 409,
    Code.INVALID_STATE: 409,
    Code.GONE: 410,
    Code.INPUT_TOO_LARGE: 413,
    Code.IDEMPOTENCY_KEY_REUSED: 422,
    Code.SOURCE_UNREADABLE: 422,
    Code.RANGE_OUTSIDE_SOURCE: 422,
    Code.OUTPUT_VERIFICATION_FAILED: 422,
    Code.RETRIES_EXHAUSTED: 422,
    Code.RATE_LIMITED: 429,
    Code.TOO_MANY_ACTIVE_JOBS: 429,
    Code.INTERNAL: 500,
    Code.BACKPRESSURE: 503,
    Code.STORAGE_UNAVAILABLE: 503,
    Code.RETRYABLE_ERROR: 503,
}
"""Spec section 4."""

RETRY_AFTER = 2
"""Seconds that we ask for when the failure doesn't say."""


class Details(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    retryable: Annotated[bool | UnsetType, Meta(description="Whether the same request can succeed later.")] = UNSET
    hint: Annotated[str | UnsetType, Meta(description="What to do about it.")] = UNSET
    field: Annotated[str | UnsetType, Meta(description="The field of the request that is wrong.")] = UNSET
    job_correlation_id: Annotated[str | UnsetType, Meta(description="For a failed job: the id that its logs carry.")] = UNSET


class Error(Struct, frozen=True, kw_only=True, rename="camel"):
    code: Code
    message: str
    correlation_id: Annotated[str, Meta(description="This request's id, also in x-correlation-id.")]
    details: Details


class ErrorAnswer(Struct, frozen=True):
    """The body of every answer that is no success."""

    error: Error


def error_answer(failure: Failure, correlation_id: str, job_correlation_id: str | UnsetType = UNSET) -> ErrorAnswer:
    field = failure.field if isinstance(failure, Refused) else None
    details = Details(
        retryable=_can_help(failure.code),
        hint=failure.hint,
        field=field or UNSET,
        job_correlation_id=job_correlation_id,
    )
    return ErrorAnswer(Error(code=failure.code, message=failure.message, correlation_id=correlation_id, details=details))


def _can_help(code: Code) -> bool:
    """Asking again helps with all that is retryable, with a result that is not there yet, and with an answer that is on its way."""
    return Failure(code, "").retryable or code in {Code.NOT_READY, Code.CONFLICT}


def headers_for(failure: Failure) -> dict[str, str]:
    if failure.code is Code.UNAUTHORIZED:
        return {"www-authenticate": "Bearer"}  # RFC 9110 section 11.6.1
    if not _can_help(failure.code):
        return {}
    return {"retry-after": str(max(1, round(failure.retry_after or RETRY_AFTER)))}


def refusal(
    request: Request[Any, Any, Any],
    failure: Failure,
    *,
    headers: Mapping[str, str] | None = None,
    job_correlation_id: str | UnsetType = UNSET,
) -> Response[ErrorAnswer]:
    if not request.scope["state"].get("gone"):  # the log and the metrics of requests have it as 499
        HTTP_PROBLEMS.labels(failure.code).inc()
    answer = error_answer(failure, correlation_of(request), job_correlation_id)
    return Response(answer, status_code=STATUS[failure.code], headers={**headers_for(failure), **(headers or {})})


def on_failure(request: Request[Any, Any, Any], failure: Failure) -> Response[ErrorAnswer]:
    if failure.outage:
        log.warning("a dependency is away", dependency=failure.outage, error=failure.message)
    return refusal(request, failure)


def on_http_exception(request: Request[Any, Any, Any], error: HTTPException) -> Response[ErrorAnswer]:
    """The framework's own refusals; a 405 keeps its Allow header."""
    if error.status_code >= STATUS[Code.INTERNAL]:
        return on_unexpected(request, error)
    failure = _FRAMEWORK.get(error.status_code, Failure(Code.BAD_REQUEST, "the request can't be read"))
    return refusal(request, failure, headers=error.headers)


_FRAMEWORK: dict[int, Failure] = {
    404: Failure(Code.NOT_FOUND, "there is nothing at this path"),
    405: Failure(Code.METHOD_NOT_ALLOWED, "this path does not take that method"),
    413: Failure(Code.INPUT_TOO_LARGE, "the request's body is too large"),
}


def on_unexpected(request: Request[Any, Any, Any], error: Exception) -> Response[ErrorAnswer]:
    """Its details stay in the log. A client that left in the middle of its request is no error of ours."""
    if not request.scope["state"].get("gone"):
        log.error("unexpected error", exc_info=error)
    return refusal(request, classify(error))


Handler = Callable[[Request[Any, Any, Any], Any], Response[ErrorAnswer]]
HANDLERS: dict[int | type[Exception], Handler] = {Failure: on_failure, HTTPException: on_http_exception, Exception: on_unexpected}


def answer_to(request: Request[Any, Any, Any], error: Exception) -> Response[ErrorAnswer]:
    """Whatever was raised, by its handler."""
    if isinstance(error, Failure):
        return on_failure(request, error)
    return on_http_exception(request, error) if isinstance(error, HTTPException) else on_unexpected(request, error)
