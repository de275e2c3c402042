"""A track as a section needs it: where its packets on the source's clock begin for a given time. A file is sought; pieces are chosen."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Protocol

from libs.common.domain.failures import Code, Failure
from libs.common.runtime.media import WRAPPING
from services.resolver.fetch.gateway import Gateway, Resource
from services.resolver.fetch.media_input import MediaInput, open_media
from services.resolver.fetch.outside import Chunks
from services.resolver.fetch.packed_audio import stamp_of
from services.resolver.fetch.piece_chain import PieceChain
from services.resolver.fetch.pieces import Piece, Pieces
from services.resolver.fetch.timed import AUDIO_BEFORE, Beginning, TimedPacket, beginning, timed
from services.resolver.sources import HEAD_BYTES, container_of, tag_size

SECTIONED = frozenset({"mov", "matroska", "mpegts"})
"""Formats of which a part can be found, copied, and known to be in time."""
PIECED = SECTIONED | {"aac"}
STEPS_BACK = (2.0, 10.0, 60.0)
"""Seconds before a time at which a keyframe is sought; MP4 and Matroska have an index that knows."""
WRAP_SECONDS = (1 << 33) / 90_000
"""After which the clock of a transport stream begins again (ISO 13818-1, 2.4.3.6)."""
SHARED_CLOCKS = WRAPPING | {"aac"}
LIP_SYNC = 1.0
"""Seconds by which the zeros of two tracks may differ and still be meant to be one."""


class Reel(Protocol):
    def zero(self, group: int) -> float:
        """The source's 0:00 on the clock of the pieces of this group; a file is one group. Raises Failure."""

    def begun(self, start: float, stack: ExitStack) -> Beginning:
        """From a keyframe at or before `start`, if there is one. Its packets can be had until `stack` ends. Raises Failure."""


def agreed_zero(own: float, partner: Reel | None, group: int) -> float:
    """Picture and sound of two tracks: a small difference is how far one of them really begins after the other."""
    other = partner.zero(group) if partner else own
    return other if abs(own - other) < LIP_SYNC else own


@dataclass(frozen=True, slots=True)
class FileReel:
    media: MediaInput
    partner: Reel | None = None

    def zero(self, group: int) -> float:
        return agreed_zero(self.media.start_time, self.partner, group)

    def begun(self, start: float, stack: ExitStack) -> Beginning:  # noqa: ARG002  # its input is open already
        zero = self.zero(0)
        for since in self._seeks(start):
            self.media.seek(zero + since)
            found = beginning(self.media.streams, timed(self.media, zero), start, is_last_try=since <= 0)
            if found:
                return found
        raise _nothing_left()

    def _seeks(self, start: float) -> Iterator[float]:
        near = () if self.media.demuxer in WRAPPING else (AUDIO_BEFORE,)
        yield from (start - step for step in (*near, *STEPS_BACK) if start > step)
        yield -1.0


@dataclass(slots=True)
class PieceReel:
    pieces: Pieces
    chain: PieceChain
    gateway: Gateway
    has_video: bool
    has_audio: bool
    partner: Reel | None = None
    _zeros: dict[int, float] = field(default_factory=dict)
    _leads: dict[int, float] = field(default_factory=dict)

    def zero(self, group: int) -> float:
        """By the group's first piece, whose picture is shown when the pieces before it are over: durations are the picture's."""
        if group not in self._zeros:
            first = self.pieces.first_of(group)
            with ExitStack() as stack:
                media = self._opened((first,), stack)
                own, self._leads[group] = media.start_time - first.start, media.lead
            late = self._leads[group] - self._lead() if group else 0.0
            self._zeros[group] = agreed_zero(own + late, self.partner, group)
        return self._zeros[group]

    def _lead(self) -> float:
        self.zero(0)
        return self._leads[0]

    def begun(self, start: float, stack: ExitStack) -> Beginning:
        for place in self.pieces.places_before(max(start - AUDIO_BEFORE, 0.0)):
            with ExitStack() as attempt:
                found = self._begun_at(place, start, attempt)
                if found:
                    stack.enter_context(attempt.pop_all())
                    return found
        raise _nothing_left()

    def _begun_at(self, place: int, start: float, stack: ExitStack) -> Beginning | None:
        runs = self.pieces.runs_from(place)
        run = next(runs)
        media = self._opened(run, stack)
        packets = chain(self._timed(media, run[0]), self._later(runs, stack))
        return beginning(media.streams, packets, start, is_last_try=place == 0)

    def _later(self, runs: Iterator[tuple[Piece, ...]], stack: ExitStack) -> Iterator[TimedPacket]:
        for run in runs:
            yield from self._timed(self._opened(run, stack), run[0])

    def _timed(self, media: MediaInput, first: Piece) -> Iterator[TimedPacket]:
        """A clock that began again since the group's first piece is off by about as much."""
        zero = self.zero(first.group)
        if media.demuxer in SHARED_CLOCKS:
            zero += round((media.start_time - zero - first.start) / WRAP_SECONDS) * WRAP_SECONDS
        return timed(media, zero)

    def _opened(self, run: tuple[Piece, ...], stack: ExitStack) -> MediaInput:
        head, chunks = begun_chunks(self.chain.chunks(run))
        container = container_of(head[tag_size(head) :])
        if container is None or container.demuxer not in PIECED:
            raise Failure(Code.SOURCE_UNREADABLE, "the video's pieces are in no format that this service reads")
        url = self.gateway.add(Resource(None, lambda _: chunks))
        media = stack.enter_context(
            open_media(url, container.demuxer, has_video=self.has_video, has_audio=self.has_audio, is_seekable=False)
        )
        stamp = stamp_of(head)
        return replace(media, start_time=media.start_time + stamp, origin=stamp)


def begun_chunks(chunks: Chunks) -> tuple[bytes, Chunks]:
    """The first bytes, enough to tell a container, and all of them."""
    head = b""
    for chunk in chunks:
        head += chunk
        if len(head) >= HEAD_BYTES:
            break
    return head, _continued(head, chunks)


def _continued(head: bytes, chunks: Chunks) -> Chunks:
    yield head
    yield from chunks


def _nothing_left() -> Failure:
    return Failure(Code.RANGE_OUTSIDE_SOURCE, "the range is not inside the source: nothing of it is there")
