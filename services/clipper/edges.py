"""Encodes the frames of a stretch anew, from a small file that holds just what a decoder needs for them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from services.clipper.codings import Coding
from services.clipper.ffmpeg_plan import Edge, edge_command
from services.clipper.inspected import PICTURE_HEIGHT, PICTURE_WIDTH
from services.clipper.mp4.composing import OutputSamples, OutputTrack, compose, timeline
from services.clipper.mp4.sample_table import IntArray, Samples
from services.clipper.rendering import ClipperContext, encode, encoding
from services.clipper.splice_plan import Stretch
from services.clipper.window import Held, Stream, local_movie, tracks_of
from services.clipper.writing import written

UNTURNED = b"".join(value.to_bytes(4) for value in (1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30))
"""The matrix of a picture that is shown as it is stored (ISO/IEC 14496-12 8.3.2)."""


class NotEncodedError(Exception):
    """ffmpeg failed, or gave other frames than it was asked for."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Encoded:
    """A stretch's frames in a file of their own. `present`: when each sample is shown, in ticks of the source's clock."""

    held: Held
    entry: bytes
    samples: Samples
    present: IntArray
    first_frame: bytes
    """Tiny and gray, as the decoder gave it to the encoder."""


async def encoded(
    stretch: Stretch, picture: Stream, coding: Coding, edge: Edge, ctx: ClipperContext, *, seconds_before: float, seconds: float
) -> Encoded:
    """Raises NotEncodedError, BrokenBitstream. Progress is told as if `seconds_before` of `seconds` had been encoded already."""
    needed = picture.samples.pick(_needed(stretch, picture, coding))
    zero = int(needed.present.min())
    source = _source_of(picture, needed)
    await written(compose([source], movie_timescale=picture.track.timescale), [picture.held], ctx.scratch / edge.source)
    command = edge_command(edge, stretch.frames[0] - zero, stretch.frames[-1] + 1 - zero, picture.track.timescale, encoding(ctx.settings))
    ended = await encode(command, ctx, seconds=seconds, before=seconds_before)
    if ended.code:
        raise NotEncodedError(ended.stderr[-1000:])
    return _read(stretch, edge, ctx.scratch)


def _needed(stretch: Stretch, picture: Stream, coding: Coding) -> IntArray:
    """Without the pictures that are neither kept nor needed by others: decoding them would only cost."""
    places = np.arange(stretch.needed.start, stretch.needed.stop)
    is_kept = np.isin(picture.samples.present[places], stretch.frames)
    return np.array([place for place, kept in zip(places, is_kept, strict=True) if kept or coding.is_reference(picture.sample(int(place)))])


def _source_of(picture: Stream, needed: Samples) -> OutputTrack:
    track = picture.track
    durations, compositions = timeline(needed.present - needed.present.min(), int(needed.present.max() - needed.present.min()) + 1)
    return OutputTrack(
        handler="vide",
        timescale=track.timescale,
        entries=(picture.entry or b"",),
        samples=OutputSamples.of(needed, duration=durations, composition=compositions, entry=1),
        matrix=UNTURNED,
        width=track.width,
        height=track.height,
        language=track.language,
        edit=None,
    )


def _read(stretch: Stretch, edge: Edge, folder: Path) -> Encoded:
    path, wanted = folder / edge.output, np.array(stretch.frames, dtype=np.int64)
    movie = local_movie(path)
    track = tracks_of(movie)[0] if movie else None
    samples = track.samples if track else None
    if track is None or samples is None or len(samples) != len(wanted):
        raise NotEncodedError("ffmpeg gave another number of frames")
    order = np.argsort(samples.present, kind="stable")
    shown = samples.present[order]
    if np.abs((shown - shown[0]) - (wanted - wanted[0])).max() > 1:
        raise NotEncodedError("ffmpeg gave frames at other times")
    present = np.empty_like(wanted)
    present[order] = wanted
    picture = (folder / edge.thumb).read_bytes()
    if len(picture) != PICTURE_WIDTH * PICTURE_HEIGHT:
        raise NotEncodedError("ffmpeg gave no first frame")
    return Encoded(held=path.read_bytes(), entry=track.entries[0], samples=samples, present=present, first_frame=picture)
