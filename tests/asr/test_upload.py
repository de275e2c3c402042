"""The forms in which sound is sent: what is refused as too large goes smaller, and nothing of it is lost."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from libs.common.domain.failures import Code, Failure
from services.asr.groq import open_groq
from services.asr.local import LocalTranscriber
from services.asr.parts import Part
from services.asr.transcriber import Audio
from services.asr.transcript import Transcript
from services.asr.upload import MEGABYTE, as_opus, as_parts, encoding, loudness
from services.asr.wish import Wish
from tests.asr.fake_groq import FakeGroq, Request, fake_groq
from tests.asr.recordings import BECKETT, TWO_CITIES, word_error_rate
from tests.asr.settings import asr_settings
from tests.asr.sounds import RATE, beeps, heard_beeps, pcm, spoken, tone


@pytest.fixture
async def groq() -> AsyncIterator[FakeGroq]:
    async with fake_groq() as server:
        yield server


async def transcribed(groq: FakeGroq, audio: Audio, **variables: object) -> Transcript:
    settings = asr_settings(asr_provider="groq", groq_api_key="k", asr_base_url=groq.url, **variables)
    async with open_groq(settings) as transcriber:
        return await transcriber.transcribe(audio, Wish("en"))


def sent(groq: FakeGroq) -> list[str]:
    return [request.file_name for request in groq.requests]


def seconds_of(sound: bytes) -> float:
    return len(pcm(sound)) / RATE


def test_the_commands_read_nothing_but_the_flac_file():
    assert " ".join(encoding("ffmpeg", "clip.flac", Part(1.5, 20.25), "part.ogg")) == (
        "ffmpeg -nostdin -hide_banner -v error -y -protocol_whitelist file -f flac -threads 1 -i clip.flac"
        " -af atrim=1.500000:20.250000,asetpts=PTS-STARTPTS -threads 1 -c:a libopus -b:a 24000 -f ogg part.ogg"
    )
    assert " ".join(loudness("ffmpeg", "clip.flac")) == (
        "ffmpeg -nostdin -hide_banner -v error -protocol_whitelist file,pipe -f flac -threads 1 -i clip.flac"
        " -af aeval=abs(val(0)):c=same,aresample=100 -threads 1 -c:a pcm_s16le -f s16le pipe:1"
    )


async def test_what_is_within_the_limit_goes_as_flac(groq: FakeGroq, tmp_path: Path):
    await transcribed(groq, tone(tmp_path))
    assert sent(groq) == ["clip.flac"]


async def test_above_our_limit_it_goes_as_opus_at_once(groq: FakeGroq, tmp_path: Path):
    audio = spoken(tmp_path, BECKETT)
    limit = audio.path.stat().st_size - 1
    await transcribed(groq, audio, asr_max_upload_mb=limit / MEGABYTE)
    assert sent(groq) == ["clip.ogg"]
    assert len(groq.requests[0].content) < limit / 3
    assert seconds_of(groq.requests[0].content) == pytest.approx(BECKETT.seconds, abs=0.01)


async def test_above_the_providers_limit_it_goes_as_opus_after_a_413(groq: FakeGroq, tmp_path: Path):
    audio = spoken(tmp_path, BECKETT)
    groq.limit = audio.path.stat().st_size - 1
    assert (await transcribed(groq, audio)).words
    assert sent(groq) == ["clip.flac", "clip.ogg"]


async def test_what_is_too_large_in_every_form_is_given_up(groq: FakeGroq, tmp_path: Path):
    groq.limit = 100
    with pytest.raises(Failure) as raised:
        await transcribed(groq, tone(tmp_path))
    assert raised.value.code is Code.INPUT_TOO_LARGE
    assert sent(groq) == ["clip.flac", "clip.ogg", "clip.ogg"]


async def test_parts_are_cut_to_the_limit_and_are_the_whole(tmp_path: Path):
    audio, settings = spoken(tmp_path, BECKETT), asr_settings(asr_max_upload_mb=0.008)
    uploads = await as_parts(audio, settings)
    assert len(uploads) > 4
    assert all(upload.size <= 0.008 * MEGABYTE for upload in uploads)
    lengths = [seconds_of(upload.path.read_bytes()) for upload in uploads]
    assert lengths == pytest.approx([upload.part.end - upload.part.start for upload in uploads], abs=0.001)
    assert sum(lengths) == pytest.approx(BECKETT.seconds, abs=0.01)


async def test_audio_that_can_not_be_made_smaller_is_tried_again(tmp_path: Path):
    (tmp_path / "clip.flac").write_bytes(b"fLaC" + bytes(100))
    with pytest.raises(Failure) as raised:
        await as_opus(Audio(tmp_path / "clip.flac", 2.0), asr_settings())
    assert raised.value.code is Code.RETRYABLE_ERROR


@pytest.mark.parametrize(("minutes", "limit"), [(0.5, 0.04), pytest.param(3, 0.1, marks=pytest.mark.thorough)])
async def test_minutes_in_parts_lose_no_word_and_no_time(groq: FakeGroq, tmp_path: Path, minutes: float, limit: float):
    audio, said = beeps(tmp_path, count=round(minutes * 86))
    assert audio.seconds > 60 * minutes - 1

    async def hears(request: Request) -> Mapping[str, Any]:
        return await asyncio.to_thread(heard_beeps, request.content)

    groq.hears = hears
    whole = await transcribed(groq, audio)
    split = await transcribed(groq, audio, asr_max_upload_mb=limit)
    assert len(groq.requests) > 5
    for transcript in (whole, split):
        assert [word.text for word in transcript.words] == [word for word, _ in said]
        assert [word.start for word in transcript.words] == pytest.approx([start for _, start in said], abs=0.02)
    assert split.audio_seconds == audio.seconds


async def test_real_speech_in_parts_is_understood(groq: FakeGroq, warm: LocalTranscriber, tmp_path: Path):

    async def hears(request: Request) -> Mapping[str, Any]:
        path = tmp_path / f"{len(groq.requests)}-{request.file_name}"
        await asyncio.to_thread(path.write_bytes, request.content)
        return {"text": "", **msgspec.json.decode(await warm.recognisers[0].ask(path, Wish("en")))}

    groq.hears = hears
    transcript = await transcribed(groq, spoken(tmp_path, TWO_CITIES), asr_max_upload_mb=0.05)
    assert len(groq.requests) >= 4
    assert word_error_rate(" ".join(word.text for word in transcript.words), TWO_CITIES.text) < 0.05
