"""The moov box of a composed movie (ISO/IEC 14496-12 8.2 to 8.7). Pure."""

import struct
from collections.abc import Sequence

import numpy as np

from services.clipper.mp4.boxes import NotUnderstood, box, full_box
from services.clipper.mp4.edits import LARGEST_32, edit_box, rescaled
from services.clipper.mp4.interleaving import Chunks
from services.clipper.mp4.output import OutputTrack
from services.clipper.mp4.sample_table import IntArray
from services.clipper.mp4.table_writing import sample_table_boxes

UNITY = struct.pack(">9i", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
FULL_VOLUME = 0x0100
NORMAL_RATE = 1 << 16
ENABLED_IN_MOVIE = 3
SELF_CONTAINED = 1
UNDETERMINED = 0x55C4
"""The language "und" (8.4.2.3)."""
FIRST_PACKED_LANGUAGE = 0x0421
HANDLER_NAMES = {"vide": b"VideoHandler\0", "soun": b"SoundHandler\0"}
MEDIA_HEADERS = {"vide": full_box(b"vmhd", 0, 1, bytes(8)), "soun": full_box(b"smhd", 0, 0, bytes(4))}


def moov_box(tracks: Sequence[OutputTrack], chunks: Sequence[Chunks], places: Sequence[IntArray], timescale: int) -> bytes:
    """`places`: of each track's chunks, their offsets in the file."""
    parts = [_trak(number, *track, timescale) for number, track in enumerate(zip(tracks, chunks, places, strict=True), 1)]
    return box(b"moov", _mvhd(max(_shown(track, timescale) for track in tracks), timescale, len(tracks) + 1), *parts)


def _shown(track: OutputTrack, movie_timescale: int) -> int:
    """How long the movie is by this track, in the movie's ticks."""
    ticks = track.edit.delay + track.edit.duration if track.edit else track.duration
    return rescaled(ticks, track.timescale, movie_timescale)


def _dated(kind: bytes, flags: int, fields: bytes, duration: int, rest: bytes) -> bytes:
    """A header that begins with the times of creation and change, which are not told, and then has a duration after some fields."""
    if duration < 0:
        raise NotUnderstood("a number that MP4 has no room for")
    is_large = duration > LARGEST_32
    return full_box(
        kind, int(is_large), flags, bytes(16 if is_large else 8), fields, struct.pack(">Q" if is_large else ">I", duration), rest
    )


def _mvhd(duration: int, timescale: int, next_track: int) -> bytes:
    rest = struct.pack(">IH10x36s24xI", NORMAL_RATE, FULL_VOLUME, UNITY, next_track)
    return _dated(b"mvhd", 0, struct.pack(">I", timescale), duration, rest)


def _trak(number: int, track: OutputTrack, chunks: Chunks, places: IntArray, movie_timescale: int) -> bytes:
    edts = edit_box(track.edit, track.timescale, movie_timescale) if track.edit else b""
    return box(b"trak", _tkhd(number, track, _shown(track, movie_timescale)), edts, _mdia(track, chunks, places))


def _tkhd(number: int, track: OutputTrack, duration: int) -> bytes:
    volume = FULL_VOLUME if track.handler == "soun" else 0
    rest = struct.pack(">8xHHHxx36sII", 0, 0, volume, track.matrix, track.width, track.height)
    return _dated(b"tkhd", ENABLED_IN_MOVIE, struct.pack(">I4x", number), duration, rest)


def _mdia(track: OutputTrack, chunks: Chunks, places: IntArray) -> bytes:
    mdhd = _dated(b"mdhd", 0, struct.pack(">I", track.timescale), track.duration, struct.pack(">Hxx", _language(track.language)))
    hdlr = full_box(b"hdlr", 0, 0, struct.pack(">4x4s12x", track.handler.encode()), HANDLER_NAMES[track.handler])
    dref = full_box(b"dref", 0, 0, struct.pack(">I", 1), full_box(b"url ", 0, SELF_CONTAINED))
    stbl = box(b"stbl", _stsd(track.entries), *sample_table_boxes(track.samples, chunks, places))
    return box(b"mdia", mdhd, hdlr, box(b"minf", MEDIA_HEADERS[track.handler], box(b"dinf", dref), stbl))


def _language(language: bytes) -> int:
    """Three letters, 5 bits each; QuickTime's numbers of languages mean nothing in MP4."""
    code = int.from_bytes(language)
    return code if FIRST_PACKED_LANGUAGE <= code <= np.iinfo(np.int16).max else UNDETERMINED


def _stsd(entries: Sequence[bytes]) -> bytes:
    """The samples are in this file: data reference 1, whatever it was where the entries come from (8.5.2.2)."""
    own = [entry[:14] + struct.pack(">H", SELF_CONTAINED) + entry[16:] for entry in entries]
    return full_box(b"stsd", 0, 0, struct.pack(">I", len(own)), *own)
