"""Multipart requests as bytes, so that tests can also send what no client would."""

from collections.abc import AsyncIterator

BOUNDARY = "----clip7MA4YWxkTrZu0gW"
TYPE = {"content-type": f"multipart/form-data; boundary={BOUNDARY}"}
END = f"--{BOUNDARY}--\r\n".encode()


def part(name: str, value: str | bytes) -> bytes:
    content = value.encode() if isinstance(value, str) else value
    return f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'.encode() + content + b"\r\n"


def head(filename: str, name: str = "file") -> bytes:
    disposition = f'Content-Disposition: form-data; name="{name}"; filename="{filename}"'
    return f"--{BOUNDARY}\r\n{disposition}\r\nContent-Type: video/mp4\r\n\r\n".encode()


def file(content: bytes = b"moving pictures", filename: str = "talk.mp4") -> bytes:
    return head(filename) + content + b"\r\n"


RANGE = part("start", "0:01") + part("end", "3.5")


async def zeros(size: int, before: bytes, after: bytes) -> AsyncIterator[bytes]:
    """A body with a file of `size` bytes that nobody ever holds."""
    yield before
    chunk = bytes(256 * 1024)
    for _ in range(size // len(chunk)):
        yield chunk
    yield after
