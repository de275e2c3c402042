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
from services.asr import patience, suspicion
from services.asr.groq import open_groq
from services.asr.patience import Patient, pings
from services.asr.suspecting import Suspecting
from services.asr.transcriber import Audio
from services.asr.wish import Wish
from tests.asr.fake_groq import FakeGroq, fake_groq
from tests.asr.recordings import BECKETT
from tests.asr.settings import asr_settings
from tests.asr.sounds import spoken, tone
from tests.builders import history, ready, requested, transcribed, uploaded
from tests.runtime.desk import Desk


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
        yield Patient(Suspecting(inner, inner.reach), inner.reach)


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
    async with asyncio.timeout(40):
        while True:
            try:
                return await provider.ping()
            except Failure:
                await asyncio.sleep(0.01)


def asr_desk(tmp_path: Path, provider: Patient, transcribe: Any) -> Desk:
    desk = Desk(tmp_path, transcribe, name=StageName.ASR, optional=AsrFailed)
    desk.store.rows[:] = history(requested(with_subtitles=True), ready(), uploaded(), job_id=desk.cause.job_id)
    desk.events = desk.store.rows[1:]
    desk.world.health.also_watch(pings(provider))
    return desk


async def test_a_long_outage_of_the_provider_costs_no_attempt(groq: FakeGroq, audio: Audio, tmp_path: Path) -> None:
    """Six refusals, then an answer: one start, nothing charged, and the subtitles are there."""
    for _ in range(6):
        groq.says(503, {"error": {}})
    async with patient(groq) as provider:

        async def transcribe(_event: ClipUploaded, _ctx: Context[Any, Any]) -> AsrDone:
            await provider.transcribe(audio, Wish())
            return transcribed()

        desk = asr_desk(tmp_path, provider, transcribe)
        delivery = await desk.deliver()
    assert set(delivery.did) <= {"in_progress", "ack"}
    assert desk.types == ["clip.uploaded", "stage.started", "asr.done"]
    assert not [row for row in desk.store.rows if isinstance(row.event, StageRetried)]
    assert (desk.job.status, desk.job.warnings) == ("done", ())


async def test_a_sound_that_alone_is_refused_ends_by_its_attempts(groq: FakeGroq, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A gateway that gives up on it says 504, as in an outage; all the while others are served."""
    monkeypatch.setattr(suspicion, "TIMES", 1)
    monkeypatch.setattr(suspicion, "APART", 0.0)
    other, poison = tone(tmp_path, name="other.flac"), tone(tmp_path, hertz=500)
    groq.fails_at = poison.path.read_bytes()
    async with patient(groq) as provider:

        async def transcribe(_event: ClipUploaded, _ctx: Context[Any, Any]) -> AsrDone:
            await provider.transcribe(other, Wish())
            await provider.transcribe(poison, Wish())
            return transcribed()

        desk = asr_desk(tmp_path, provider, transcribe)
        did = [(await desk.deliver()).did[-1] for _ in range(3)]
    ends = [row.event for row in desk.store.rows if isinstance(row.event, StageRetried)]
    assert (did, [end.charged for end in ends]) == (["nak", "nak", "term"], [True, True])
    assert desk.calls == 6, "each attempt was believed once"
    assert (desk.job.status, [warning.code for warning in desk.job.warnings]) == ("done", [Code.RETRIES_EXHAUSTED])


async def test_a_provider_that_is_not_there_makes_no_sound_suspect(audio: Audio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suspicion, "LONGEST", 0.0)
    async with fake_groq() as gone:
        pass
    async with patient(gone) as provider:
        for _ in range(3):
            with pytest.raises(Failure) as failed:
                await provider.transcribe(audio, Wish())
            assert failed.value.outage == "asr"
