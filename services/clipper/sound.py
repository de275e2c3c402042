"""The sound of a spliced clip: the source's own packets where they can be laid right to the sample, else encoded anew."""

import numpy as np

from services.clipper.cut_plan import LONGEST_AUDIO_PACKET, sound_plan
from services.clipper.edges import NotEncodedError
from services.clipper.ffmpeg_plan import SOUND, cut_command
from services.clipper.mp4.composing import Edit
from services.clipper.mp4.movie import Track
from services.clipper.mp4.sample_entry import audio_of, fourcc
from services.clipper.mp4.sample_table import Samples
from services.clipper.rendering import ClipperContext, encode, encoding
from services.clipper.source import Source
from services.clipper.splicing import Sound
from services.clipper.window import Stream, Window, local_movie, tracks_of

IN_STEP = 0.02
"""Seconds by which sound may be off where a player ignores edit lists (spec section 6)."""
SPLICED_SOUND = "aac"
"""Not MP3: its packets borrow bits from those before them, so the first few of a cut can't be decoded."""
LOW_COMPLEXITY = 2
"""The object type of AAC-LC (ISO/IEC 14496-3 table 1.17): its packets decode by themselves, after a fade of one."""
JITTER = 0.0015
"""Seconds by which a packet's time may be off its predecessor's end: containers that count milliseconds."""


async def sound_of(window: Window, source: Source, origin: float, end: float, ctx: ClipperContext) -> Sound | None:
    """Of [origin, end), on the source's clock; None when there is nothing to hear. Raises NotEncodedError."""
    copied = copied_sound(window.sound, origin, end) if window.sound else None
    return copied or (await encoded_sound(source, origin, end, ctx) if window.has_sound else None)


def copied_sound(stream: Stream, origin: float, end: float) -> Sound | None:
    """Packets from the nearest to the origin to the nearest to the end; None when they can't be copied right.

    Where the origin lies within the first packet, or before it, the edit list says so to the sample.
    """
    track, samples = stream.track, _heard(stream.samples)
    zero, stop = stream.nearest_ticks(origin), stream.nearest_ticks(end)
    if stream.entry is None or int(samples.duration.max(initial=0)) > LONGEST_AUDIO_PACKET * track.timescale:
        return None
    is_nearer = samples.present + samples.duration // 2 < stop
    part = samples.pick(slice(int(np.abs(samples.present - zero).argmin()) if is_nearer.any() else 0, int(is_nearer.sum())))
    if not len(part):
        return None
    gaps = np.abs(np.diff(part.present) - part.duration[:-1])
    begin, finish = int(part.present[0]), int(part.present[-1] + part.duration[-1])
    length = min(finish, stop) - max(begin, zero)
    if length <= 0 or begin - zero > IN_STEP * track.timescale or gaps.max(initial=0) > JITTER * track.timescale:
        return None
    return Sound(stream, part, Edit(delay=max(begin - zero, 0), media_time=max(zero - begin, 0), duration=length))


def _heard(samples: Samples) -> Samples:
    """Without what an edit list of the source hides at either end."""
    heard = np.flatnonzero(~samples.is_hidden)
    return samples.pick(slice(int(heard[0]), int(heard[-1]) + 1) if len(heard) else heard)


def is_copyable(track: Track) -> bool:
    """Whether MP4 players play its packets, and each by itself."""
    audio = audio_of(track.entries[0]) if track.entries and fourcc(track.entries[0]) == b"mp4a" else None
    return audio is not None and audio.codec == SPLICED_SOUND and audio.object_type == LOW_COMPLEXITY


async def encoded_sound(source: Source, origin: float, end: float, ctx: ClipperContext) -> Sound | None:
    """As AAC, cut to the sample, gaps filled with silence; None when there is nothing to hear. Raises NotEncodedError."""
    media = await source.media()
    plan = sound_plan(media, origin, end)
    if plan is None:
        return None
    command = cut_command(await source.url(), media, plan, encoding(ctx.settings), output=SOUND)
    ended = await encode(command, ctx)
    if ended.code:
        raise NotEncodedError(ended.stderr[-1000:])
    path = ctx.scratch / SOUND
    movie = local_movie(path)
    track = tracks_of(movie)[1] if movie else None
    if track is None or not len(track.samples):
        return None
    samples = track.samples
    stream = Stream(track=track, samples=samples, held=path.read_bytes())
    begin, finish = int(samples.present[0]), int(samples.present[-1] + samples.duration[-1])
    duration = min(finish, stream.nearest_ticks(end - origin)) - max(begin, 0)
    return Sound(stream, samples, Edit(delay=max(begin, 0), media_time=max(-begin, 0), duration=duration)) if duration > 0 else None
