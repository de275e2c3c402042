"""Real speech through the whole system: what was said, in the files that a client downloads, held against the rules."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from services.asr.cues import Cue
from services.asr.rules import HORIZONTAL
from services.asr.transcript import Word
from tests.asr.judging import violations
from tests.asr.recordings import BECKETT, TWO_CITIES, Recording, word_error_rate
from tests.e2e.test_main_job import result_files
from tests.whole_stack import System

pytestmark = pytest.mark.timeout(600)
FRAME_RATE = 25


def filmed(recording: Recording, path: Path) -> Path:
    picture = f"-f lavfi -i color=gray:size=320x180:rate={FRAME_RATE} -shortest -c:v libx264 -preset ultrafast -c:a aac"
    subprocess.run(["ffmpeg", "-v", "error", "-i", str(recording.path), *picture.split(), str(path)], check=True)
    return path


def cues_of(document: dict[str, Any]) -> list[Cue]:
    return [Cue(round(cue["start"] * 1000), round(cue["end"] * 1000), tuple(cue["lines"])) for cue in document["cues"]]


@pytest.mark.parametrize("recording", [BECKETT, pytest.param(TWO_CITIES, marks=pytest.mark.thorough)], ids=lambda recording: recording.name)
async def test_what_was_said_is_read_and_breaks_no_rule(system: System, tmp_path: Path, recording: Recording):
    end = int(recording.seconds)
    job_id = await system.submit(filmed(recording, tmp_path / "film.mp4"), start=0, end=end + 0.3, withSubtitles=True, subtitleLang="en")
    job = await system.until(job_id, status="done")
    assert job.get("warnings", []) == []
    files = await result_files(system, job_id, tmp_path)
    assert word_error_rate(files["text"].read_text(), recording.text) < 0.05
    document = json.loads(files["json"].read_text())
    words = [Word(word["word"], word["start"], word["end"]) for word in document["words"]]
    gap = 2 * 1000 // FRAME_RATE
    assert violations(cues_of(document), words, HORIZONTAL, seconds=document["duration"], language="en", gap=gap) == []


async def test_the_same_sound_again_is_not_transcribed_again(system: System, tmp_path: Path):
    film = filmed(BECKETT, tmp_path / "film.mp4")
    texts = []
    for n in range(2):
        job_id = await system.submit(film, start=0, end=9, withSubtitles=True, subtitleLang="en")
        job = await system.until(job_id, status="done")
        texts.append((await result_files(system, job_id, tmp_path))["srt"].read_text())
        done = next(event for event in job["events"] if event["type"] == "asr.done")
        assert done["data"].get("reused", False) is bool(n)
    assert texts[0] == texts[1] != ""
