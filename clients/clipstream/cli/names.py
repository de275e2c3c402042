"""What the files of a clip are called, and which sources are files at all. Pure."""

import re
from pathlib import PurePath

from clipstream.cli.times import Range, span

LONGEST_STEM = 160
"""Bytes of a source's name: a file system takes 255, and range and ending come behind it."""
LONGEST_NAME = 220
"""Bytes of a name that somebody chose."""
SHORT_ID = 8


def is_url(source: str) -> bool:
    return re.match(r"https?://", source, re.IGNORECASE) is not None


def stem_of(source: str, parts: tuple[Range, ...], job_id: str) -> str:
    """`talk-1m30s-2m00s` of a file, so that another range is another name; of a URL or a joined clip the job says which it is."""
    if is_url(source):
        return stem_of_job(job_id)
    file = re.sub(r"[\x00-\x1f\x7f-\x9f]", "_", PurePath(source).stem)
    while len(file.encode(errors="replace")) > LONGEST_STEM:
        file = file[:-1]
    if len(parts) > 1:
        return f"{file}-joined-{job_id[:SHORT_ID]}"
    return f"{file}-{span(parts[0].start)}-{span(parts[0].end)}"


def is_name(text: str) -> bool:
    """Of a file, and of none in another folder."""
    return text not in {"", ".", ".."} and not {"/", "\0"} & set(text) and len(text.encode(errors="replace")) <= LONGEST_NAME


def stem_of_job(job_id: str) -> str:
    """The id may have come from the server: only what an id is made of is used."""
    return f"clip-{re.sub(r'[^0-9A-Za-z]', '', job_id)[:SHORT_ID]}"


def numbered(name: str, number: int, of: int) -> str:
    """The name that was asked for, told apart where there are several clips."""
    return name if of == 1 else f"{name}-{number}"
