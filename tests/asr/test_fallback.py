"""The local model takes over for a provider that is down, out of quota, or refuses us: a real one, for the fake server."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from libs.common.domain.events import AsrDone, AsrFailed, ClipUploaded, StageName, StageRetried
from libs.common.domain.failures import Code, Failure
from libs.common.runtime.context import Context
from libs.common.runtime.settings import SettingsError
from services.asr.breaker import Guarded
from services.asr.fallback import FallingBack
from services.asr.groq import open_groq
from services.asr.metrics import ASR_FALLBACKS
from services.asr.patience import Deferring, pings
from services.asr.suspecting import Suspecting
from services.asr.transcriber import Audio, Transcriber
from services.asr.wish import Wish
from tests.asr.fake_groq import FakeGroq, fake_groq
from tests.asr.recordings import BECKETT, word_error_rate
from tests.asr.settings import asr_settings
from tests.asr.sounds import spoken
from tests.builders import history, ready, requested, transcribed, uploaded
from tests.runtime.desk import Desk

ENGLISH = Wish("en")


@pytest.fixture
async def groq() -> AsyncIterator[FakeGroq]:
    async with fake_groq() as server:
        yield server


@pytest.fixture
def audio(tmp_path: Path) -> Audio:
    return spoken(tmp_path, BECKETT)


@asynccontextmanager
async def falling_back(groq: FakeGroq, local: Transcriber, timeout_ms: int = 120_000) -> AsyncIterator[FallingBack]:
    settings = asr_settings(asr_provider="groq", groq_api_key="k", asr_base_url=groq.url, asr_request_timeout_ms=timeout_ms)
    async with open_groq(settings) as first:
        yield FallingBack(Guarded(first, local, 30), local, 30)


def taken_over(reason: str) -> float:
    return float(ASR_FALLBACKS.labels(reason)._value.get())


@pytest.mark.parametrize(
    ("status", "headers", "reason"),
    [
        (503, {}, "failing"),
        pytest.param(498, {}, "failing", marks=pytest.mark.thorough),
        (429, {"Retry-After": "3600"}, "quota"),
        (401, {}, "forbidden"),
    ],
)
async def test_the_local_model_takes_over_and_the_provider_is_left_alone(
    groq: FakeGroq, warm: Transcriber, audio: Audio, status: int, headers: dict[str, str], reason: str
):
    before = taken_over(reason)
    groq.says(status, {"error": {}}, headers=headers)
    async with falling_back(groq, warm) as transcriber:
        first, second = [await transcriber.transcribe(audio, ENGLISH) for _ in range(2)]
    assert word_error_rate(" ".join(word.text for word in first.words), BECKETT.text) < 0.05
    assert (first.provider, first.model, first.fell_back) == ("local", "tiny.en", True)
    assert second == first
    assert len(groq.requests) == 1
    assert taken_over(reason) == before + 2


async def test_a_time_out_is_waited_for_once(groq: FakeGroq, warm: Transcriber, audio: Audio):
    groq.says(hangs=True)
    async with falling_back(groq, warm, timeout_ms=300) as transcriber:
        assert (await transcriber.transcribe(audio, ENGLISH)).fell_back
        assert (await transcriber.transcribe(audio, ENGLISH)).fell_back
        transcriber.first.breaker.rests_until = 0
        answered = await transcriber.transcribe(audio, ENGLISH)
    assert (answered.provider, answered.fell_back) == ("groq", False)
    assert len(groq.requests) == 2


async def test_a_refused_key_is_the_operators_to_mend_and_costs_no_subtitles(groq: FakeGroq, warm: Transcriber, audio: Audio):
    groq.says(401, {"error": {"message": "Invalid API Key"}})
    with capture_logs() as logs:
        async with falling_back(groq, warm) as transcriber:
            assert (await transcriber.transcribe(audio, ENGLISH)).words
    assert "another transcriber takes over" in [line["event"] for line in logs if line["log_level"] == "error"]


@pytest.mark.parametrize(
    ("status", "headers", "code"), [(429, {"Retry-After": "7"}, Code.RETRYABLE_ERROR), (400, {}, Code.SOURCE_UNREADABLE)]
)
async def test_a_short_rate_limit_is_waited_out_and_bad_audio_is_bad_for_both(
    groq: FakeGroq, warm: Transcriber, audio: Audio, status: int, headers: dict[str, str], code: Code
):
    groq.says(status, {"error": {}}, headers=headers)
    async with falling_back(groq, warm) as transcriber:
        with pytest.raises(Failure) as raised:
            await transcriber.transcribe(audio, ENGLISH)
        assert raised.value.code is code
        assert (await transcriber.transcribe(audio, ENGLISH)).provider == "groq"


async def test_a_language_that_the_local_model_cannot_do_waits_for_the_provider(groq: FakeGroq, warm: Transcriber, audio: Audio):
    groq.says(503, {"error": {}})
    async with falling_back(groq, warm) as transcriber:
        with pytest.raises(Failure) as raised:
            await transcriber.transcribe(audio, Wish("de"))
        assert raised.value.retryable
        assert (await transcriber.transcribe(audio, Wish("de"))).provider == "groq"


async def test_an_outage_costs_no_attempt_of_what_the_local_model_cannot_do_and_keeps_nobody_else_waiting(
    groq: FakeGroq, warm: Transcriber, audio: Audio, tmp_path: Path
):
    for _ in range(6):
        groq.says(503, {"error": {}})
    async with falling_back(groq, warm) as both:
        provider = Deferring(Suspecting(both, both.first.inner.reach))

        async def transcribe(_event: ClipUploaded, _ctx: Context[Any, Any]) -> AsrDone:
            await provider.transcribe(audio, Wish("de"))
            return transcribed()

        desk = Desk(tmp_path, transcribe, name=StageName.ASR, optional=AsrFailed)
        desk.store.rows[:] = history(requested(with_subtitles=True), ready(), uploaded(), job_id=desk.cause.job_id)
        desk.events = desk.store.rows[1:]
        desk.world.health.also_watch(pings(provider))
        settled = [await desk.deliver() for _ in range(6)]
        assert (await provider.transcribe(audio, ENGLISH)).fell_back
        assert await desk.world.health.check_all(), "the stage takes what the local model can do"
        last = await desk.deliver()
    assert {(delivery.did[-1], delivery.delay) for delivery in settled} == {("nak", 30.0)}
    assert not any(row.event.charged for row in desk.store.rows if isinstance(row.event, StageRetried))
    assert (last.did[-1], desk.job.status, desk.job.warnings) == ("ack", "done", ())


@pytest.mark.parametrize(("says", "waits"), [("3", 30.0), ("3600", 3600.0)])
async def test_a_deferred_wish_comes_back_when_the_provider_says_and_not_sooner_than_its_deliveries_allow(
    groq: FakeGroq, warm: Transcriber, audio: Audio, says: str, waits: float
):
    groq.says(503, {"error": {}}, headers={"Retry-After": says})
    async with falling_back(groq, warm) as both:
        with pytest.raises(Failure) as raised:
            await Deferring(both).transcribe(audio, Wish("de"))
    assert (raised.value.retry_after, raised.value.charged, raised.value.outage) == (waits, False, None)


async def test_what_is_no_outage_is_not_deferred(groq: FakeGroq, warm: Transcriber, audio: Audio):
    groq.says(500, {"error": {}})
    async with falling_back(groq, warm) as both:
        with pytest.raises(Failure) as raised:
            await Deferring(both).transcribe(audio, Wish("de"))
    assert raised.value.charged


async def test_a_cancelled_request_is_not_taken_over(groq: FakeGroq, warm: Transcriber, audio: Audio):
    groq.says(hangs=True)
    async with falling_back(groq, warm) as transcriber:
        asking = asyncio.create_task(transcriber.transcribe(audio, ENGLISH))
        await groq.asked.wait()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking


def test_a_fallback_without_its_model_is_refused_at_the_start():
    with pytest.raises(SettingsError, match="ASR_MODEL"):
        asr_settings(asr_provider="groq", groq_api_key="k", asr_fallback="local", asr_model="/no/such/folder")
