"""A file on another server that is read by parts, if the server lets us: what its first bytes tell, and a reader from any place."""

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field

from libs.common.domain.failures import Code, Failure
from services.resolver.fetch.outside import Chunks, Outside, length_told, part_sent
from services.resolver.fetch.pieces import Part
from services.resolver.fetch.tracks import Answer, Track
from services.resolver.sources import HEAD_BYTES, Container, container_of, tag_size

FIRST_READ = 64 << 10
FIRST_STEP, LARGEST_STEP = 256 << 10, 8 << 20
"""Bytes of a request: half of what the reader has taken so far, for what is under way when it stops is lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteFile:
    """`size` in bytes, None where the site does not say; `head` are the first of them; `has_ranges`: any part may be asked for."""

    outside: Outside
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    container: Container
    size: int | None
    head: bytes = field(repr=False)
    has_ranges: bool
    largest_step: int

    def chunks(self, start: int) -> Chunks:
        """From there to the end, by parts. Raises Failure."""
        size = self.size or 0
        if start < len(self.head):
            yield self.head[start:]
        at = max(start, len(self.head))
        while at < size:
            begun = at
            step = min(max((at - start) // 2, FIRST_STEP), self.largest_step)
            try:
                for chunk in self.outside.chunks(Part(self.url, range(at, min(at + step, size))), self.headers, size):
                    at += len(chunk)
                    yield chunk
            except Failure as failure:
                if not failure.retryable or at == begun:
                    raise

    def whole(self) -> Chunks:
        """All of it, by parts only where the site would else be slow. Raises Failure."""
        if self.has_ranges:
            return self.chunks(0)
        return self.outside.chunks(Part(self.url), self.headers)


def remote_file(track: Track, outside: Outside) -> RemoteFile:
    """Asks for the file's beginning. Raises Failure(SOURCE_UNREADABLE) for what is no video or audio file."""
    with closing(outside.opened(Part(track.url, range(FIRST_READ)), track.headers)) as answer:
        sent = part_sent(answer)
        has_ranges = sent is not None and sent[0].start == 0
        head = _read(outside, answer, len(sent[0]) if sent and has_ranges else HEAD_BYTES)
        size = sent[1] if sent else length_told(answer)
    container = container_of(head[tag_size(head) :])
    if container is None and 0 < len(head) <= tag_size(head):
        container = Container("mp3", "mp3")
    if container is None:
        raise Failure(Code.SOURCE_UNREADABLE, "what the site sent is no video or audio file that can be read")
    return RemoteFile(
        outside=outside,
        url=track.url,
        headers=track.headers,
        container=container,
        size=size,
        head=head if has_ranges else b"",
        has_ranges=has_ranges,
        largest_step=min(track.chunk_bytes or LARGEST_STEP, LARGEST_STEP),
    )


def _read(outside: Outside, answer: Answer, amount: int) -> bytes:
    head = b""
    while len(head) < amount and (chunk := outside.some(answer, amount - len(head))):
        head += chunk
    return head
