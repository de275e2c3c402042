"""How far another clock is from ours, and whether that matters. Pure."""

from libs.common.runtime.doctor.findings import Seen, failed, ok, warning

NOTICEABLE, FATAL = 30.0, 900.0
"""Seconds. Beyond a quarter of an hour S3 refuses every signature (RequestTimeTooSkewed)."""
KEEP_TIME = "Let NTP keep the time on both machines (timedatectl, chrony)."


def clock_seen(theirs: float, before: float, after: float, resolution: float = 0.0) -> Seen:
    """All in seconds of the epoch: their clock, read between two looks at ours; `resolution` is how coarsely they tell it."""
    late = max(before - theirs - resolution, 0.0)
    early = max(theirs - after, 0.0)
    off = max(late, early)
    if off < NOTICEABLE:
        return ok("the same time as here" if off < 1 else f"{off:.0f} s {'behind' if late else 'ahead of'} ours")
    text = f"its clock is {off:.0f} s {'behind' if late else 'ahead of'} ours"
    return failed(text, KEEP_TIME) if off >= FATAL else warning(text, KEEP_TIME)
