"""What is asked of a source: the words between the service and `description`. Pure."""

import msgspec


class Describe(msgspec.Struct, frozen=True):
    """`url` is a loopback URL, `demuxer` one of ours."""

    url: str
    demuxer: str
