"""What the benchmark asks of the worker process, and what that answers. Pure."""

import msgspec


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """Cut [start, end) seconds out of the stored source `key`."""

    id: int
    key: str
    size: int
    """Bytes of the source."""
    seconds: float
    """Its duration."""
    start: float
    end: float
    keep: str | None = None
    """Where the clip is moved to; None: it is thrown away, or uploaded."""
    upload: bool = False
    verify: bool = True
    """False: what a cut costs without looking at it, which its peer does not do either."""
    verify_again: int = 0
    """How often the verification is repeated to time it; one such order at a time."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds and bytes; `path` is the way the cut took. With an `error` the rest means nothing."""

    id: int
    error: str | None = None
    wall: float = 0.0
    size: int = 0
    path: str = ""
    verification_cpu: float = 0.0


def decode_order(line: bytes) -> Order:
    return msgspec.json.decode(line, type=Order)


def decode_answer(line: bytes) -> Answer:
    return msgspec.json.decode(line, type=Answer)
