"""What is read from other servers, counted. A part that was asked for is that part, of a file that is still the same, and whole."""

import re
from collections.abc import Generator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from http import HTTPStatus
from threading import Lock

from libs.common.domain.failures import Code, Failure
from services.resolver.fetch.pieces import Part
from services.resolver.fetch.tracks import Answer, OpenUrl

Chunks = Generator[bytes, None, None]
"""Closed by whoever stops before their end, and with them the connection."""
READ_BYTES = 64 << 10
_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})", re.ASCII)


@dataclass(slots=True)
class Outside:
    """Used by several threads."""

    open_url: OpenUrl
    bytes_read: int = 0
    _counting: Lock = field(default_factory=Lock)

    def opened(self, part: Part, headers: Mapping[str, str]) -> Answer:
        """Raises Failure."""
        wanted = {"Range": f"bytes={part.place.start}-{part.place.stop - 1}"} if part.place else {}
        return self.open_url(part.url, {**headers, "Accept-Encoding": "identity", **wanted})

    def chunks(self, part: Part, headers: Mapping[str, str], size: int | None = None) -> Chunks:
        """The part's bytes; `size`: of the whole resource, where it is known. Raises Failure, also for a body that ends early."""
        with closing(self.opened(part, headers)) as answer:
            wanted = _wanted(answer, part, size)
            read = 0
            while wanted is None or read < wanted:
                chunk = self.some(answer, READ_BYTES if wanted is None else min(READ_BYTES, wanted - read))
                if not chunk:
                    break
                read += len(chunk)
                yield chunk
            if wanted is not None and read < wanted:
                raise Failure(Code.RETRYABLE_ERROR, "the site broke off while it sent the video")

    def some(self, answer: Answer, amount: int) -> bytes:
        """At most so many bytes of it; none at its end. Raises Failure."""
        chunk = answer.read(amount)
        with self._counting:
            self.bytes_read += len(chunk)
        return chunk

    def small(self, part: Part, headers: Mapping[str, str], most: int) -> tuple[str, bytes]:
        """Where it was found, and all of it. Raises Failure when it is larger than `most` bytes."""
        with closing(self.opened(part, headers)) as answer:
            _wanted(answer, part, None)
            body = bytearray()
            while chunk := self.some(answer, READ_BYTES):
                body += chunk
                if len(body) > most:
                    raise Failure(Code.SOURCE_UNREADABLE, "a part of the video that should be small is not")
            return answer.url, bytes(body)


def header(answer: Answer, name: str) -> str | None:
    return next((value for other, value in answer.headers.items() if other.lower() == name), None)


def part_sent(answer: Answer) -> tuple[range, int] | None:
    """Which bytes these are, and of how many (RFC 9110, 14.4); None for what is no such answer."""
    told = _CONTENT_RANGE.fullmatch((header(answer, "content-range") or "").strip())
    if answer.status != HTTPStatus.PARTIAL_CONTENT or not told:
        return None
    first, last, size = (int(number) for number in told.groups())
    return (range(first, last + 1), size) if first <= last < size else None


def length_told(answer: Answer) -> int | None:
    """Bytes of the body, if it says so; not of one that is packed."""
    told = header(answer, "content-length") or ""
    is_packed = (header(answer, "content-encoding") or "identity") != "identity"
    return int(told) if re.fullmatch(r"[0-9]{1,18}", told) and not is_packed else None


def _wanted(answer: Answer, part: Part, size: int | None) -> int | None:
    """How many bytes the answer should have. Raises Failure for an answer to another question."""
    if part.place is None:
        return length_told(answer)
    sent = part_sent(answer)
    if sent is None or sent[0] != part.place:
        raise Failure(Code.RETRYABLE_ERROR, "the site did not send the part of the video that it was asked for")
    if size is not None and sent[1] != size:
        raise Failure(Code.RETRYABLE_ERROR, "the video changed while it was read")
    return len(part.place)
