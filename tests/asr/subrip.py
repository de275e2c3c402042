"""A strict SubRip reader of our own, for what the service writes."""

import re

from services.asr.cues import Cue

_BLOCK = re.compile(r"(\d+)\n(\d\d):(\d\d):(\d\d),(\d{3}) --> (\d\d):(\d\d):(\d\d),(\d{3})\n(.+(?:\n.+)?)\n\n")


def parsed(file: str) -> list[Cue]:
    """The file's cues; every byte of it has to belong to one."""
    found: list[Cue] = []
    at = 0
    while at < len(file):
        block = _BLOCK.match(file, at)
        assert block, file[at : at + 80]
        assert int(block[1]) == len(found) + 1
        start, end = (((int(block[n]) * 60 + int(block[n + 1])) * 60 + int(block[n + 2])) * 1000 + int(block[n + 3]) for n in (2, 6))
        found.append(Cue(start, end, tuple(block[10].split("\n"))))
        at = block.end()
    return found
