"""The sample that the demo cuts: a moving picture with a time code in it, and a real recording of a person reading.

The recording is "A Tale of Two Cities" from the moonshine-voice wheel (LibriVox, public domain); it begins 10 s into the sample.
"""

import asyncio
import os
from importlib.util import find_spec
from pathlib import Path

from libs.common.runtime.fonts import fonts_folder

SECONDS = 60
SPEECH_AT = 10.0
FRAME_RATE = 25
SENTENCE = (
    "We had everything before us, we had nothing before us, we were all going direct to heaven, we were all going direct the other way."
)
SENTENCE_START, SENTENCE_END = 30.3, 39.3
"""Where that sentence is spoken in the sample, in seconds, from silence to silence."""


def recording(name: str = "two_cities.wav") -> Path:
    """A recording of the moonshine-voice wheel, found without importing it."""
    spec = find_spec("moonshine_voice")
    folders = spec.submodule_search_locations if spec else None
    found = [path for folder in folders or () for path in Path(folder).rglob(name)]
    if not found:
        raise FileNotFoundError(f"{name} of the moonshine-voice wheel is not installed: run `make setup`")
    return found[0]


async def make_sample(path: Path) -> Path:
    """H.264 720p with a keyframe every 2 s, AAC; made once and kept. Raises RuntimeError with ffmpeg's last words."""
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial.mp4")
    process = await asyncio.create_subprocess_exec(*arguments(partial), stdin=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE)
    _, errors = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"ffmpeg could not make the sample:\n{errors.decode(errors='replace')[-2000:]}")
    return partial.replace(path)


def arguments(output: Path) -> list[str]:
    folder = fonts_folder()
    if folder is None:
        raise FileNotFoundError("the fonts of the manimgx-fonts wheel are not installed: run `make setup`")
    font = folder / "NotoSans[wght].ttf"
    clock = (
        rf"drawtext=fontfile='{font}':text='%{{pts\:hms}}':fontsize=72:fontcolor=white:box=1:boxcolor=black:boxborderw=12:x=(w-tw)/2:y=60"
    )
    picture = f"testsrc2=size=1280x720:rate={FRAME_RATE}:duration={SECONDS}"
    program = os.environ.get("FFMPEG_BIN", "ffmpeg")
    inputs = ["-f", "lavfi", "-i", picture, "-i", str(recording())]
    filters = ["-filter:v", clock, "-filter:a", f"adelay={int(SPEECH_AT * 1000)}:all=1,apad", "-t", str(SECONDS)]
    video = ["-c:v", "libx264", "-preset", "veryfast", "-crf", "23", "-g", str(2 * FRAME_RATE), "-pix_fmt", "yuv420p"]
    audio = ["-c:a", "aac", "-b:a", "128k", "-ar", "48000", "-ac", "2", "-movflags", "+faststart"]
    return [program, "-nostdin", "-v", "error", "-y", *inputs, *filters, *video, *audio, str(output)]
