"""Composes anew what ffmpeg wrote: its muxer takes the last frame for shorter than it is, and its own edit list then hides it."""

import asyncio
from pathlib import Path

import numpy as np

from libs.common.domain.failures import Code, Failure
from services.clipper.edges import UNTURNED
from services.clipper.mp4.boxes import NotUnderstood
from services.clipper.mp4.composing import Edit, OutputSamples, OutputTrack, compose, timeline
from services.clipper.mp4.movie import Movie, Track
from services.clipper.mp4.sample_entry import plain_audio
from services.clipper.mp4.sample_table import IntArray
from services.clipper.window import local_movie, mapped, tracks_of
from services.clipper.writing import written


async def retimed(path: Path, end: float, sound_end: float) -> None:
    """The same samples at the same times; the picture lasts until `end`, the sound until `sound_end`, in seconds. Raises Failure."""
    try:
        movie = await asyncio.to_thread(local_movie, path)
        tracks = _tracks(movie, end, sound_end) if movie else []
    except NotUnderstood:
        tracks = []
    if not tracks:
        raise Failure(Code.OUTPUT_VERIFICATION_FAILED, "what was written can't be read again")
    timed = path.with_suffix(".timed")
    await written(compose(tracks, movie_timescale=tracks[0].timescale), [mapped(path)], timed)
    timed.replace(path)


def _tracks(movie: Movie, end: float, sound_end: float) -> list[OutputTrack]:
    picture, sound = tracks_of(movie)
    return [*([_picture(picture, end)] if picture else []), *([_sound(sound, sound_end)] if sound else [])]


def _picture(track: Track, end: float) -> OutputTrack:
    present = track.samples.present - track.samples.present.min()
    durations, compositions = timeline(present, max(round(end * track.timescale), int(present.max()) + 1))
    return _track("vide", track, track.entries, durations, compositions, None)


def _sound(track: Track, end: float) -> OutputTrack:
    """What an encoder put before the beginning stays hidden."""
    samples = track.samples
    begin, finish = int(samples.present[0]), int(samples.present[-1] + samples.duration[-1])
    heard = min(finish, round(end * track.timescale)) - max(begin, 0)
    edit = Edit(delay=max(begin, 0), media_time=max(-begin, 0), duration=heard)
    entries = tuple(plain_audio(entry) for entry in track.entries)
    return _track("soun", track, entries, samples.duration, np.zeros_like(samples.offset), edit)


def _track(
    handler: str, track: Track, entries: tuple[bytes, ...], durations: IntArray, compositions: IntArray, edit: Edit | None
) -> OutputTrack:
    return OutputTrack(
        handler=handler,
        timescale=track.timescale,
        entries=entries,
        samples=OutputSamples.of(track.samples, duration=durations, composition=compositions),
        matrix=UNTURNED,
        width=track.width,
        height=track.height,
        language=track.language,
        edit=edit,
    )
