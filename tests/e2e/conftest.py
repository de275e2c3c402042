"""A film that is cut and transcribed in no time."""

import subprocess
from pathlib import Path

import pytest

from tests.asr.recordings import BECKETT


@pytest.fixture(scope="session")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As `small`, with a person who speaks for ten seconds."""
    path = tmp_path_factory.mktemp("spoken") / "spoken.mp4"
    film = ["-f", "lavfi", "-i", "testsrc2=size=160x96:rate=25", "-i", str(BECKETT.path)]
    coding = "-c:v libx264 -bf 0 -g 25 -c:a aac -ar 48000 -shortest"
    subprocess.run(["ffmpeg", "-v", "error", *film, *coding.split(), str(path)], check=True)
    return path
