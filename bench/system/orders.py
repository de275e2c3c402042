"""What the burning benchmark asks of its worker process, and what that answers. Pure."""

import msgspec


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """A clip of [start, end) seconds of a stored source of so many bytes and seconds, its subtitles, and the two in one."""

    key: str
    size: int
    seconds: float
    start: float
    end: float


class Stage(msgspec.Struct, frozen=True):
    """Seconds of one handler: on the clock, and of the CPU, with all programs that it ran."""

    wall: float
    cpu: float


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """Keys of what was stored. With an `error` the rest means nothing. `reused`: the transcript was there already."""

    error: str | None = None
    clip_key: str = ""
    burned_key: str = ""
    srt_key: str = ""
    reused: bool = False
    stages: dict[str, Stage] = {}
