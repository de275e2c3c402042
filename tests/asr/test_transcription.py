"""A clip's sound to its transcript: the same sound is known again in whatever clip it comes, and is paid for once."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from libs.common.domain.failures import Code, Failure
from services.asr.audio import extract_audio
from services.asr.providers import open_transcriber
from services.asr.settings import AsrSettings
from services.asr.transcriber import Transcriber
from services.asr.transcript import Transcript
from services.asr.transcription import transcribed
from services.asr.wish import Wish
from tests.asr.fake_groq import FakeGroq, fake_groq
from tests.asr.recordings import BECKETT
from tests.asr.settings import asr_settings

PICTURE = ("-f", "lavfi", "-i", "testsrc=size=160x90:rate=10")
SPEECH = ("-i", str(BECKETT.path))


@pytest.fixture
async def groq() -> AsyncIterator[FakeGroq]:
    async with fake_groq() as server:
        yield server


async def clip(folder: Path, *options: str, seconds: float = 5.0) -> Path:
    folder.mkdir()
    path = folder / "clip.mp4"
    making = await asyncio.create_subprocess_exec("ffmpeg", "-v", "error", *options, "-t", str(seconds), str(path))
    assert await making.wait() == 0
    return path


async def flac_of(path: Path, seconds: float = 5.0) -> bytes:
    return (await extract_audio(path, seconds, asr_settings())).path.read_bytes()


async def test_the_same_sound_gives_the_same_bytes_in_any_clip(tmp_path: Path):
    first = await clip(tmp_path / "first", *PICTURE, *SPEECH, "-metadata", "title=first")
    copied = await clip(tmp_path / "copied", "-i", str(first), "-c", "copy", "-metadata", "title=copied", "-movflags", "+faststart")
    no_picture = await clip(tmp_path / "sound", "-i", str(first), "-c", "copy", "-vn")
    other = await clip(tmp_path / "other", *PICTURE, "-ss", "1", *SPEECH)
    known = await flac_of(first)
    assert [await flac_of(each) == known for each in (first, copied, no_picture, other)] == [True, True, True, False]


async def test_the_bytes_tell_nothing_of_the_program_that_made_them(tmp_path: Path):
    """Replicas on two versions of ffmpeg would not know each other's transcripts."""
    known = await flac_of(await clip(tmp_path / "first", *SPEECH, "-metadata", "title=secret"))
    assert not any(word in known for word in (b"Lavf", b"Lavc", b"secret"))


def settings_for(groq: FakeGroq, servers: dict[str, str]) -> AsrSettings:
    return asr_settings(**servers, asr_provider="groq", groq_api_key="k", asr_base_url=groq.url)


async def asked(path: Path, wish: Wish, tools: Transcriber, settings: AsrSettings, seconds: float = 5.0) -> tuple[Transcript, list[float]]:
    noted: list[float] = []

    async def progress(share: float) -> None:
        noted.append(share)

    return await transcribed(path, seconds, wish, tools, settings, progress), noted


async def test_two_jobs_clips_of_the_same_sound_are_paid_for_once(groq: FakeGroq, servers: dict[str, str], tmp_path: Path):
    first = await clip(tmp_path / "first", *PICTURE, *SPEECH)
    second = await clip(tmp_path / "second", "-i", str(first), "-c", "copy", "-metadata", "title=another job's")
    settings = settings_for(groq, servers)
    async with open_transcriber(settings) as one, open_transcriber(settings) as other:
        paid, noted = await asked(first, Wish("en"), one, settings)
        free, _ = await asked(second, Wish("en"), other, settings)
    assert len(groq.requests) == 1
    assert (paid.reused, free.reused, free.words) == (False, True, paid.words)
    assert noted == [0.2, 0.9]


async def test_the_providers_fallback_is_the_one_of_the_settings(groq: FakeGroq, servers: dict[str, str], tmp_path: Path):
    groq.says(503, {"error": {}})
    settings = asr_settings(
        **servers, asr_provider="groq", groq_api_key="k", asr_base_url=groq.url, asr_fallback="local", asr_beam=1, asr_model="tiny.en"
    )
    async with open_transcriber(settings) as tools:
        transcript, _ = await asked(await clip(tmp_path / "clip", *SPEECH, seconds=6.0), Wish(), tools, settings, seconds=6.0)
    assert (transcript.provider, transcript.model, transcript.language, transcript.fell_back) == ("local", "tiny.en", "en", True)
    assert transcript.words


async def test_what_can_not_be_done_fails_before_any_work(groq: FakeGroq, servers: dict[str, str], tmp_path: Path):
    settings = settings_for(groq, servers)
    async with open_transcriber(settings) as tools:
        with pytest.raises(Failure) as raised:
            await asked(tmp_path / "none.mp4", Wish(task="translate"), tools, settings)
    assert raised.value.code is Code.VALIDATION_FAILED
