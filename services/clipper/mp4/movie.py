"""What a moov box tells of its file: its tracks of picture and sound, and of each the samples (ISO/IEC 14496-12 8.2 to 8.5). Pure."""

from dataclasses import dataclass, replace
from math import ceil, floor

from services.clipper.mp4.boxes import Box, NotUnderstood, box, outermost
from services.clipper.mp4.edits import read_edit
from services.clipper.mp4.presentation import Presentation, presentation
from services.clipper.mp4.sample_table import Samples
from services.clipper.mp4.table_reading import read_media

__all__ = ["Movie", "NotUnderstood", "Samples", "Track", "read_movie"]

MEDIA_HANDLERS = ("vide", "soun")
ENCRYPTED = (b"encv", b"enca")
MOST_TRACKS = 64
SELF_CONTAINED = 1
IS_ENABLED = 1
MATRIX_SIZE = 36


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Track:
    """One trak of picture or sound. Times are ticks of `timescale`, of which there are so many in a second."""

    number: int
    """Position among all traks: ffmpeg's stream index."""
    handler: str
    """vide or soun."""
    timescale: int
    entries: tuple[bytes, ...]
    """Whole sample entry boxes (8.5.2)."""
    matrix: bytes
    width: int
    height: int
    """As in tkhd: 16.16 fixed point."""
    language: bytes
    """As in mdhd: two bytes."""
    is_enabled: bool
    begins: int | None
    """When the first of it is shown or heard, on the movie's clock; None: nothing is."""
    presentation: Presentation | None
    """None of a part of a track, which needs the file's tables no more: of an hour they are 9 MB."""
    samples: Samples

    def within(self, start: float, end: float) -> "Track":
        """With only the samples that may be shown between two times, in seconds on the movie's clock, and some more: from a sync sample at
        or before `start` on. Costs what those samples cost, whatever the movie's length. Raises NotUnderstood as `read_movie` does.
        """
        if self.presentation is None:
            raise ValueError("this is a part of a track already")
        ticks = floor(start * self.timescale), ceil(end * self.timescale)
        return replace(self, presentation=None, samples=self.presentation.samples(*ticks))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Movie:
    """`tracks`: those of picture and sound."""

    timescale: int
    tracks: tuple[Track, ...]


def read_movie(moov: bytes, file_size: int, *, is_whole: bool = True) -> Movie:
    """The movie that a whole moov box describes. Raises NotUnderstood for what can't be taken exactly.

    Unless `is_whole`, the tracks have no samples yet: `Track.within` gets those that are needed, at much less cost.
    """
    root = outermost(moov)
    kinds = {child.kind for child in root.children()}
    if root.kind != b"moov" or kinds & {b"mvex", b"cmov"}:
        raise NotUnderstood("no index, or a fragmented or compressed one")
    timescale = _timescale(root.need(b"mvhd"))
    traks = [child for child in root.children() if child.kind == b"trak"]
    if len(traks) > MOST_TRACKS:
        raise NotUnderstood("too many tracks")
    wanted = [(number, trak) for number, trak in enumerate(traks) if _handler(trak) in MEDIA_HANDLERS]
    tracks = tuple(_track(trak, number, timescale, file_size, is_whole=is_whole) for number, trak in wanted)
    return Movie(timescale=timescale, tracks=tracks)


def _timescale(header: Box) -> int:
    """Of an mvhd or mdhd (8.2.2.2, 8.4.2.2): after the times of creation and change."""
    (timescale,) = header.unpack("I", 20 if header.version else 12)
    if not timescale:
        raise NotUnderstood("a clock that stands still")
    return int(timescale)


def _handler(trak: Box) -> str:
    """8.4.3. A second hdlr, within minf, is QuickTime's data handler."""
    mdia = trak.child(b"mdia")
    hdlr = mdia.child(b"hdlr") if mdia else None
    return str(hdlr.unpack("4s", 8)[0], "latin-1") if hdlr else ""


def _track(trak: Box, number: int, movie_timescale: int, file_size: int, *, is_whole: bool) -> Track:
    mdia, tkhd = trak.need(b"mdia"), trak.need(b"tkhd")
    mdhd, handler = mdia.need(b"mdhd"), _handler(trak)
    stbl, timescale = mdia.need(b"minf", b"stbl"), _timescale(mdhd)
    entries = _entries(stbl, mdia.need(b"minf", b"dinf", b"dref"))
    media = read_media(stbl, entries=len(entries), file_size=file_size)
    shown = presentation(media, read_edit(trak, timescale, movie_timescale), handler)
    matrix, width, height = tkhd.unpack(f"{MATRIX_SIZE}sII", 52 if tkhd.version else 40)
    return Track(
        number=number,
        handler=handler,
        timescale=timescale,
        entries=entries,
        matrix=matrix,
        width=width,
        height=height,
        language=mdhd.unpack("2s", 32 if mdhd.version else 20)[0],
        is_enabled=bool(tkhd.unpack("I")[0] & IS_ENABLED),
        begins=shown.begins,
        presentation=shown,
        samples=shown.every() if is_whole else shown.none(),
    )


def _entries(stbl: Box, dref: Box) -> tuple[bytes, ...]:
    """The sample entries, whose samples are all in this file and not encrypted."""
    found = tuple(stbl.need(b"stsd").children(skip=8))
    own = [place.unpack("I")[0] & SELF_CONTAINED for place in dref.children(skip=8)]
    for entry in found:
        (reference,) = entry.unpack("H", 6)
        if entry.kind in ENCRYPTED or not 0 < reference <= len(own) or not own[reference - 1]:
            raise NotUnderstood("samples that are encrypted, or in another file")
    return tuple(box(entry.kind, entry.content) for entry in found)
