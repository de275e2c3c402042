"""The clipper's reading of MP4 files: finding the index, and all that stands in it."""

import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from services.clipper.mp4.boxes import NotUnderstood
from services.clipper.mp4.moov_search import moov_search
from services.clipper.mp4.movie import read_movie
from services.clipper.mp4.sample_entry import audio_of, configuration, plain_audio
from tests import media
from tests.clipper.mp4.files import moov_of
from tests.fuzz.target import Target

FILE_SIZE = 10**6
READS = 200


def search(data: bytes) -> None:
    """The file is the input, followed by nothing to a megabyte."""
    search = moov_search(FILE_SIZE)
    try:
        wanted = next(search)
        for _ in range(READS):
            assert 0 <= wanted.start <= wanted.stop <= FILE_SIZE
            wanted = search.send(data[wanted.start : wanted.stop].ljust(len(wanted), b"\0"))
    except StopIteration:
        return
    raise AssertionError("it goes on searching")


def movie(moov: bytes) -> None:
    with suppress(NotUnderstood):
        read_movie(moov, FILE_SIZE)
    for track in read_movie(moov, FILE_SIZE, is_whole=False).tracks:
        track.within(0.3, 0.9)
        for entry in track.entries:
            audio_of(entry)
            configuration(entry, b"avcC")


def entry(data: bytes) -> None:
    audio_of(data)
    configuration(data, b"hvcC")
    plain_audio(data)


def files() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield media.make(Path(folder) / "a.mp4", frames=40, video=media.gop(20))


def moovs() -> Iterator[bytes]:
    yield from map(moov_of, files())


def entries() -> Iterator[bytes]:
    for moov in moovs():
        yield from (each for track in read_movie(moov, FILE_SIZE).tracks for each in track.entries)


TARGETS = (
    Target(name="moov_search", run=search, allowed=(NotUnderstood,), seeds=lambda: (path.read_bytes()[:4096] for path in files())),
    Target(name="movie", run=movie, allowed=(NotUnderstood,), seeds=moovs),
    Target(name="sample_entry", run=entry, allowed=(NotUnderstood,), seeds=entries),
)
