"""Small real files of every container: 4 s of a moving picture and a tone, made by the ffmpeg of the settings."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.media import FFMPEG

SECONDS = 4
H264 = ("-c:v", "libx264", "-preset", "ultrafast", "-g", "10", "-pix_fmt", "yuv420p", "-c:a", "aac")
SOUND = ("-vn",)
LIVE = ("-c:v", "libvpx", "-deadline", "realtime", "-c:a", "libopus", "-live", "1")
"""As a browser's MediaRecorder writes: no duration, no index."""


@dataclass(frozen=True)
class Recording:
    """How ffmpeg makes the file, and what the resolver should say of it."""

    name: str
    options: tuple[str, ...]
    demuxer: str
    extension: str
    video: str | None = "h264"
    audio: str | None = "aac"


RECORDINGS = (
    Recording("plain.mp4", H264, "mov", "mp4"),
    Recording("fragmented.mp4", (*H264, "-movflags", "frag_keyframe+empty_moov+skip_trailer"), "mov", "mp4"),
    Recording("late.mp4", (*H264, "-output_ts_offset", "900"), "mov", "mp4"),
    Recording("camera.mov", H264, "mov", "mov"),
    Recording("older.mp4", ("-c:v", "mpeg4", "-c:a", "aac"), "mov", "mp4", "mpeg4"),
    Recording("voice.m4a", (*SOUND, "-c:a", "aac"), "mov", "mp4", video=None),
    Recording("plain.mkv", H264, "matroska", "mkv"),
    Recording("late.mkv", (*H264, "-output_ts_offset", "900"), "matroska", "mkv"),
    Recording("live.mkv", (*H264, "-live", "1"), "matroska", "mkv"),
    Recording("browser.webm", LIVE, "matroska", "webm", "vp8", "opus"),
    Recording("late-browser.webm", (*LIVE, "-output_ts_offset", "900"), "matroska", "webm", "vp8", "opus"),
    Recording("plain.ts", H264, "mpegts", "ts"),
    Recording("late.ts", (*H264, "-output_ts_offset", "900"), "mpegts", "ts"),
    Recording("disc.m2ts", (*H264, "-mpegts_m2ts_mode", "1"), "mpegts", "ts"),
    Recording("disc.vob", ("-c:v", "mpeg2video", "-c:a", "mp2"), "mpeg", "mpg", "mpeg2video", "mp2"),
    Recording("plain.avi", ("-c:v", "mpeg4", "-c:a", "libmp3lame"), "avi", "avi", "mpeg4", "mp3"),
    Recording("plain.flv", H264, "flv", "flv"),
    Recording("plain.wmv", ("-c:v", "wmv2", "-c:a", "wmav2"), "asf", "wmv", "wmv2", "wmav2"),
    Recording("plain.wav", SOUND, "wav", "wav", None, "pcm_s16le"),
    Recording("large.wav", (*SOUND, "-rf64", "always"), "wav", "wav", None, "pcm_s16le"),
    Recording("plain.mp3", (*SOUND, "-metadata", "title=a tone"), "mp3", "mp3", None, "mp3"),
    Recording("bare.mp3", (*SOUND, "-id3v2_version", "0", "-write_xing", "0"), "mp3", "mp3", None, "mp3"),
    Recording("quiet.mp3", (*SOUND, "-q:a", "4", "-write_xing", "0", "-af", "volume='gt(t,2)':eval=frame"), "mp3", "mp3", None, "mp3"),
    Recording("quiet.aac", (*SOUND, "-af", "volume='gt(t,2)':eval=frame"), "aac", "aac", None, "aac"),
    Recording("plain.ogg", (*SOUND, "-c:a", "libvorbis"), "ogg", "ogg", None, "vorbis"),
    Recording("plain.flac", SOUND, "flac", "flac", None, "flac"),
)


def recorded(recording: Recording, folder: Path) -> Path:
    path = folder / recording.name
    return path if path.exists() else made(path, *recording.options)


def made(path: Path, *options: str, picture: str = "testsrc2=s=64x48:r=25") -> Path:
    inputs = ("-f", "lavfi", "-i", f"{picture}:d={SECONDS}", "-f", "lavfi", "-i", f"sine=r=44100:d={SECONDS}")
    command = [FFMPEG, "-v", "error", "-y", *inputs, *options, "-threads", "1", str(path)]
    subprocess.run(command, check=True, timeout=30, stdin=subprocess.DEVNULL)
    return path


def image(path: Path, *options: str, size: str = "64x48") -> Path:
    command = [FFMPEG, "-v", "error", "-y", "-f", "lavfi", "-i", f"color=s={size}:d=1", "-frames:v", "1", *options, str(path)]
    subprocess.run(command, check=True, timeout=30, stdin=subprocess.DEVNULL)
    return path
