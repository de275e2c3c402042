"""Transcription by Groq, or by a server that speaks the same protocol. The only file that knows the SDK and its errors (findings A1)."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from groq import APIConnectionError, APIStatusError, APITimeoutError, AsyncGroq, DefaultAsyncHttpxClient, Timeout, omit

from libs.common.domain.failures import Code, Failure
from libs.common.domain.languages import abilities, whisper_code
from libs.common.runtime import metrics as dependency
from libs.common.runtime.logs import logger
from libs.common.runtime.settings import Secret
from services.asr.metrics import measured
from services.asr.parts import joined
from services.asr.provider_errors import AWAY, UNPROCESSABLE, failure_of
from services.asr.settings import AsrSettings
from services.asr.transcriber import Audio, refusal
from services.asr.transcript import Transcript, UnreadableError, decode
from services.asr.upload import FORMS, Upload, fits
from services.asr.wish import Wish

log = logger(__name__)

SDK_PREFIX = "/openai/v1/"
"""What the SDK puts before every path, whatever its base URL."""
CONNECT_SECONDS = 5.0
REACH_SECONDS = 3.0


class GroqTranscriber:
    provider = "groq"

    def __init__(self, client: AsyncGroq, settings: AsrSettings) -> None:
        self.model = settings.groq_model
        self._client = client
        self._settings = settings
        self._timeout = settings.asr_request_timeout_ms / 1000

    def refusal(self, wish: Wish) -> Failure | None:
        return refusal(abilities(self.model), wish)

    async def transcribe(self, audio: Audio, wish: Wish) -> Transcript:
        if refused := self.refusal(wish):
            raise refused
        with measured(self.provider, audio.seconds):
            return await self._in_the_best_form(audio, wish)

    async def _in_the_best_form(self, audio: Audio, wish: Wish) -> Transcript:
        """That which fits our limit; the next one where the provider's own limit is lower."""
        *others, last = FORMS
        for form in others:
            uploads = await form(audio, self._settings)
            if fits(uploads, self._settings):
                try:
                    return await self._transcribed(uploads, audio, wish)
                except Failure as failure:
                    if failure.code is not Code.INPUT_TOO_LARGE:
                        raise
        return await self._transcribed(await last(audio, self._settings), audio, wish)

    async def _transcribed(self, uploads: tuple[Upload, ...], audio: Audio, wish: Wish) -> Transcript:
        heard = [(upload.part, await self._heard(upload, wish)) for upload in uploads]
        return joined(heard, audio.seconds) if len(heard) > 1 else heard[0][1]

    async def _heard(self, upload: Upload, wish: Wish) -> Transcript:
        body = await self._answer(upload, wish)
        seconds = upload.part.end - upload.part.start
        try:
            return decode(body, provider=self.provider, model=self.model, language=wish.written, seconds=seconds)
        except UnreadableError as error:
            log.warning("the transcription provider answered with no transcript", error=str(error), size=len(body))
            raise Failure(Code.RETRYABLE_ERROR, "the transcription provider gave an answer that is no transcript") from None

    async def _answer(self, upload: Upload, wish: Wish) -> bytes:
        """The provider's answer as it came."""
        try:
            return await self._second_chance(upload, wish)
        except APIStatusError as error:
            failure = failure_of(error.status_code, error.response.headers.get("retry-after"), datetime.now(UTC))
            self._report(error, failure)
        except (TimeoutError, APIConnectionError) as error:
            log.warning("the transcription provider did not answer", error=type(error).__name__)
            failure = await self._unanswered(error)
        raise failure

    async def _unanswered(self, error: Exception) -> Failure:
        """An audio may be what the provider never ends with; that it answers nothing else either is not the audio's fault."""
        if isinstance(error, TimeoutError | APITimeoutError):
            try:
                await self.reach()
            except Failure as away:
                return away
            return Failure(Code.RETRYABLE_ERROR, "the transcription provider did not answer")
        return _away()

    async def reach(self) -> None:
        """Ask for something that costs nothing. Raises Failure(outage="asr") unless there is an answer, be it a refusal."""
        try:
            with dependency.measured("groq", "reach"):
                async with asyncio.timeout(REACH_SECONDS):
                    await self._client.models.list()
        except APIStatusError as error:
            if error.status_code in AWAY:
                raise _away() from error
        except (TimeoutError, APIConnectionError) as error:
            raise _away() from error

    async def models(self) -> list[str] | int:
        """Their names, or the status that the list is refused with. Costs nothing. Raises Failure(outage="asr")."""
        try:
            async with asyncio.timeout(REACH_SECONDS):
                return [model.id for model in (await self._client.models.list()).data]
        except APIStatusError as error:
            return error.status_code
        except (TimeoutError, APIConnectionError) as error:
            raise _away() from error

    async def _second_chance(self, upload: Upload, wish: Wish) -> bytes:
        try:
            return await self._in_time(upload, wish)
        except APIStatusError as error:
            if error.status_code != UNPROCESSABLE:
                raise
            log.info("the transcription provider made nothing of the audio; it is asked once more")
        return await self._in_time(upload, wish)

    async def _in_time(self, upload: Upload, wish: Wish) -> bytes:
        """The SDK's own limit is between two bytes; ours is for the whole request."""
        with dependency.measured("groq", wish.task):
            async with asyncio.timeout(self._timeout):
                return await (self._translation(upload, wish) if wish.task == "translate" else self._transcription(upload, wish))

    async def _transcription(self, upload: Upload, wish: Wish) -> bytes:
        response = await self._client.audio.transcriptions.with_raw_response.create(
            model=self.model,
            file=await _file(upload),
            language=omit if wish.language == "auto" else whisper_code(wish.language),
            prompt=wish.hint or omit,
            response_format="verbose_json",
            timestamp_granularities=["word", "segment"],
            temperature=0,
        )
        return await response.read()

    async def _translation(self, upload: Upload, wish: Wish) -> bytes:
        """English has no words of the audio to take times from: this endpoint gives segments, and wants no language."""
        response = await self._client.audio.translations.with_raw_response.create(
            model=self.model,
            file=await _file(upload),
            prompt=wish.hint or omit,
            response_format="verbose_json",
            temperature=0,
        )
        return await response.read()

    def _report(self, error: APIStatusError, failure: Failure) -> None:
        """The operator reads why; as an error when only the operator can mend it. A provider may quote the key it refuses."""
        write = log.error if failure.code is Code.FORBIDDEN else log.warning
        answer = error.message.replace(self._client.api_key, "***")[:300]
        write("the transcription provider answered with an error", status=error.status_code, code=failure.code, answer=answer)


def _away() -> Failure:
    return Failure(Code.RETRYABLE_ERROR, "the transcription provider can't be reached", outage="asr")


async def _file(upload: Upload) -> tuple[str, bytes, str]:
    """With a name and a type: a server can't tell what bare bytes are."""
    return f"clip{upload.path.suffix}", await asyncio.to_thread(upload.path.read_bytes), upload.media_type


@asynccontextmanager
async def open_groq(settings: AsrSettings) -> AsyncIterator[GroqTranscriber]:
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
