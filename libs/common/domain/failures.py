"""One vocabulary for what goes wrong: its code, whether trying again can help, and what to do about it.

HTTP statuses live in services/api/problems.py; the codes are those of spec section 4.
"""

import errno
from enum import StrEnum
from typing import Literal

Dependency = Literal["postgres", "nats", "s3", "asr"]


class Code(StrEnum):
    VALIDATION_FAILED = "VALIDATION_FAILED"
    CLIP_TOO_LONG = "CLIP_TOO_LONG"
    BAD_REQUEST = "BAD_REQUEST"
    UNAUTHORIZED = "UNAUTHORIZED"
    FORBIDDEN = "FORBIDDEN"
    SOURCE_FORBIDDEN = "SOURCE_FORBIDDEN"
    SSRF_BLOCKED = "SSRF_BLOCKED"
    YTDLP_DISABLED = "YTDLP_DISABLED"
    NOT_FOUND = "NOT_FOUND"
    METHOD_NOT_ALLOWED = "METHOD_NOT_ALLOWED"
    NOT_READY = "NOT_READY"
    GONE = "GONE"
    CONFLICT = "CONFLICT"
    IDEMPOTENCY_KEY_REUSED = "IDEMPOTENCY_KEY_REUSED"
    INVALID_STATE = "INVALID_STATE"
    INPUT_TOO_LARGE = "INPUT_TOO_LARGE"
    SOURCE_UNREADABLE = "SOURCE_UNREADABLE"
    RANGE_OUTSIDE_SOURCE = "RANGE_OUTSIDE_SOURCE"
    OUTPUT_VERIFICATION_FAILED = "OUTPUT_VERIFICATION_FAILED"
    RETRIES_EXHAUSTED = "RETRIES_EXHAUSTED"
    RATE_LIMITED = "RATE_LIMITED"
    TOO_MANY_ACTIVE_JOBS = "TOO_MANY_ACTIVE_JOBS"
    BACKPRESSURE = "BACKPRESSURE"
    STORAGE_UNAVAILABLE = "STORAGE_UNAVAILABLE"
    RETRYABLE_ERROR = "RETRYABLE_ERROR"
    INTERNAL = "INTERNAL"


RETRYABLE = frozenset({Code.RATE_LIMITED, Code.TOO_MANY_ACTIVE_JOBS, Code.BACKPRESSURE, Code.STORAGE_UNAVAILABLE, Code.RETRYABLE_ERROR})

HINTS: dict[Code, str] = {
    Code.VALIDATION_FAILED: "Correct the named field and send the request again.",
    Code.CLIP_TOO_LONG: "Ask for a shorter range, or split it into several jobs.",
    Code.BAD_REQUEST: "Send the request as the API's schema at /schema describes it.",
    Code.UNAUTHORIZED: "Send a valid API key as 'Authorization: Bearer ck_…' or 'X-API-Key'.",
    Code.FORBIDDEN: "Use a key that has the scope for this call.",
    Code.SOURCE_FORBIDDEN: "Use a source that anybody may read, or upload the file.",
    Code.SSRF_BLOCKED: "Use an http or https URL that anybody on the internet can open, without a password or an unusual port.",
    Code.YTDLP_DISABLED: "This service takes uploads only; upload the file and use its uploadKey.",
    Code.NOT_FOUND: "Check the identifier.",
    Code.METHOD_NOT_ALLOWED: "Use one of the methods in the Allow header.",
    Code.NOT_READY: "Ask again when the job's status is done.",
    Code.GONE: "The job and its files were deleted at expiry; submit it again.",
    Code.CONFLICT: "Wait for the first request with this key to be answered.",
    Code.IDEMPOTENCY_KEY_REUSED: "Use a new Idempotency-Key for a new request; repeat a request exactly as it was.",
    Code.INVALID_STATE: "Read the job's status first.",
    Code.INPUT_TOO_LARGE: "Use a smaller or shorter source, or upload just the part that you need.",
    Code.SOURCE_UNREADABLE: "Check that the source plays, or upload it as MP4, MOV, MKV, WebM, AVI or MPEG-TS.",
    Code.RANGE_OUTSIDE_SOURCE: "Choose start and end inside the source's duration.",
    Code.OUTPUT_VERIFICATION_FAILED: "The source may be damaged at this range; re-encode it or choose another range.",
    Code.RETRIES_EXHAUSTED: "Submit the job again later; the operator can replay it.",
    Code.RATE_LIMITED: "Wait as long as Retry-After says.",
    Code.TOO_MANY_ACTIVE_JOBS: "Wait for one of your jobs to finish.",
    Code.BACKPRESSURE: "Wait as long as Retry-After says.",
    Code.STORAGE_UNAVAILABLE: "Send the request again shortly.",
    Code.RETRYABLE_ERROR: "Send the request again shortly.",
    Code.INTERNAL: "Tell the operator the correlationId.",
}

ROOM_AGAIN = 15.0
"""Seconds after which a disk that was full is tried again."""


class Failure(Exception):
    """What went wrong, in words a client may read: no internals, no secrets.

    `outage` names the dependency that could not be reached; the runner waits for it instead of spending an attempt.
    `charged` False: the attempt does not count (the provider asked us to come back later).
    `own_hint` is what to do about this very failure; without it `hint` is the code's.
    """

    def __init__(
        self,
        code: Code,
        message: str,
        *,
        retry_after: float | None = None,
        outage: Dependency | None = None,
        charged: bool = True,
        hint: str | None = None,
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.retry_after = retry_after
        self.outage = outage
        self.charged = charged
        self.own_hint = hint

    @property
    def retryable(self) -> bool:
        return self.code in RETRYABLE

    @property
    def hint(self) -> str:
        return self.own_hint or HINTS[self.code]


def classify(error: Exception) -> Failure:
    """Any error as a Failure. An unknown one is internal, and its details stay in the log."""
    match error:
        case Failure():
            return error
        case TimeoutError():
            return Failure(Code.RETRYABLE_ERROR, "the work took longer than its time limit")
        case ConnectionError():
            return Failure(Code.RETRYABLE_ERROR, "a connection broke")
        case OSError(errno=errno.ENOSPC | errno.EDQUOT):  # not the job's fault; one that fits nowhere ends by the last net, see last_net.py
            return Failure(Code.RETRYABLE_ERROR, "there was no room for the job's files", charged=False, retry_after=ROOM_AGAIN)
        case _:
            return Failure(Code.INTERNAL, "an unexpected error; the log has it under this correlationId")
