"""What S3 reads and writes in headers and keys, as values. Pure."""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)*")
_KEY_LENGTH = 512


def checked_key(key: str) -> str:
    if len(key) > _KEY_LENGTH or not _KEY.fullmatch(key):
        raise ValueError("not an object key of ours")
    return key


def etag_of(answer: Mapping[str, Any]) -> str:
    return str(answer.get("ETag", "")).strip('"')


def whole_size(answer: Mapping[str, Any]) -> int:
    """Of an object of which a range was asked for: "bytes 0-99/1234", unless all of it came (RFC 9110, 14.4)."""
    _, _, total = str(answer.get("ContentRange", "")).rpartition("/")
    return int(total) if total.isdigit() else int(answer["ContentLength"])


def http_range(start: int, end: int | None) -> str:
    return f"bytes={start}-" if end is None else f"bytes={start}-{end - 1}"


def attachment(filename: str) -> str:
    """Content-Disposition with a plain name for old clients and the true one beside it (RFC 6266)."""
    plain = re.sub(r"[^A-Za-z0-9._ -]", "_", filename)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(filename, safe='')}"
