"""What the operator sees of cutting: how often each path was taken and why, and what was read for it."""

from prometheus_client import Counter

CUTS = Counter("clip_cuts_total", "Clips cut, by the path taken and the reason for it", ["path", "reason"])
SOURCE_BYTES = Counter("clip_source_read_bytes_total", "Bytes of sources that cutting read from S3")
