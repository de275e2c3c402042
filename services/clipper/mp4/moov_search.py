"""Finds a file's index (the moov box) in few small reads, which are done by others: it says what it wants, and is sent it. Pure."""

from collections.abc import Generator

from services.clipper.mp4.boxes import HEADER, LARGE_HEADER, Box, Header, NotUnderstood, outermost, read_header

FIRST_READ = 64 << 10
"""Bytes: enough for ftyp and a short file's moov, at little more than the cost of a request."""
MOST_TAIL = 8 << 20
TAIL_PART = 32
"""What follows the media is taken at once if it is no more than this part of the file: it is the index, nearly always."""
MOST_BOXES = 64
LARGEST_MOOV = 64 << 20

Search = Generator[range, bytes, bytes | None]


def moov_search(size: int) -> Search:
    """Yields the range of bytes it wants of a file of `size` bytes, takes those bytes (fewer at the file's end), and returns the moov box.

    None: there is none, it is larger than LARGEST_MOOV, the file is broken, or it is fragmented (ISO/IEC 14496-12 8.8).
    """
    at, held, data = 0, range(0), b""
    for _ in range(MOST_BOXES):
        if size - at < HEADER:
            return None
        if min(at + LARGE_HEADER, size) not in range(held.start, held.stop + 1) or at < held.start:
            held = range(at, min(at + _ahead(at, size), size))
            data = yield held
        header = _header(data, at - held.start, size - at)
        if header is None or header.kind == b"moof":
            return None
        if header.kind == b"moov":
            return (yield from _whole(range(at, at + header.size), data[at - held.start :]))
        at += header.size
    return None


def _ahead(at: int, size: int) -> int:
    rest = size - at
    return rest if rest <= min(MOST_TAIL, size // TAIL_PART) else FIRST_READ


def _header(data: bytes, at: int, room: int) -> Header | None:
    try:
        return read_header(data, at, room)
    except NotUnderstood:
        return None


def _whole(place: range, begun: bytes) -> Search:
    """The moov box at `place`, of which `begun` is there already."""
    if len(place) > LARGEST_MOOV:
        return None
    if len(begun) < len(place):
        begun += yield range(place.start + len(begun), place.stop)
    moov = begun[: len(place)]
    return None if len(moov) < len(place) or is_fragmented(outermost(moov)) else moov


def is_fragmented(moov: Box) -> bool:
    """Whether the samples are described elsewhere, in movie fragments. False for a moov that can't be read at all."""
    try:
        return moov.child(b"mvex") is not None
    except NotUnderstood:
        return False
