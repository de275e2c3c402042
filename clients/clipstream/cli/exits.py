"""What the command's exit codes mean, and which error ends with which. Pure."""

from enum import IntEnum

from clipstream.errors import (
    ClipstreamError,
    Forbidden,
    Gone,
    JobCancelled,
    JobFailed,
    NotFound,
    RateLimited,
    Unauthorized,
    Unavailable,
    WaitTimeout,
)


class Exit(IntEnum):
    DONE = 0
    UNEXPECTED = 1
    UNWELL = 1
    USAGE = 2
    FAILED = 3
    MISSING = 4
    NOT_ALLOWED = 5
    UNAVAILABLE = 6
    INTERRUPTED = 130
    NOBODY_READS = 141


MEANINGS = {
    Exit.DONE: "done",
    Exit.UNEXPECTED: "an error that nobody thought of; of doctor: something is wrong",
    Exit.USAGE: "the command or the request is wrong",
    Exit.FAILED: "the job failed, or was cancelled",
    Exit.MISSING: "there is no such job, or it has expired",
    Exit.NOT_ALLOWED: "no key, a wrong one, or one without the scope",
    Exit.UNAVAILABLE: "try again: the server is away or busy, or the job is not done yet",
    Exit.INTERRUPTED: "interrupted by Ctrl-C",
}


def exit_of(error: ClipstreamError) -> Exit:
    match error:
        case JobFailed() | JobCancelled():
            return Exit.FAILED
        case Unauthorized() | Forbidden():
            return Exit.NOT_ALLOWED
        case Unavailable() | RateLimited() | WaitTimeout():
            return Exit.UNAVAILABLE
        case _ if error.retryable:
            return Exit.UNAVAILABLE
        case NotFound() | Gone():
            return Exit.MISSING
        case _:
            return Exit.UNEXPECTED if error.code == "INTERNAL" else Exit.USAGE
