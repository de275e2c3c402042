"""Reads and writes whole files by the package under test, and asks ffprobe for the same."""

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from services.clipper.mp4.composing import Composition, Edit, OutputSamples, OutputTrack, timeline
from services.clipper.mp4.moov_search import moov_search
from services.clipper.mp4.movie import Movie, Samples, Track, read_movie
from tests import media

UNTURNED = b"".join(value.to_bytes(4) for value in (1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30))


@dataclass(frozen=True)
class Searched:
    moov: bytes | None
    reads: list[range]


def searched(data: bytes) -> Searched:
    """The moov box of a file, and what was read to find it."""
    search, reads = moov_search(len(data)), []
    try:
        wanted = next(search)
        while True:
            reads.append(wanted)
            wanted = search.send(data[wanted.start : wanted.stop])
    except StopIteration as end:
        return Searched(end.value, reads)


def moov_of(path: Path) -> bytes:
    moov = searched(path.read_bytes()).moov
    assert moov is not None
    return moov


def movie_of(path: Path) -> Movie:
    return read_movie(moov_of(path), path.stat().st_size)


def part_of(path: Path, start: float, end: float) -> tuple[Track, ...]:
    """The tracks with their samples between two times."""
    movie = read_movie(moov_of(path), path.stat().st_size, is_whole=False)
    assert not any(len(track.samples) for track in movie.tracks)
    return tuple(track.within(start, end) for track in movie.tracks)


@dataclass(frozen=True)
class Packet:
    pts: int
    dts: int
    size: int
    pos: int
    is_key: bool
    is_hidden: bool


def probed(path: Path, stream: int) -> list[Packet]:
    """What ffprobe finds, in the order of the file."""
    entries = "packet=pts,dts,size,pos,flags"
    command = [media.FFPROBE, "-v", "error", "-select_streams", str(stream), "-show_entries", entries, "-of", "compact=p=0", str(path)]
    lines = subprocess.run(command, capture_output=True, check=True, timeout=60, text=True).stdout.split()
    rows = [dict(field.split("=") for field in line.split("|") if "=" in field) for line in lines]
    return [_packet(row) for row in rows if "pts" in row]


def _packet(row: dict[str, str]) -> Packet:
    pts, dts, size, pos = (int(row[name]) for name in ("pts", "dts", "size", "pos"))
    return Packet(pts, dts, size, pos, is_key="K" in row["flags"], is_hidden="D" in row["flags"])


def packets(samples: Samples) -> list[Packet]:
    """The same of what was read."""
    columns = (samples.present, samples.decode, samples.size, samples.offset, samples.is_sync, samples.is_hidden)
    return [Packet(*row) for row in zip(*(column.tolist() for column in columns), strict=True)]


def output_of(track: Track, samples: Samples, *, file: int = 0, edit: Edit | None = None) -> OutputTrack:
    """The samples as a track of their own: pictures begin at zero, sound keeps its durations."""
    durations, compositions = samples.duration, np.zeros_like(samples.duration)
    if track.handler == "vide":
        durations, compositions = timeline(samples.present, int(samples.present.max() + samples.duration[-1]))
    return OutputTrack(
        handler=track.handler,
        timescale=track.timescale,
        entries=track.entries,
        samples=OutputSamples.of(samples, duration=durations, composition=compositions, file=file),
        matrix=track.matrix,
        width=track.width,
        height=track.height,
        language=track.language,
        edit=edit,
    )


def written(composition: Composition, files: Sequence[Path], to: Path) -> Path:
    data, output = [path.read_bytes() for path in files], bytearray(composition.header)
    for move in composition.moves:
        assert move.to == len(output)
        output += data[move.file][move.offset : move.offset + move.length]
    assert len(output) == composition.size
    to.write_bytes(output)
    return to
