"""faster-whisper for real: tiny.en, in its child process, on recorded speech."""

import asyncio
import os
import signal
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from unittest.mock import Mock

import pytest

from libs.common.domain.failures import Code, Failure
from services.asr.local import LocalTranscriber, Recogniser, open_local, recognisers_of
from services.asr.metrics import ASR_ERRORS
from services.asr.recogniser import _until_the_end
from services.asr.transcriber import Audio, Transcriber
from services.asr.wish import Wish
from tests.asr.recordings import BECKETT, TWO_CITIES, Recording, word_error_rate
from tests.asr.settings import asr_settings


@pytest.fixture(scope="module")
async def transcriber() -> AsyncIterator[Transcriber]:
    async with open_local(asr_settings()) as opened:
        yield opened


@asynccontextmanager
async def one_recogniser(**variables: object) -> AsyncIterator[tuple[LocalTranscriber, Recogniser]]:
    settings = asr_settings(asr_beam=1, **variables)
    recogniser = Recogniser(settings)
    await recogniser.start()
    try:
        yield LocalTranscriber(settings, [recogniser]), recogniser
    finally:
        await recogniser.stop()


def speech(recording: Recording) -> Audio:
    return Audio(recording.path, recording.seconds)


def silence(folder: Path, seconds: int = 5) -> Audio:
    path = folder / "silence.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes(bytes(2 * 16_000 * seconds))
    return Audio(path, seconds)


def suspended(recogniser: Recogniser) -> int:
    """Its process stopped, so that a request to it stays in its hands for as long as the test wants."""
    assert recogniser.pid
    os.kill(recogniser.pid, signal.SIGSTOP)
    return recogniser.pid


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.mark.parametrize("recording", [TWO_CITIES, BECKETT], ids=lambda recording: recording.name)
async def test_recorded_speech_is_transcribed_with_under_5_percent_of_words_wrong(transcriber: Transcriber, recording: Recording):
    transcript = await transcriber.transcribe(speech(recording), Wish("en"))
    assert word_error_rate(" ".join(word.text for word in transcript.words), recording.text) < 0.05
    assert (transcript.language, transcript.provider, transcript.model) == ("en", "local", "tiny.en")
    assert transcript.audio_seconds == pytest.approx(recording.seconds, abs=0.01)
    assert [word.start for word in transcript.words] == sorted(word.start for word in transcript.words)
    assert transcript.words[-1].end <= recording.seconds


@pytest.mark.parametrize(("last", "asked"), [(29.4, 1), (29.2, 2)])
def test_the_rest_of_a_cut_off_word_is_not_worth_a_window_of_its_own(last: float, asked: int):
    """Segments come as they are listened to: who does not ask for another saves its window."""
    segments = iter([Mock(words=[Mock(end=last)]), Mock(words=[])])
    assert len(list(_until_the_end(segments, 30.0))) == asked
    assert len(list(segments)) == 2 - asked


async def test_silence_gives_no_words(transcriber: Transcriber, tmp_path: Path):
    transcript = await transcriber.transcribe(silence(tmp_path), Wish())
    assert (transcript.words, transcript.language) == ((), "und")


async def test_a_language_that_the_model_cannot_do_is_refused_not_invented(transcriber: Transcriber):
    with pytest.raises(Failure) as raised:
        await transcriber.transcribe(speech(BECKETT), Wish("de"))
    assert raised.value.code is Code.VALIDATION_FAILED
    assert not raised.value.retryable


async def test_a_recogniser_killed_in_a_request_is_a_retryable_failure_and_the_next_request_gets_another():
    async with one_recogniser() as (transcriber, recogniser):
        before = ASR_ERRORS.labels("local", Code.RETRYABLE_ERROR)._value.get()
        first = suspended(recogniser)
        asking = asyncio.create_task(transcriber.transcribe(speech(BECKETT), Wish("en")))
        await asyncio.wait([asking], timeout=0.1)
        os.kill(first, signal.SIGKILL)
        with pytest.raises(Failure) as raised:
            await asking
        assert raised.value.code is Code.RETRYABLE_ERROR
        assert ASR_ERRORS.labels("local", Code.RETRYABLE_ERROR)._value.get() == before + 1
        assert (await transcriber.transcribe(speech(BECKETT), Wish("en"))).words
        assert recogniser.pid != first


async def test_a_cancelled_request_kills_its_recogniser_at_once():
    async with one_recogniser() as (transcriber, recogniser):
        pid = suspended(recogniser)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(transcriber.transcribe(speech(BECKETT), Wish("en")), timeout=0.1)
        assert is_gone(pid)
        assert (await transcriber.transcribe(speech(BECKETT), Wish("en"))).words


async def test_a_request_past_its_time_limit_is_a_retryable_failure_and_kills_its_recogniser():
    async with one_recogniser(asr_request_timeout_ms=100) as (transcriber, recogniser):
        pid = suspended(recogniser)
        with pytest.raises(Failure) as raised:
            await transcriber.transcribe(speech(BECKETT), Wish("en"))
        assert raised.value.code is Code.RETRYABLE_ERROR
        assert is_gone(pid)


async def test_a_file_that_cannot_be_read_breaks_only_its_own_request(tmp_path: Path):
    async with one_recogniser() as (transcriber, _):
        with pytest.raises(Failure) as raised:
            await transcriber.transcribe(Audio(tmp_path / "none.flac", 5.0), Wish("en"))
        assert raised.value.code is Code.RETRYABLE_ERROR
        assert (await transcriber.transcribe(speech(BECKETT), Wish("en"))).words


async def test_requests_queue_for_the_one_warm_recogniser():
    async with one_recogniser() as (transcriber, recogniser):
        pid = recogniser.pid
        transcripts = await asyncio.gather(*(transcriber.transcribe(speech(BECKETT), Wish()) for _ in range(2)))
        assert [word_error_rate(" ".join(word.text for word in each.words), BECKETT.text) for each in transcripts] == [0, 0]
        assert recogniser.pid == pid


async def test_a_second_recogniser_is_started_when_it_is_needed_and_closing_ends_both():
    async with open_local(asr_settings(asr_workers=2, asr_beam=1)) as opened:
        assert isinstance(opened, LocalTranscriber)
        for together, started in ((1, 1), (2, 2), (1, 2)):
            await asyncio.gather(*(opened.transcribe(speech(BECKETT), Wish("en")) for _ in range(together)))
            pids = {recogniser.pid for recogniser in opened.recognisers} - {None}
            assert len(pids) == started
    assert all(pid and is_gone(pid) for pid in pids)


def test_there_is_a_recogniser_for_each_core_unless_the_operator_says_otherwise(monkeypatch: pytest.MonkeyPatch):
    asked = {(1, None): 1, (2, None): 2, (64, None): 4, (64, 3): 3, (1, 2): 2}
    for (cores, wanted), expected in asked.items():
        monkeypatch.setattr(os, "cpu_count", lambda cores=cores: cores)
        assert recognisers_of(asr_settings(**({"asr_workers": wanted} if wanted else {}))) == expected


async def test_nothing_is_left_in_the_home_folder_nor_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """onnxruntime keeps a telemetry database there unless it is told not to."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    async with one_recogniser() as (local, _):
        await local.transcribe(speech(BECKETT), Wish("en"))
    assert list(tmp_path.rglob("*")) == []
