"""What a provider's HTTP status and Retry-After mean for the job: the table of findings A1. Pure."""

import math
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from libs.common.domain.failures import Code, Failure

UNPROCESSABLE = 422
"""Groq's word for audio that it made nonsense of: asked once more, it may do better."""
RETRIED = frozenset({408, 409})
"""Besides 5xx."""
AWAY = frozenset({498, 502, 503, 504})
"""Said whatever the audio: 498 is Groq's "no capacity", which its own SDK does not try again."""
CLIENT_ERROR = 4
RATE_LIMIT_PAUSE = 30.0
"""Seconds to stay away after a 429 that doesn't say how long; none of these is charged, so they must not come in a hurry."""
SHORTEST_PAUSE = 1.0
"""Where the provider says "at once", or its clock is behind ours."""
LONGEST_PAUSE = 86_400.0


def failure_of(status: int, retry_after: str | None, now: datetime) -> Failure:
    pause = seconds_of(retry_after, now)
    match status:
        case 429:
            return Failure(
                Code.RETRYABLE_ERROR,
                "the transcription provider limits our rate",
                retry_after=RATE_LIMIT_PAUSE if pause is None else pause,
                charged=False,
            )
        case 401 | 403 | 404:
            return Failure(Code.FORBIDDEN, "the transcription provider refuses this service; its operator has to correct that")
        case 413:
            return Failure(Code.INPUT_TOO_LARGE, "the clip's audio is too large for the transcription provider")
        case _ if status in AWAY:
            return Failure(Code.RETRYABLE_ERROR, "the transcription provider is not available", retry_after=pause, outage="asr")
        case _ if status in RETRIED or status // 100 != CLIENT_ERROR:
            return Failure(Code.RETRYABLE_ERROR, "the transcription provider has trouble", retry_after=pause)
        case _:
            return Failure(Code.SOURCE_UNREADABLE, "the transcription provider can't transcribe the clip's audio")


def seconds_of(retry_after: str | None, now: datetime) -> float | None:
    """A Retry-After header, in seconds or as a date (RFC 9110, 10.2.3), as seconds from now; None for none or nonsense."""
    if not retry_after:
        return None
    try:
        seconds = float(retry_after)
    except ValueError:
        seconds = _seconds_until(retry_after, now)
    return min(max(seconds, SHORTEST_PAUSE), LONGEST_PAUSE) if math.isfinite(seconds) else None


def _seconds_until(date: str, now: datetime) -> float:
    try:
        then = parsedate_to_datetime(date)
    except ValueError:
        return math.nan
    return (then if then.tzinfo else then.replace(tzinfo=UTC)).timestamp() - now.timestamp()
