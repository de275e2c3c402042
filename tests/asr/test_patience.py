"""A provider that is away for long: nobody is charged for it, it is not stormed, and its return is noticed by itself."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from libs.common.domain.events import AsrDone, AsrFailed, ClipUploaded, StageName, StageRetried
from libs.common.domain.failures import Code, Failure
from libs.common.runtime.context import Context
from services.asr import patience
from services.asr.groq import open_groq
from services.asr.patience import Patient, pings
from services.asr.transcriber import Audio
from services.asr.wish import Wish
from tests.asr.fake_groq import FakeGroq, fake_groq
from tests.asr.recordings import BECKETT
from tests.asr.settings import asr_settings
from tests.asr.sounds import spoken
from tests.builders import history, ready, requested, transcribed, uploaded
from tests.runtime.test_stage import Desk


@pytest.fixture
async def groq() -> AsyncIterator[FakeGroq]:
    async with fake_groq() as server:
        yield server


@pytest.fixture
def audio(tmp_path: Path) -> Audio:
    return spoken(tmp_path, BECKETT)


@pytest.fixture(autouse=True)
def short_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "REST", 0.05)


@asynccontextmanager
async def patient(groq: FakeGroq) -> AsyncIterator[Patient]:
    async with open_groq(asr_settings(asr_provider="groq", groq_api_key="k", asr_base_url=groq.url)) as inner:
        yield Patient(inner, inner.reach)


async def test_a_provider_that_is_well_is_not_asked_how_it_is(groq: FakeGroq) -> None:
    async with patient(groq) as provider:
        await provider.ping()
    assert groq.requests == []


async def test_a_provider_that_is_away_is_left_alone_for_a_moment_and_then_tried(groq: FakeGroq, audio: Audio) -> None:
    async with patient(groq) as provider:
        groq.says(503, {"error": {}})
        with pytest.raises(Failure) as failed:
            await provider.transcribe(audio, Wish())
        assert failed.value.outage == "asr"
        with pytest.raises(Failure):
            await provider.ping()
        assert len(groq.requests) == 1
        await eventually_well(provider)
        assert (await provider.transcribe(audio, Wish())).words
        await provider.ping()


async def test_what_is_the_audios_fault_says_nothing_of_the_provider(groq: FakeGroq, audio: Audio) -> None:
    async with patient(groq) as provider:
        groq.says(400, {"error": {}})
        with pytest.raises(Failure) as failed:
            await provider.transcribe(audio, Wish())
        assert failed.value.code is Code.SOURCE_UNREADABLE
        await provider.ping()


async def eventually_well(provider: Patient) -> None:
    async with asyncio.timeout(10):
        while True:
            try:
                return await provider.ping()
            except Failure:
                await asyncio.sleep(0.01)


async def test_a_long_outage_of_the_provider_costs_no_attempt(groq: FakeGroq, audio: Audio, tmp_path: Path) -> None:
    """Six refusals, then an answer: one start, nothing charged, and the subtitles are there."""
    for _ in range(6):
        groq.says(503, {"error": {}})
    async with patient(groq) as provider:

        async def transcribe(_event: ClipUploaded, _ctx: Context[Any, Any]) -> AsrDone:
            await provider.transcribe(audio, Wish())
            return transcribed()

        desk = Desk(tmp_path, transcribe, name=StageName.ASR, optional=AsrFailed)  # type: ignore[arg-type]
        desk.store.rows[:] = history(requested(with_subtitles=True), ready(), uploaded(), job_id=desk.cause.job_id)
        desk.events = desk.store.rows[1:]

        desk.world.health.also_watch(pings(provider))
        delivery = await desk.deliver()
    assert set(delivery.did) <= {"in_progress", "ack"}
    assert desk.types == ["clip.uploaded", "stage.started", "asr.done"]
    assert not [row for row in desk.store.rows if isinstance(row.event, StageRetried)]
    assert (desk.job.status, desk.job.warnings) == ("done", ())
