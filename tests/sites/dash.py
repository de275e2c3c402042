"""DASH in the shapes of its profiles (ISO/IEC 23009-1, 5.3.9): by template, by list of ranges, and one file with an index (sidx)."""

import struct
import subprocess
from pathlib import Path

from tests.media import FFMPEG

SEGMENTS = ("-c", "copy", "-f", "dash", "-seg_duration", "6.3")


def with_timeline(film: Path, folder: Path) -> None:
    """SegmentTemplate with a SegmentTimeline; picture and sound apart, as always in DASH."""
    _ffmpeg(film, *SEGMENTS, "-use_template", "1", "-use_timeline", "1", str(folder / "index.mpd"))


def with_numbers(film: Path, folder: Path) -> None:
    """SegmentTemplate with the segments' number and their usual duration."""
    _ffmpeg(film, *SEGMENTS, "-use_template", "1", "-use_timeline", "0", str(folder / "index.mpd"))


def with_ranges(film: Path, folder: Path) -> None:
    """SegmentList: ranges of one file."""
    _ffmpeg(film, *SEGMENTS, "-single_file", "1", str(folder / "index.mpd"))


def live(film: Path, folder: Path) -> None:
    with_timeline(film, folder)
    playlist = folder / "index.mpd"
    playlist.write_text(playlist.read_text().replace('type="static"', 'type="dynamic" availabilityStartTime="2026-01-01T00:00:00Z"'))


def on_demand(film: Path, folder: Path) -> None:
    """SegmentBase: one file each, whose sidx tells where its parts lie."""
    sets = []
    for name, stream, codecs in (("video", "v", "avc1.4d500b"), ("audio", "a", "mp4a.40.2")):
        path = folder / f"{name}.mp4"
        _ffmpeg(film, "-map", f"0:{stream}", "-c", "copy", "-movflags", "frag_keyframe+empty_moov+default_base_moof+global_sidx",
                "-frag_duration", "6000000", str(path))  # fmt: skip
        sets.append(_adaptation_set(path, name, codecs))
    (folder / "index.mpd").write_text(
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"'
        ' profiles="urn:mpeg:dash:profile:isoff-on-demand:2011"'
        f' mediaPresentationDuration="PT{_seconds(film)}S" minBufferTime="PT6S"><Period>{"".join(sets)}</Period></MPD>'
    )


def _adaptation_set(path: Path, name: str, codecs: str) -> str:
    before, index = _index(path)
    size = ' width="160" height="96"' if name == "video" else ' audioSamplingRate="48000"'
    return (
        f'<AdaptationSet contentType="{name}" mimeType="{name}/mp4"><Representation id="{name}" bandwidth="128000" codecs="{codecs}"{size}>'
        f'<BaseURL>{path.name}</BaseURL><SegmentBase indexRange="{index.start}-{index.stop - 1}"><Initialization range="0-{before - 1}"/>'
        "</SegmentBase></Representation></AdaptationSet>"
    )


def _index(path: Path) -> tuple[int, range]:
    """Where the initialisation ends, and where the sidx box is."""
    data = path.read_bytes()
    at = 0
    while True:
        size, name = struct.unpack_from(">I4s", data, at)
        if name == b"sidx":
            return at, range(at, at + size)
        at += size


def _seconds(film: Path) -> str:
    command = ["ffprobe", "-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0", str(film)]
    return subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=30, text=True).stdout.strip()


def _ffmpeg(film: Path, *arguments: str) -> None:
    subprocess.run([FFMPEG, "-v", "error", "-y", "-i", str(film), *arguments], check=True, timeout=170)
