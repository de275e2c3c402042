"""All that can go wrong, as exceptions of one family: ClipstreamError. What the server said is in their fields. Pure."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from clipstream.models import Job

UNREACHABLE = "UNREACHABLE"
"""The code of an answer that never came, or came from something in between: whether the server acted is not known."""


class ClipstreamError(Exception):
    """`code` says what is wrong, `message` says it to a person, `hint` what to do about it; `retryable` whether the same can succeed later.

    `status` is HTTP's, None where there was no answer; `correlation_id` finds the request in the server's logs; `field` is the wrong one.
    `retry_after`: the seconds that the server asked to wait.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        hint: str = "",
        retryable: bool = False,
        status: int | None = None,
        correlation_id: str | None = None,
        field: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(f"{message} ({code})" + (f". {hint}" if hint else ""))
        self.code = code
        self.message = message
        self.hint = hint
        self.retryable = retryable
        self.status = status
        self.correlation_id = correlation_id
        self.field = field
        self.retry_after = retry_after

    def __reduce__(self) -> tuple[Any, ...]:
        """So that it comes out of another process as it was: an error that can't breaks the whole pool of them."""
        return _again, (type(self), str(self), self.__dict__)


def _again(kind: type[ClipstreamError], said: str, fields: dict[str, Any]) -> ClipstreamError:
    error = kind.__new__(kind, said)
    error.__dict__.update(fields)
    return error


class BadRequest(ClipstreamError):
    """What was asked for is not right: `field` names it."""


class Unauthorized(ClipstreamError):
    """There is no key, or not a good one."""


class Forbidden(ClipstreamError):
    """The key may not do this, or the source may not be used."""


class NotFound(ClipstreamError):
    """There is no such thing, or not for this key."""


class Conflict(ClipstreamError):
    """It can't be done as things stand."""


class Gone(ClipstreamError):
    """It was there, and has been deleted."""


class TooLarge(ClipstreamError):
    """More than the server takes."""


class Unprocessable(ClipstreamError):
    """The source can't be read, or the range lies outside it."""


class RateLimited(ClipstreamError):
    """Too many requests, or too many jobs under way; `retry_after` says how long to wait."""


class Unavailable(ClipstreamError):
    """The server is full, away, or can't be reached."""


class JobFailed(ClipstreamError):
    """The job ended without a clip; `job.error` says why."""

    def __init__(self, job: "Job") -> None:
        told = job.error
        code, message, hint = (told.code, told.message, told.hint) if told else ("INTERNAL", "the job failed", "")
        super().__init__(code, message, hint=hint, correlation_id=job.correlation_id)
        self.job = job


class JobCancelled(ClipstreamError):
    """Somebody cancelled the job."""

    def __init__(self, job: "Job") -> None:
        super().__init__("CANCELLED", "the job was cancelled", hint="Create it again if it is wanted.", correlation_id=job.correlation_id)
        self.job = job


class WaitTimeout(ClipstreamError):
    """The time to wait was up before the job was over. The job goes on."""

    def __init__(self, job_id: str, seconds: float) -> None:
        message = f"the job was not over after {seconds:g} s"
        super().__init__("WAIT_TIMEOUT", message, hint="It goes on: wait again, or cancel it.", retryable=True)
        self.job_id = job_id


class WebhookRefused(ClipstreamError):
    """What came in is no webhook of ours, or too old to be believed: answer it with 401."""

    def __init__(self, message: str) -> None:
        super().__init__("WEBHOOK_REFUSED", message, hint="Check the signing secret and this machine's clock.")


BY_STATUS: dict[int, type[ClipstreamError]] = {
    400: BadRequest,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: Gone,
    413: TooLarge,
    422: Unprocessable,
    429: RateLimited,
    502: Unavailable,
    503: Unavailable,
    504: Unavailable,
}
