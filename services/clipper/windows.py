"""Two ways to a window: MP4 straight from S3 by its own index; what else MP4 can hold, through a copy that ffmpeg makes of the part."""

import asyncio
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from libs.common.domain.events import ClipsRequested
from libs.common.domain.failures import Code, Failure
from libs.common.domain.values import Accuracy
from libs.common.runtime.media import Media
from services.clipper.bitstream.random_access import RandomAccess
from services.clipper.codings import Coding, carries_other_parameters, coding_of
from services.clipper.ffmpeg_plan import WINDOW, window_command
from services.clipper.frames import SHORTFALL, Wanted, wanted
from services.clipper.mp4.boxes import NotUnderstood
from services.clipper.mp4.movie import Movie, read_movie
from services.clipper.mp4.sample_entry import fourcc
from services.clipper.rendering import ClipperContext, encoding, ffmpeg
from services.clipper.sound import SPLICED_SOUND, is_copyable
from services.clipper.source import Source
from services.clipper.source_index import AUDIO_LAG, BEYOND, STEPS_BACK
from services.clipper.splice_plan import Pictures
from services.clipper.window import (
    NOTHING,
    Held,
    Stream,
    Window,
    around,
    end_of,
    local_movie,
    mapped,
    moov_of,
    picture_stream,
    read_window,
    sound_stream,
    start_of,
    tracks_of,
    unended,
)

SPILL = "window.bin"
LEAD = 10
"""Seconds that a copied window's clock is ahead of the source's beginning, so that nothing of it lies before zero."""
SPLICED = frozenset({"h264", "hevc"})
SPLICED_ENTRIES = frozenset({b"avc1", b"avc3", b"hvc1", b"hev1", b"vp09", b"av01"})
"""Of MP4 sources. From WebM, VP9 and AV1 become H.264: who has them and asks for MP4 wants what plays everywhere."""


async def window_of(source: Source, requested: ClipsRequested, ctx: ClipperContext) -> Window | None:
    """None where the source's video is nothing that is spliced, or where the index can't be made out."""
    direct = await _direct(source, requested, ctx) if source.container == "mov" else None
    return direct or await _copied(source, requested, ctx)


async def _direct(source: Source, requested: ClipsRequested, ctx: ClipperContext) -> Window | None:
    window = await _looked_up(source, requested)
    if window is None:
        return None
    streams = [stream for stream in (window.picture, window.sound) if stream]
    read = await read_window(source, streams, ctx.tools.windows, ctx.scratch / SPILL)
    return replace(window, picture=read[0], sound=read[1] if window.sound else None)


async def _looked_up(source: Source, requested: ClipsRequested) -> Window | None:
    """The index is let go of with the return: of a long source it is large, and what follows takes its time."""
    moov = await moov_of(source)
    if moov is None:
        return None
    try:
        return await asyncio.to_thread(_indexed, moov, source, requested)
    except NotUnderstood:
        return None


def _indexed(moov: bytes, source: Source, requested: ClipsRequested) -> Window:
    """What the index says of the window, whose bytes are still in S3. Raises NotUnderstood."""
    movie = read_movie(moov, source.info.size, is_whole=False)
    start_time = source.zero(start_of(movie))
    want = wanted(start_time, requested.start, requested.end)
    return _window(movie, NOTHING, want, requested.accuracy, start_time=start_time, shift=0.0)


def _window(movie: Movie, held: Held, want: Wanted, accuracy: Accuracy, *, start_time: float, shift: float) -> Window:
    """Raises NotUnderstood for a movie without picture, Failure(RANGE_OUTSIDE_SOURCE) for one that ends before the range."""
    picture, sound = tracks_of(movie)
    if picture is None or {fourcc(entry) for entry in picture.entries} - SPLICED_ENTRIES:
        raise NotUnderstood("no picture that is spliced")
    picture, sound = around(picture, want, shift), around(sound, want, shift) if sound else None
    if want.end > max(end_of(track) for track in (picture, sound) if track) + shift + SHORTFALL:
        raise Failure(Code.RANGE_OUTSIDE_SOURCE, "the range reaches beyond the end of the source")
    return Window(
        picture=picture_stream(picture, held, want, accuracy, shift=shift),
        sound=sound_stream(sound, held, want, shift=shift) if sound and is_copyable(sound) else None,
        has_sound=sound is not None,
        start_time=start_time,
    )


async def _copied(source: Source, requested: ClipsRequested, ctx: ClipperContext) -> Window | None:
    """Begun far enough before the range to hold the keyframe that it needs: some formats must be searched backwards."""
    media = await source.media()
    if media.video is None or media.video.codec not in SPLICED:
        return None
    want = wanted(source.zero(media.start_time), requested.start, requested.end)
    for since in _beginnings(media, want):
        window = await _copied_since(source, media, since, want, requested.accuracy, ctx)
        if window is None or since is None or _begins_with_keyframe(window.picture, want, requested.accuracy):
            return window
    return None


def _beginnings(media: Media, want: Wanted) -> Iterator[float | None]:
    for step in STEPS_BACK:
        if want.start - step > media.start_time:
            yield want.start - step
    yield None


async def _copied_since(
    source: Source, media: Media, since: float | None, want: Wanted, accuracy: Accuracy, ctx: ClipperContext
) -> Window | None:
    zero = math.floor(media.start_time) - LEAD
    has_sound = media.audio is not None and media.audio.codec == SPLICED_SOUND
    until = want.end + BEYOND + (AUDIO_LAG if media.audio else 0.0)
    command = window_command(await source.url(), media, since, until, zero, encoding(ctx.settings), audio=has_sound)
    ended = await ffmpeg(command, ctx)
    if source.failure:
        raise source.failure
    path = ctx.scratch / WINDOW
    movie = local_movie(path, is_whole=False) if ended.code == 0 else None
    if movie is None:
        return None
    window = _window(unended(movie), mapped(path), want, accuracy, start_time=source.zero(media.start_time), shift=zero)
    return replace(window, has_sound=media.audio is not None)


def _begins_with_keyframe(picture: Stream, want: Wanted, accuracy: Accuracy) -> bool:
    """At or before the first frame of the range, or for `fast` before its start."""
    samples, start = picture.samples, picture.ticks(want.start)
    shown = samples.present[~samples.is_hidden & (samples.present >= start)]
    latest = picture.last_ticks(want.start) if accuracy == "fast" else int(shown.min(initial=1 << 62))
    return bool(len(samples)) and bool(samples.is_sync[0]) and int(samples.present[0]) <= latest


def coding_in(picture: Stream) -> Coding | None:
    """How a window's picture is coded; None for what we don't splice, and without a sample. Raises BrokenBitstream."""
    return coding_of(picture.entry, picture.sample(0)) if len(picture.samples) else None


def pictures_of(picture: Stream, coding: Coding, want: Wanted) -> Pictures:
    """What the planner is told of a window's pictures; of its keyframes, the few that copying could begin with are looked at.

    Raises BrokenBitstream, also where one of those is of another stream than the sample entry says.
    """
    samples = picture.samples
    keys = [int(place) for place in np.flatnonzero(samples.is_sync)]
    access = dict.fromkeys(keys, RandomAccess.NONE)
    first, start = keys[:1], picture.ticks(want.start)
    shown = (place for place in keys if samples.present[place] >= start and not samples.is_hidden[place])
    inside = sorted(shown, key=lambda place: int(samples.present[place]))
    for place in dict.fromkeys((*first, *inside)):
        access[place] = _access(picture, place, coding)
        if access[place] is not RandomAccess.NONE and place in inside:
            break
    gaps = np.diff(np.sort(samples.present))
    return Pictures(
        present=samples.present,
        is_hidden=samples.is_hidden,
        access=access,
        frame=int(np.median(gaps[gaps > 0])) if (gaps > 0).any() else int(samples.duration.max(initial=1)),
        following=picture.following,
    )


def is_one_stream(picture: Stream, coding: Coding, places: Sequence[int]) -> bool:
    """Whether no keyframe among these changes the parameter sets, which the encoded parts' own must not meet."""
    keys = (place for place in places if picture.samples.is_sync[place])
    return not any(carries_other_parameters(coding, picture.sample(place)) for place in keys)


def _access(picture: Stream, place: int, coding: Coding) -> RandomAccess:
    sample = picture.sample(place)
    return RandomAccess.NONE if carries_other_parameters(coding, sample) else coding.access(sample)
