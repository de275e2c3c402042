"""What is asked of a source: the words between the service and `description`. Pure."""

import msgspec


class Keyframes(msgspec.Struct, frozen=True):
    """Those near the ends of a range, in seconds on the file's own clock."""

    start: float
    end: float


class Describe(msgspec.Struct, frozen=True):
    """`url` is a loopback URL, `demuxer` one of ours. The answer is ffprobe's JSON, or with `keyframes` a list of their times."""

    url: str
    demuxer: str
    keyframes: Keyframes | None = None
