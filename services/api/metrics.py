"""What the operator sees of uploads, by their way: through the API, or direct into the storage."""

from typing import Literal

from prometheus_client import Counter, Histogram

UPLOAD_SECONDS = Histogram(
    "clip_upload_seconds",
    "Time of an upload: from its first byte at the API, or from the signing of its URLs, until the file is whole",
    ["way"],
    buckets=(0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 7200),
)
UPLOAD_BYTES = Counter("clip_upload_bytes_total", "Bytes of the files that were uploaded whole", ["way"])


def uploaded(way: Literal["api", "direct"], size: int, seconds: float) -> None:
    """One that is whole."""
    UPLOAD_BYTES.labels(way).inc(size)
    UPLOAD_SECONDS.labels(way).observe(seconds)
