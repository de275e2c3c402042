"""From a clip in S3 to its subtitles in S3: real ffmpeg, real S3, real speech."""

import asyncio
import io
import json
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID, uuid4

import pytest
import webvtt

from libs.common.domain.events import AsrDone, ClipUploaded
from libs.common.domain.failures import Code, Failure
from libs.common.domain.job import fold
from libs.common.runtime.context import Context
from libs.common.runtime.object_store import ObjectStore, open_object_store
from services.asr.cues import Cue
from services.asr.handler import transcribe_clip
from services.asr.local import open_local
from services.asr.rules import HORIZONTAL, VERTICAL
from services.asr.settings import AsrSettings
from services.asr.transcriber import Audio, Transcriber
from services.asr.transcript import Word
from services.asr.wish import Wish
from tests import media
from tests.asr.judging import violations
from tests.asr.recordings import BECKETT, TWO_CITIES, Recording, word_error_rate
from tests.asr.settings import asr_settings
from tests.asr.subrip import parsed
from tests.builders import history, requested, uploaded

RATE = 10
PICTURE = ("-f", "lavfi", "-i", f"testsrc=size=160x90:rate={RATE}")
ENCODED = ("-c:v", "libx264", "-preset", "ultrafast", "-c:a", "aac", "-movflags", "+faststart")


@pytest.fixture(scope="module")
def settings(servers: dict[str, str]) -> AsrSettings:
    return asr_settings(**servers)


@pytest.fixture(scope="module")
async def objects(settings: AsrSettings) -> AsyncIterator[ObjectStore]:
    async with open_object_store(settings) as store:
        await store.ensure_buckets()
        yield store


@pytest.fixture(scope="module")
async def transcriber(settings: AsrSettings) -> AsyncIterator[Transcriber]:
    async with open_local(settings) as opened:
        yield opened


class Asr:
    """The handler with a world around it; one job each."""

    def __init__(self, folder: Path, settings: AsrSettings, objects: ObjectStore, tools: Transcriber) -> None:
        self.folder, self.settings, self.objects, self.tools = folder, settings, objects, tools
        self.job_id: UUID = uuid4()
        self.progress: list[float] = []

    async def clip(self, *inputs: str, seconds: float) -> ClipUploaded:
        """A clip made by ffmpeg, and put where the clipper puts it."""
        path = self.folder / "made.mp4"
        await asyncio.to_thread(
            subprocess.run, ["ffmpeg", "-v", "error", "-y", *inputs, "-t", str(seconds), *ENCODED, str(path)], check=True
        )
        return await self.put(path, seconds)

    async def put(self, path: Path, seconds: float, **fields: bool) -> ClipUploaded:
        key = f"results/{self.job_id}/clip.mp4"
        size = await self.objects.results.upload(key, path, "video/mp4")
        return uploaded(video_key=key, size=size, duration=seconds, **fields)

    async def answers(self, clip: ClipUploaded, *, language: str = "auto") -> AsrDone:
        return await transcribe_clip(clip, self.context(clip, language))

    def context(self, clip: ClipUploaded, language: str) -> Context[AsrSettings, Transcriber]:
        scratch = self.folder / "scratch"
        scratch.mkdir()
        return Context(
            job_id=self.job_id,
            job=fold(history(requested(with_subtitles=True, subtitle_lang=language), clip)),
            settings=self.settings,
            tools=self.tools,
            objects=self.objects,
            folder=lambda: scratch,
            progress=self.note,
        )

    async def note(self, progress: float) -> None:
        self.progress.append(progress)

    async def cues(self, done: AsrDone) -> list[Cue]:
        return parsed(await self.text(done.srt_key))

    async def text(self, key: str | None) -> str:
        assert key
        info = await self.objects.results.head(key)
        assert info
        return (await self.objects.results.read(key, 0, info.size)).decode() if info.size else ""


@pytest.fixture
def asr(tmp_path: Path, settings: AsrSettings, objects: ObjectStore, transcriber: Transcriber) -> Asr:
    return Asr(tmp_path, settings, objects, transcriber)


def speech(recording: Recording) -> tuple[str, str]:
    return ("-i", str(recording.path))


def text_of(cues: list[Cue]) -> str:
    return " ".join(" ".join(cue.lines) for cue in cues)


@pytest.mark.parametrize(
    ("recording", "seconds"), [(BECKETT, 9.9), pytest.param(TWO_CITIES, 44.3, marks=pytest.mark.thorough)], ids=["Beckett", "Dickens"]
)
async def test_a_clips_speech_becomes_its_subtitles(asr: Asr, recording: Recording, seconds: float):
    done = await asr.answers(await asr.clip(*PICTURE, *speech(recording), seconds=seconds))
    cues = await asr.cues(done)
    assert len(cues) > 1
    assert word_error_rate(text_of(cues), recording.text) < 0.05
    assert done == AsrDone(
        srt_key=f"results/{asr.job_id}/clip.srt",
        vtt_key=f"results/{asr.job_id}/clip.vtt",
        text_key=f"results/{asr.job_id}/clip.txt",
        json_key=f"results/{asr.job_id}/clip.json",
        language="en",
        provider="local",
        model="tiny.en",
        cues=len(cues),
        audio_seconds=pytest.approx(seconds, abs=0.01),
    )
    document = json.loads(await asr.text(done.json_key))
    words = [Word(word["word"], word["start"], word["end"]) for word in document["words"]]
    assert violations(cues, words, HORIZONTAL, seconds=seconds, language="en", gap=2 * 1000 // RATE) == []
    assert [tuple(cue["lines"]) for cue in document["cues"]] == [cue.lines for cue in cues]
    assert word_error_rate(await asr.text(done.text_key), recording.text) < 0.05
    assert len(webvtt.from_buffer(io.StringIO(await asr.text(done.vtt_key)))) == len(cues)
    assert asr.progress == sorted(asr.progress)


async def test_lines_are_narrower_in_a_film_that_a_player_turns_upright(asr: Asr):
    await asr.clip("-f", "lavfi", "-i", f"testsrc=size=160x96:rate={RATE}", *speech(BECKETT), seconds=9.9)
    upright = media.turned(asr.folder / "made.mp4")
    cues = await asr.cues(await asr.answers(await asr.put(upright, 9.9)))
    assert max(len(line) for cue in cues for line in cue.lines) <= VERTICAL.columns
    assert word_error_rate(text_of(cues), BECKETT.text) == 0


async def test_sound_that_begins_after_the_picture_has_its_cues_as_much_later(asr: Asr, tmp_path: Path):
    at_once = await asr.cues(await asr.answers(await asr.clip(*PICTURE, *speech(BECKETT), seconds=9.9)))
    other = Asr(tmp_path / "late", asr.settings, asr.objects, asr.tools)
    other.folder.mkdir()
    late = await other.cues(await other.answers(await other.clip(*PICTURE, "-itsoffset", "2.5", *speech(BECKETT), seconds=12.4)))
    assert late[0].start - at_once[0].start == pytest.approx(2500, abs=300)
    assert late[-1].start - at_once[-1].start == pytest.approx(2500, abs=150)
    assert word_error_rate(text_of(late), BECKETT.text) == 0


async def test_a_clip_without_sound_gets_an_empty_file_and_a_warning(asr: Asr):
    done = await asr.answers(uploaded(video_key="results/none/clip.mp4", has_audio=False), language="de")
    assert await asr.cues(done) == []
    assert [notice.code for notice in done.warnings] == ["NO_AUDIO"]
    assert (done.cues, done.audio_seconds, done.language) == (0, 0.0, "de")
    assert (await asr.text(done.vtt_key), await asr.text(done.text_key)) == ("WEBVTT\n\n", "")
    assert json.loads(await asr.text(done.json_key)) == {"language": "de", "duration": 2.0, "cues": [], "words": []}


async def test_a_clip_in_which_nobody_speaks_gets_an_empty_file_and_a_warning(asr: Asr):
    clip = await asr.clip(*PICTURE, "-f", "lavfi", "-i", "anullsrc=r=44100:cl=stereo", seconds=3)
    done = await asr.answers(clip)
    assert await asr.cues(done) == []
    assert [notice.code for notice in done.warnings] == ["NO_SPEECH"]


async def test_a_language_that_the_model_cannot_do_fails_for_good(asr: Asr):
    clip = await asr.clip(*speech(BECKETT), seconds=2)
    with pytest.raises(Failure) as raised:
        await asr.answers(clip, language="fr")
    assert (raised.value.code, raised.value.retryable) == (Code.VALIDATION_FAILED, False)


HOSTILE = {
    "rubbish": b"\x00\x00\x00\x18ftypisom" + bytes(200),
    "a playlist": b"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nother.ts\n#EXT-X-ENDLIST\n",
    "a list of files": b"ffconcat version 1.0\nfile /etc/passwd\n",
    "nothing": b"",
}


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE.keys())
async def test_a_clip_that_is_no_mp4_is_unreadable(asr: Asr, body: bytes):
    path = asr.folder / "made.mp4"
    path.write_bytes(body)
    with pytest.raises(Failure) as raised:
        await asr.answers(await asr.put(path, 5.0))
    assert raised.value.code is Code.SOURCE_UNREADABLE


async def test_a_cancelled_job_leaves_the_recogniser_fit_for_the_next(asr: Asr):
    clip = await asr.clip(*PICTURE, *speech(BECKETT), seconds=9.9)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asr.answers(clip), timeout=0.3)
    transcript = await asr.tools.transcribe(Audio(BECKETT.path, BECKETT.seconds), Wish("en"))
    assert transcript.words
