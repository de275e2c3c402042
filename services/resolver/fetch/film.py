"""What a site's tracks are together: how long, how large, whether parts can be had; and how a part, or all of it, is fetched."""

import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from math import inf
from pathlib import Path

from libs.common.domain.failures import Code, Failure
from services.resolver.fetch.disk import writing
from services.resolver.fetch.gateway import Gateway, Resource, open_gateway
from services.resolver.fetch.keyframes import keyframes
from services.resolver.fetch.media_input import MediaInput, open_media
from services.resolver.fetch.outside import Outside
from services.resolver.fetch.piece_chain import PieceChain
from services.resolver.fetch.pieces import MAX_PLAYLIST_BYTES, Part, Pieces, dash_pieces, hls_pieces
from services.resolver.fetch.reels import SECTIONED, FileReel, PieceReel, Reel
from services.resolver.fetch.remote_file import RemoteFile, remote_file
from services.resolver.fetch.remux import Remuxed, remuxed
from services.resolver.fetch.tracks import OpenUrl, Track

Say = Callable[[float], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """What was fetched. Times are seconds of the source, which are `clock_offset` more than those on the file's own clock.

    Of a whole file nobody has looked into it, and its own clock counts: the three are None.
    """

    path: Path
    container: str
    """The demuxer that reads it."""
    clock_offset: float | None
    begins: float | None
    ends: float | None
    """From `begins` to `ends` all is there; the clipper wants to read 1.0 s beyond a range, unless the source ends there."""
    is_last: bool
    """Whether the source ends with it."""
    duration: float | None
    """Of the whole source."""
    bytes_read: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Film:
    """Open as long as the block in which `open_film` gave it.

    `size` in bytes, of files that tell theirs; `duration` in seconds, None where only the whole file can tell; `is_live`: more is to come.
    """

    outside: Outside = field(repr=False)
    gateway: Gateway = field(repr=False)
    reels: tuple[Reel, ...] = field(repr=False)
    """The picture's first; none where parts can't be had."""
    files: tuple[RemoteFile, ...]
    size: int | None
    duration: float | None
    is_live: bool

    @property
    def allows_sections(self) -> bool:
        return bool(self.reels)

    def keyframes(self, start: float, end: float) -> list[float]:
        """Source times, from the last at or before `start` to the first at or after `end`, of those near `start`. Raises Failure."""
        with self.gateway.explaining(), ExitStack() as stack:
            return keyframes(self.reels[0].begun(start, stack), start, end)

    def section(self, start: float, end: float, folder: Path, say: Say) -> Section:
        """What a cut of this range, in source time, needs. `say` gets shares, 0 to 1. Raises Failure."""
        if self.duration is not None and start >= self.duration:
            raise Failure(Code.RANGE_OUTSIDE_SOURCE, f"the source is {self.duration:.3f} s long; the range begins at {start:.3f} s")
        with self.gateway.explaining():
            section = _section(self.reels, start, end, folder, say)
            if section.is_whole:
                self.gateway.check()
        if section.ends <= start:
            raise Failure(Code.RANGE_OUTSIDE_SOURCE, f"the source ends at {section.ends:.3f} s; the range begins at {start:.3f} s")
        return self._fetched(section, self.duration)

    def whole(self, folder: Path, max_bytes: int, say: Say) -> Section:
        """All of it: one file as it is, of two a remux. Raises Failure."""
        paths, room = [], max_bytes
        for number, file in enumerate(self.files):
            paths.append(folder / f"whole{number}.{file.container.extension}")
            room -= _saved(file, paths[-1], room, say)
        if len(paths) > 1:
            return self._joined(paths, folder, say)
        return Section(
            path=paths[0],
            container=self.files[0].container.demuxer,
            clock_offset=None,
            begins=None,
            ends=None,
            is_last=True,
            duration=self.duration,
            bytes_read=self.outside.bytes_read,
        )

    def _joined(self, paths: Sequence[Path], folder: Path, say: Say) -> Section:
        demuxers = [file.container.demuxer for file in self.files]
        with ExitStack() as stack:
            picture = FileReel(stack.enter_context(open_media(str(paths[0]), demuxers[0], has_audio=False)))
            sound = FileReel(stack.enter_context(open_media(str(paths[1]), demuxers[1], has_video=False)), partner=picture)
            section = _section((picture, sound), 0.0, inf, folder, say)
            return self._fetched(section, picture.media.duration or section.ends)

    def _fetched(self, section: Remuxed, duration: float | None) -> Section:
        return Section(
            path=section.path,
            container=section.container,
            clock_offset=section.clock_offset,
            begins=section.begins,
            ends=section.ends,
            is_last=section.is_whole,
            duration=duration,
            bytes_read=self.outside.bytes_read,
        )


@contextmanager
def open_film(tracks: Sequence[Track], open_url: OpenUrl, listening: socket.socket | None = None) -> Iterator[Film]:
    """One track with all, or two: picture and sound. `listening`: the gateway's, where its port must be known before. Raises Failure."""
    ordered = sorted(tracks, key=lambda track: not track.has_video)
    outside = Outside(open_url)
    with open_gateway(listening) as gateway, ExitStack() as stack:
        opened = [_opened(track, outside) for track in ordered]
        files = tuple(track for track in opened if isinstance(track, RemoteFile))
        sizes = [file.size for file in files if file.size is not None]
        is_live = any(isinstance(track, Pieces) and track.is_live for track in opened)
        can_be_had_by_parts = not is_live and all(map(_has_parts, opened))
        reels = _reels(ordered, opened, outside, gateway, stack) if can_be_had_by_parts else ()
        yield Film(
            outside=outside,
            gateway=gateway,
            reels=reels,
            files=files,
            size=sum(sizes) if len(sizes) == len(opened) else None,
            duration=_duration(opened[0], reels[0] if reels else None),
            is_live=is_live,
        )


def _opened(track: Track, outside: Outside) -> RemoteFile | Pieces:
    match track.protocol:
        case "file":
            return remote_file(track, outside)
        case "dash":
            return dash_pieces(track.fragments)
        case "hls":
            url, text = outside.small(Part(track.url), track.headers, MAX_PLAYLIST_BYTES)
            return hls_pieces(text.decode(errors="replace"), url)


def _has_parts(opened: RemoteFile | Pieces) -> bool:
    return isinstance(opened, Pieces) or (opened.has_ranges and opened.container.demuxer in SECTIONED)


def _reels(
    tracks: Sequence[Track], opened: Sequence[RemoteFile | Pieces], outside: Outside, gateway: Gateway, stack: ExitStack
) -> tuple[Reel, ...]:
    """Of two tracks the first gives only picture, the other only sound, whatever else they hold."""
    reels: list[Reel] = []
    for number, (track, source) in enumerate(zip(tracks, opened, strict=True)):
        has_video, has_audio = number == 0, number == len(tracks) - 1
        partner = reels[0] if reels else None
        if isinstance(source, Pieces):
            reels.append(PieceReel(source, PieceChain(outside, track.headers), gateway, has_video, has_audio, partner))
        else:
            media = stack.enter_context(_open_remote(source, gateway, has_video=has_video, has_audio=has_audio))
            reels.append(FileReel(media, partner))
    return tuple(reels)


@contextmanager
def _open_remote(file: RemoteFile, gateway: Gateway, *, has_video: bool, has_audio: bool) -> Iterator[MediaInput]:
    url = gateway.add(Resource(file.size, file.chunks))
    with ExitStack() as stack:
        with gateway.explaining():
            media = stack.enter_context(open_media(url, file.container.demuxer, has_video=has_video, has_audio=has_audio))
            gateway.check()
        yield media


def _duration(opened: RemoteFile | Pieces, reel: Reel | None) -> float | None:
    if isinstance(opened, Pieces):
        return opened.duration
    return reel.media.duration if isinstance(reel, FileReel) else None


def _section(reels: Sequence[Reel], start: float, end: float, folder: Path, say: Say) -> Remuxed:
    """Sound of a track of its own begins where the picture's keyframe is."""
    with ExitStack() as stack:
        parts = [reels[0].begun(start, stack)]
        parts += [reel.begun(max(parts[0].first.shown, 0.0), stack) for reel in reels[1:]]
        return remuxed(parts, end, folder, say)


def _saved(file: RemoteFile, path: Path, most: int, say: Say) -> int:
    """Bytes written. Raises Failure."""
    size = 0
    with writing(), path.open("wb") as saved:
        for chunk in file.whole():
            size += len(chunk)
            if max(size, file.size or 0) > most:
                raise Failure(Code.INPUT_TOO_LARGE, f"the source has more than the {most} bytes that are allowed")
            saved.write(chunk)
            if file.size:
                say(size / file.size)
    return size
