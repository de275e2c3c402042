"""What is really in a section: which numbered pictures, shown when, as ffprobe, and as the clipper's own MP4 reader, tell it."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from services.clipper.window import local_movie
from services.resolver.fetch.film import Film, Section, open_film
from services.resolver.fetch.tracks import Fragment, Track
from tests.media import beeps, numbers, told
from tests.resolver.fetch.serving import Site, open_url

RANGE = (7.3, 11.8)


@contextmanager
def open_at(site: Site, path: Path, **more: bool) -> Iterator[Film]:
    with open_film([track(site, path, **more)], open_url) as film:
        yield film


def track(site: Site, path: Path, **more: bool) -> Track:
    url = site.url(str(path.relative_to(site.folder)))
    return Track(url, "hls" if path.suffix == ".m3u8" else "file", {"User-Agent": "a browser"}, **more)


def dash_track(site: Site, folder: Path, stream: int, seconds: float, **more: bool) -> Track:
    """ffmpeg's DASH of one stream, as yt-dlp tells it."""
    media = sorted(folder.glob(f"chunk-stream{stream}-*.m4s"))
    base = site.url(str(folder.relative_to(site.folder)))
    fragments = [Fragment(f"{base}/init-stream{stream}.m4s", None)]
    fragments += [Fragment(f"{base}/{path.name}", seconds) for path in media]
    return Track(f"{base}/index.mpd", "dash", {}, tuple(fragments), **more)


def section_of(site: Site, path: Path, folder: Path, start: float = RANGE[0], end: float = RANGE[1]) -> Section:
    with open_at(site, path) as film:
        return film.section(start, end, folder, lambda _: None)


def shown(section: Section) -> dict[int, float]:
    """Number of each picture, and when it is shown in the source."""
    assert section.clock_offset is not None
    return {number: time + section.clock_offset for number, time in times(section.path).items()}


def times(path: Path) -> dict[int, float]:
    """On the file's own clock, by ffprobe."""
    told_times = [float(line) for line in told(path, "frame=pts_time", "-select_streams", "v")]
    return dict(zip(numbers(path), told_times, strict=True))


def heard(section: Section) -> list[float]:
    """When beeps begin in the source; ffmpeg counts from where the file's first packet is."""
    assert section.clock_offset is not None
    begins = float(told(section.path, "format=start_time")[0])
    return [beep + begins + section.clock_offset for beep in beeps(section.path)]


def read_by_the_clipper(section: Section) -> list[float]:
    movie = local_movie(section.path)
    assert movie is not None
    assert section.clock_offset is not None
    picture = next(track for track in movie.tracks if track.handler == "vide")
    return sorted(float(ticks) / picture.timescale + section.clock_offset for ticks in picture.samples.present)


@cache
def source_times(path: Path) -> dict[int, float]:
    """Of a whole file: when its pictures are shown after what ffprobe says is its start."""
    start = float(told(path, "format=start_time")[0])
    floor = start if path.suffix == ".ts" else max(start, 0.0)
    return {number: time - floor for number, time in times(path).items()}


def check_exact(section: Section, expected: dict[int, float], start: float = RANGE[0], end: float = RANGE[1]) -> None:
    """Each picture at its time, to 0.1 ms; all of the range there; both readers agree."""
    found = shown(section)
    assert {n for n, time in expected.items() if start <= time < end + 1.0} <= found.keys()
    assert min(found[n] for n in found) <= start
    assert max(abs(found[n] - expected[n]) for n in found) < 1e-4
    if section.container == "mov":
        assert max(abs(a - b) for a, b in zip(read_by_the_clipper(section), sorted(found.values()), strict=True)) < 1e-4
