"""Transcription by Groq, or by a server that speaks the same protocol. The only file that knows the SDK and its errors (findings A1)."""

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from groq import APIConnectionError, APIStatusError, AsyncGroq, DefaultAsyncHttpxClient, Timeout, omit

from libs.common.domain.failures import Code, Failure
from libs.common.runtime.settings import Secret
from libs.common.runtime.telemetry import logger
from services.asr.languages import whisper_code
from services.asr.metrics import measured
from services.asr.settings import AsrSettings
from services.asr.transcriber import Audio, Transcriber, supports
from services.asr.transcript import Transcript, UnreadableError, decode

log = logger(__name__)

SDK_PREFIX = "/openai/v1/"
"""What the SDK puts before every path, whatever its base URL."""
RETRIED = frozenset({408, 409, 498})
"""Besides 5xx; 498 is Groq's "no capacity", which its own SDK does not try again."""
CLIENT_ERROR = 4
RATE_LIMIT_PAUSE = 30.0
"""Seconds to stay away after a 429 that doesn't say how long; none of these is charged, so they must not come in a hurry."""
LONGEST_PAUSE = 86_400.0
CONNECT_SECONDS = 5.0


class GroqTranscriber:
    def __init__(self, client: AsyncGroq, settings: AsrSettings) -> None:
        self._client = client
        self._settings = settings
        self._timeout = settings.asr_request_timeout_ms / 1000

    async def transcribe(self, audio: Audio, *, language: str) -> Transcript:
        if not supports(self._settings, language):
            raise Failure(Code.VALIDATION_FAILED, f"subtitleLang: the speech recogniser doesn't know the language '{language[:20]}'")
        with measured("groq", audio.seconds):
            body = await self._answer(audio, language)
            return _decoded(body, self._settings.groq_model, audio, language)

    async def _answer(self, audio: Audio, language: str) -> bytes:
        """The provider's answer as it came. The SDK's own limit is between two bytes; ours is for the whole request."""
        try:
            async with asyncio.timeout(self._timeout):
                return await self._request(audio, language)
        except APIStatusError as error:
            failure = failure_of(error.status_code, error.response.headers.get("retry-after"), datetime.now(UTC))
            self._report(error, failure)
        except (TimeoutError, APIConnectionError) as error:
            log.warning("the transcription provider did not answer", error=type(error).__name__)
            failure = Failure(Code.RETRYABLE_ERROR, "the transcription provider did not answer")
        raise failure

    async def _request(self, audio: Audio, language: str) -> bytes:
        content = await asyncio.to_thread(audio.path.read_bytes)
        response = await self._client.audio.transcriptions.with_raw_response.create(
            model=self._settings.groq_model,
            file=("clip.flac", content, "audio/flac"),
            language=omit if language == "auto" else whisper_code(language),
            response_format="verbose_json",
            timestamp_granularities=["word", "segment"],
            temperature=0,
        )
        return await response.read()

    def _report(self, error: APIStatusError, failure: Failure) -> None:
        """The operator reads why; as an error when only the operator can mend it. A provider may quote the key it refuses."""
        write = log.error if failure.code is Code.FORBIDDEN else log.warning
        answer = error.message.replace(self._client.api_key, "***")[:300]
        write("the transcription provider answered with an error", status=error.status_code, code=failure.code, answer=answer)


def _decoded(body: bytes, model: str, audio: Audio, language: str) -> Transcript:
    try:
        return decode(body, provider="groq", model=model, language=language, seconds=audio.seconds)
    except UnreadableError as error:
        log.warning("the transcription provider answered with no transcript", error=str(error), size=len(body))
        raise Failure(Code.RETRYABLE_ERROR, "the transcription provider gave an answer that is no transcript") from None


def failure_of(status: int, retry_after: str | None, now: datetime) -> Failure:
    """What an HTTP status means for the job; the table is findings A1's."""
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
    return min(max(seconds, 0.0), LONGEST_PAUSE) if math.isfinite(seconds) else None


def _seconds_until(date: str, now: datetime) -> float:
    try:
        then = parsedate_to_datetime(date)
    except ValueError:
        return math.nan
    return (then if then.tzinfo else then.replace(tzinfo=UTC)).timestamp() - now.timestamp()


@asynccontextmanager
async def open_groq(settings: AsrSettings) -> AsyncIterator[Transcriber]:
    key = settings.groq_api_key or Secret("")
    limit = settings.asr_request_timeout_ms / 1000
    http_client = DefaultAsyncHttpxClient(event_hooks={"request": [_prefixed(settings.asr_api_prefix)]})
    client = AsyncGroq(
        api_key=key.reveal(),
        base_url=settings.asr_base_url.rstrip("/"),
        timeout=Timeout(limit, connect=min(CONNECT_SECONDS, limit)),
        max_retries=0,
        http_client=http_client,
    )
    async with client:
        yield GroqTranscriber(client, settings)


def _prefixed(prefix: str) -> Callable[[Any], Awaitable[None]]:
    """A request hook that puts our prefix where the SDK put its own."""

    async def rewrite(request: Any) -> None:
        path = request.url.raw_path.decode().replace(SDK_PREFIX, f"{prefix.rstrip('/')}/", 1)
        request.url = request.url.copy_with(raw_path=path.encode())

    return rewrite
