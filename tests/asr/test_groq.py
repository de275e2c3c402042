"""The groq provider against a server that speaks the real wire format; each row of the error table in findings A1."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from libs.common.domain.failures import Code, Failure
from libs.common.runtime.settings import SettingsError
from services.asr.groq import open_groq
from services.asr.metrics import ASR_AUDIO_SECONDS, ASR_ERRORS
from services.asr.settings import AsrSettings
from services.asr.transcriber import Audio
from services.asr.transcript import Transcript
from services.asr.wish import Wish
from tests.asr.fake_groq import TRANSLATED, WORDS, FakeGroq, fake_groq
from tests.asr.settings import asr_settings
from tests.asr.sounds import tone

KEY = "gsk_the-key-of-this-test"
ANY = Wish()


@pytest.fixture
async def groq() -> AsyncIterator[FakeGroq]:
    async with fake_groq() as server:
        yield server


@pytest.fixture
def audio(tmp_path: Path) -> Audio:
    return tone(tmp_path)


def settings_for(groq: FakeGroq, **variables: object) -> AsrSettings:
    return asr_settings(**{"asr_provider": "groq", "groq_api_key": KEY, "asr_base_url": groq.url} | variables)


async def transcribed(groq: FakeGroq, audio: Audio, wish: Wish = ANY, **variables: object) -> Transcript:
    async with open_groq(settings_for(groq, **variables)) as transcriber:
        return await transcriber.transcribe(audio, wish)


async def failure(groq: FakeGroq, audio: Audio, wish: Wish = ANY, **variables: object) -> Failure:
    with pytest.raises(Failure) as raised:
        await transcribed(groq, audio, wish, **variables)
    return raised.value


async def test_the_request_is_one_that_groq_takes_and_the_answer_has_words(groq: FakeGroq, audio: Audio):
    transcript = await transcribed(groq, audio, Wish("en"))
    (request,) = groq.requests
    assert request.path == "/openai/v1/audio/transcriptions"
    assert request.authorization == f"Bearer {KEY}"
    assert (request.file_name, request.file_type, request.content) == ("clip.flac", "audio/flac", audio.path.read_bytes())
    assert request.fields == {
        "model": ["whisper-large-v3-turbo"],
        "language": ["en"],
        "response_format": ["verbose_json"],
        "timestamp_granularities[]": ["word", "segment"],
        "temperature": ["0"],
    }
    assert [(word.text, word.start) for word in transcript.words] == [("Hello", 0.1), ("there.", 0.5), ("Good", 1.0), ("bye.", 1.4)]
    assert (transcript.language, transcript.provider, transcript.model) == ("en", "groq", "whisper-large-v3-turbo")


async def test_auto_asks_for_no_language_and_reports_the_one_heard(groq: FakeGroq, audio: Audio):
    groq.says(body={**WORDS, "language": "German"})
    assert (await transcribed(groq, audio)).language == "de"
    assert "language" not in groq.requests[0].fields


async def test_a_language_goes_out_by_whispers_code_and_comes_back_by_iso(groq: FakeGroq, audio: Audio):
    assert (await transcribed(groq, audio, Wish("jv"))).language == "jv"
    assert groq.requests[0].fields["language"] == ["jw"]


async def test_another_server_is_asked_under_its_own_prefix(groq: FakeGroq, audio: Audio):
    await transcribed(groq, audio, asr_api_prefix="/v1", groq_model="base")
    await transcribed(groq, audio, asr_base_url=f"{groq.url}/gateway/", asr_api_prefix="/v1/")
    assert [request.path for request in groq.requests] == ["/v1/audio/transcriptions", "/gateway/v1/audio/transcriptions"]


async def test_the_prompts_end_goes_along(groq: FakeGroq, audio: Audio):
    await transcribed(groq, audio, Wish(prompt=" Dickens,\nthe Marquis  St. Evrémonde "))
    await transcribed(groq, audio, Wish(prompt="name " * 1000 + "last"))
    assert [request.fields["prompt"] for request in groq.requests] == [["Dickens, the Marquis St. Evrémonde"], ["name " * 111 + "last"]]


async def test_a_translation_is_asked_of_its_own_endpoint_and_is_english(groq: FakeGroq, audio: Audio):
    groq.says(body=TRANSLATED)
    transcript = await transcribed(groq, audio, Wish("fr", prompt="Dickens", task="translate"), groq_model="whisper-large-v3")
    (request,) = groq.requests
    assert request.path == "/openai/v1/audio/translations"
    assert request.fields == {
        "model": ["whisper-large-v3"],
        "prompt": ["Dickens"],
        "response_format": ["verbose_json"],
        "temperature": ["0"],
    }
    assert [word.text for word in transcript.words] == ["Hello", "there."]
    assert (transcript.language, transcript.words[0].start, transcript.words[-1].end) == ("en", 0.2, 1.2)


async def test_a_turbo_model_is_not_asked_to_translate(groq: FakeGroq, audio: Audio):
    failed = await failure(groq, audio, Wish(task="translate"))
    assert (failed.code, groq.requests) == (Code.VALIDATION_FAILED, [])
    assert failed.message.startswith("subtitleTask: ")


async def test_audio_that_the_provider_makes_nothing_of_is_asked_once_more(groq: FakeGroq, audio: Audio):
    groq.says(422, {"error": {"message": "hallucinations"}})
    assert (await transcribed(groq, audio)).words
    assert len(groq.requests) == 2


async def test_audio_that_the_provider_makes_nothing_of_twice_is_given_up(groq: FakeGroq, audio: Audio):
    for _ in range(3):
        groq.says(422, {"error": {"message": "hallucinations"}})
    failed = await failure(groq, audio)
    assert (failed.code, failed.retryable, len(groq.requests)) == (Code.SOURCE_UNREADABLE, False, 2)


async def test_a_rate_limit_until_a_date_is_believed(groq: FakeGroq, audio: Audio):
    then = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
    groq.says(429, {"error": {"message": "Rate limit reached"}}, headers={"Retry-After": then})
    failed = await failure(groq, audio)
    assert failed.retry_after == pytest.approx(90, abs=5)
    assert not failed.charged


async def test_a_language_that_whisper_does_not_know_is_not_asked_for(groq: FakeGroq, audio: Audio):
    failed = await failure(groq, audio, Wish("zz"))
    assert (failed.code, groq.requests) == (Code.VALIDATION_FAILED, [])


@pytest.mark.parametrize(
    ("status", "code", "retryable"),
    [
        (400, Code.SOURCE_UNREADABLE, False),
        (401, Code.FORBIDDEN, False),
        (403, Code.FORBIDDEN, False),
        (404, Code.FORBIDDEN, False),
        (408, Code.RETRYABLE_ERROR, True),
        (409, Code.RETRYABLE_ERROR, True),
        (500, Code.RETRYABLE_ERROR, True),
    ],
)
async def test_each_error_of_the_provider_is_retried_or_final_and_asked_once(
    groq: FakeGroq, audio: Audio, status: int, code: Code, *, retryable: bool
):
    before = ASR_ERRORS.labels("groq", code)._value.get()
    groq.says(status, {"error": {"message": "internal words of the provider", "type": "some_error"}})
    failed = await failure(groq, audio)
    assert (failed.code, failed.retryable, failed.charged, failed.retry_after, failed.outage) == (code, retryable, True, None, None)
    assert "internal words" not in failed.message
    assert len(groq.requests) == 1, "NATS does the retrying, not the SDK"
    assert ASR_ERRORS.labels("groq", code)._value.get() == before + 1


@pytest.mark.parametrize(("header", "pause"), [("7", 7.0), ("1.5", 1.5), ("0", 1.0), ("3600", 3600.0), (None, 30.0), ("soon", 30.0)])
async def test_a_rate_limit_is_waited_out_as_long_as_it_says_and_costs_no_attempt(
    groq: FakeGroq, audio: Audio, header: str | None, pause: float
):
    groq.says(429, {"error": {"message": "Rate limit reached"}}, headers={"Retry-After": header} if header else {})
    failed = await failure(groq, audio)
    assert (failed.code, failed.retry_after, failed.charged) == (Code.RETRYABLE_ERROR, pause, False)


@pytest.mark.parametrize("status", [498, 502, 503, 504])
async def test_a_server_that_is_not_available_is_away_for_as_long_as_it_says(groq: FakeGroq, audio: Audio, status: int):
    groq.says(status, {"error": {}}, headers={"Retry-After": "20"})
    groq.says(status, b"<html>gateway</html>")
    failures = [await failure(groq, audio) for _ in range(2)]
    assert [(failed.outage, failed.retry_after) for failed in failures] == [("asr", 20.0), ("asr", None)]


async def test_a_refused_key_is_told_to_the_operator_and_shown_to_nobody(groq: FakeGroq, audio: Audio):
    groq.says(401, {"error": {"message": f"Invalid API Key: {KEY}", "code": "invalid_api_key"}})
    with capture_logs() as logs:
        failed = await failure(groq, audio)
    (line,) = [line for line in logs if line["log_level"] == "error"]
    assert line["status"] == 401
    assert "Invalid API Key" in line["answer"]
    assert KEY not in f"{failed} {failed.message} {logs}"


@pytest.mark.parametrize("body", [b"<html><h1>502 Bad Gateway</h1></html>", b"", b'{"text": "cut o', b'{"error": "no transcript"}'])
async def test_an_answer_that_is_no_transcript_is_asked_for_again(groq: FakeGroq, audio: Audio, body: bytes):
    groq.says(200, body)
    assert (await failure(groq, audio)).code is Code.RETRYABLE_ERROR


async def test_an_answer_that_never_comes_is_a_retryable_failure(groq: FakeGroq, audio: Audio):
    """The provider answers other things: it may be this audio's fault, and costs attempts."""
    groq.says(hangs=True)
    failed = await failure(groq, audio, asr_request_timeout_ms=200)
    assert (failed.code, failed.message) == (Code.RETRYABLE_ERROR, "the transcription provider did not answer")
    assert (failed.charged, failed.outage) == (True, None)


async def test_an_answer_that_breaks_off_is_a_retryable_failure(groq: FakeGroq, audio: Audio):
    groq.says(breaks_off=True)
    assert (await failure(groq, audio)).code is Code.RETRYABLE_ERROR


async def test_a_server_that_is_not_there_is_away(groq: FakeGroq, audio: Audio):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        failed = await failure(groq, audio, asr_base_url=f"http://127.0.0.1:{taken.getsockname()[1]}")
    assert (failed.code, failed.outage) == (Code.RETRYABLE_ERROR, "asr")


async def test_a_server_that_takes_connections_and_says_nothing_is_away(groq: FakeGroq, audio: Audio):
    """Half-open: it is no audio's fault when nothing else is answered either."""
    async with silence() as url:
        failed = await failure(groq, audio, asr_base_url=url, asr_request_timeout_ms=200)
    assert failed.outage == "asr"


async def test_a_cancelled_request_ends_at_once(groq: FakeGroq, audio: Audio):
    groq.says(hangs=True)
    asking = asyncio.create_task(transcribed(groq, audio))
    await groq.asked.wait()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking


async def test_silence_is_an_empty_transcript_and_audio_is_counted(groq: FakeGroq, audio: Audio):
    before = ASR_AUDIO_SECONDS.labels("groq")._value.get()
    groq.says(body={"text": "", "words": [], "segments": [], "language": "English", "duration": 2.0})
    transcript = await transcribed(groq, audio)
    assert (transcript.words, transcript.language) == ((), "und")
    assert ASR_AUDIO_SECONDS.labels("groq")._value.get() == before + 2.0


def test_groq_without_a_key_is_refused_at_the_start():
    with pytest.raises(SettingsError, match="GROQ_API_KEY is required"):
        asr_settings(asr_provider="groq")


def test_a_base_url_that_is_none_is_refused_at_the_start():
    with pytest.raises(SettingsError, match="ASR_BASE_URL"):
        asr_settings(asr_provider="groq", groq_api_key="k", asr_base_url="speaches:8000")


def test_a_model_that_is_not_there_is_refused_at_the_start():
    with pytest.raises(SettingsError, match="ASR_MODEL"):
        asr_settings(asr_model="/no/such/folder")


@asynccontextmanager
async def silence() -> AsyncIterator[str]:
    """A server that takes whatever it is sent and answers nothing."""

    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(65536):
            pass
        writer.close()

    server = await asyncio.start_server(swallow, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
