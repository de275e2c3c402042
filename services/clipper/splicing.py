"""Makes a clip of a window as planned: copied samples, encoded edges and sound, composed into one MP4."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from services.clipper.buffers import linked
from services.clipper.codings import Coding
from services.clipper.edges import Encoded, encoded
from services.clipper.ffmpeg_plan import CLIP, Edge
from services.clipper.mp4.composing import Composition, Edit, OutputSamples, OutputTrack, compose, timeline
from services.clipper.mp4.sample_entry import plain_audio
from services.clipper.mp4.sample_table import IntArray, Mask, Samples
from services.clipper.output_checks import Expected, Sight
from services.clipper.rendering import ClipperContext
from services.clipper.source import Source
from services.clipper.splice_plan import SplicePlan, Stretch
from services.clipper.window import Held, Stream, Window
from services.clipper.writing import written


@dataclass(frozen=True, slots=True, eq=False)
class Sound:
    """The audio samples of a clip and where its zero lies among them."""

    stream: Stream
    samples: Samples
    edit: Edit

    @property
    def end(self) -> float:
        """Seconds from the clip's zero."""
        return (self.edit.delay + (self.edit.duration or 0)) / self.stream.track.timescale


@dataclass(slots=True)
class Sources:
    """What a clip takes its bytes from; the number of each is its place."""

    held: list[Held]
    changed: bytearray = field(default_factory=bytearray)
    """The few samples that are neither copied nor encoded: keyframes with something put in."""

    def number(self, held: Held) -> int:
        place = next((place for place, known in enumerate(self.held) if known is held), None)
        if place is None:
            self.held.append(held)
        return len(self.held) - 1 if place is None else place


async def splice(plan: SplicePlan, window: Window, coding: Coding, sound: Sound | None, source: Source, ctx: ClipperContext) -> Expected:
    """Writes CLIP, which is there while the source is open. Returns what must be found in it. Raises NotEncodedError, BrokenBitstream."""
    picture = window.picture
    head, tail = await _edges(plan, picture, coding, ctx)
    parts = [part for part in (head, tail) if part]
    composition, sources = await asyncio.to_thread(_composed, plan, picture, coding, sound, parts)
    source.keep(linked(ctx.tools.clips, ctx.scratch / CLIP, composition.size))
    await written(composition, sources.held, ctx.scratch / CLIP)
    return _expected(plan, picture, sound, head, tail)


async def _edges(plan: SplicePlan, picture: Stream, coding: Coding, ctx: ClipperContext) -> tuple[Encoded | None, Encoded | None]:
    seconds = [_seconds(stretch, picture) for stretch in (plan.head, plan.tail)]
    head = tail = None
    if plan.head:
        head = await encoded(plan.head, picture, coding, _edge(coding, "head", 0), ctx, seconds_before=0.0, seconds=sum(seconds))
    if plan.tail:
        part = 1 if head else 0
        tail = await encoded(plan.tail, picture, coding, _edge(coding, "tail", part), ctx, seconds_before=seconds[0], seconds=sum(seconds))
    return head, tail


def _seconds(stretch: Stretch | None, picture: Stream) -> float:
    return (stretch.frames[-1] - stretch.frames[0]) / picture.track.timescale if stretch else 0.0


def _edge(coding: Coding, name: str, part: int) -> Edge:
    return Edge(name, coding.pixel_format or "yuv420p", coding.encoder(part))


def _composed(
    plan: SplicePlan, picture: Stream, coding: Coding, sound: Sound | None, parts: Sequence[Encoded]
) -> tuple[Composition, Sources]:
    sources = Sources([picture.held])
    tracks = [_video(plan, picture, coding, parts, sources)]
    if sound:
        tracks.append(_audio(sound, sources))
    timescale = sound.stream.track.timescale if sound else picture.track.timescale
    return compose(tracks, movie_timescale=timescale), sources


def _video(plan: SplicePlan, picture: Stream, coding: Coding, parts: Sequence[Encoded], sources: Sources) -> OutputTrack:
    """In decode order: the head, what is copied, the tail."""
    track = picture.track
    descriptions = [coding.description(number if plan.copied else None) for number in range(len(parts))]
    pieces = [_encoded_piece(part, description, coding, sources) for part, description in zip(parts, descriptions, strict=True)]
    if plan.copied:
        copied = _copied_piece(plan, picture, coding, sources, is_alone=not parts)
        pieces.insert(1 if plan.head else 0, copied)
    present = np.concatenate([piece.present for piece in pieces]) - plan.origin
    present[np.argmin(present)] = 0  # a held first frame
    durations, compositions = timeline(present, plan.end - plan.origin)
    entries = coding.entries(picture.entry or b"", [part.entry for part in parts], with_source=bool(plan.copied))
    return OutputTrack(
        handler="vide",
        timescale=track.timescale,
        entries=entries,
        samples=OutputSamples(
            file=np.concatenate([piece.file for piece in pieces]),
            offset=np.concatenate([piece.offset for piece in pieces]),
            size=np.concatenate([piece.size for piece in pieces]),
            duration=durations,
            composition=compositions,
            is_sync=np.concatenate([piece.is_sync for piece in pieces]),
            description=np.concatenate([piece.description for piece in pieces]),
        ),
        matrix=track.matrix,
        width=track.width,
        height=track.height,
        language=track.language,
        edit=None,
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Piece:
    """Samples of one origin, in decode order; parallel arrays."""

    file: IntArray
    offset: IntArray
    size: IntArray
    present: IntArray
    is_sync: Mask
    description: IntArray


def _encoded_piece(part: Encoded, description: int, coding: Coding, sources: Sources) -> Piece:
    piece = _piece(part.samples, part.present, sources.number(part.held), description)
    return _with_keyframes(piece, part.held, coding, part.entry, sources)


def _copied_piece(plan: SplicePlan, picture: Stream, coding: Coding, sources: Sources, *, is_alone: bool) -> Piece:
    samples = picture.samples.pick(np.array(plan.copied))
    piece = _piece(samples, samples.present, sources.number(picture.held), coding.description(None))
    return piece if is_alone else _with_keyframes(piece, picture.held, coding, None, sources)


def _piece(samples: Samples, present: IntArray, file: int, description: int) -> Piece:
    return Piece(
        file=np.full_like(samples.offset, file),
        offset=samples.offset.copy(),
        size=samples.size.copy(),
        present=present,
        is_sync=samples.is_sync,
        description=np.full_like(samples.offset, description),
    )


def _with_keyframes(piece: Piece, held: Held, coding: Coding, entry: bytes | None, sources: Sources) -> Piece:
    """The piece with its keyframes as the coding wants them: those that change are kept apart."""
    for place in np.flatnonzero(piece.is_sync):
        offset, size = int(piece.offset[place]), int(piece.size[place])
        sample = coding.keyframe(bytes(held[offset : offset + size]), encoded=entry, is_first=place == 0)
        if sample is not None:
            piece.file[place] = sources.number(sources.changed)
            piece.offset[place], piece.size[place] = len(sources.changed), len(sample)
            sources.changed += sample
    return piece


def _audio(sound: Sound, sources: Sources) -> OutputTrack:
    track, samples = sound.stream.track, sound.samples
    held, unmoved = sources.number(sound.stream.held), np.zeros_like(samples.offset)
    return OutputTrack(
        handler="soun",
        timescale=track.timescale,
        entries=(plain_audio(sound.stream.entry or b""),),
        samples=OutputSamples.of(samples, duration=samples.duration, composition=unmoved, file=held, entry=1),
        matrix=track.matrix,
        width=0,
        height=0,
        language=track.language,
        edit=sound.edit,
    )


def _expected(plan: SplicePlan, picture: Stream, sound: Sound | None, head: Encoded | None, tail: Encoded | None) -> Expected:
    """Every place where something else begins is to be looked at."""

    def at(ticks: int) -> float:
        return (ticks - plan.origin) / picture.track.timescale

    sights = [Sight(0.0, head.first_frame if head else None)]
    if head and plan.copied:
        sights.append(Sight(at(int(picture.samples.present[plan.copied[0]])), None))
    if tail:
        sights.append(Sight(at(int(tail.present.min())), tail.first_frame))
    return Expected(
        duration=max(at(plan.end), sound.end if sound else 0.0),
        frames=tuple(((np.array(plan.frames) - plan.origin) / picture.track.timescale).tolist()),
        has_video=True,
        has_audio=sound is not None,
        sights=tuple(sights),
    )
