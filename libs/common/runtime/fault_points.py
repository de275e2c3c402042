"""Named places between two steps of the work, where a test may kill this very process or make the step fail.

A fault is a file in FAULT_POINTS_DIR, `<who>.<step>` or `<who>.<step>@<job id>`. An empty one kills, as kill -9 does; one that
holds a code of failures.py raises that failure. Without `@` it is used up by the first process that comes by; with it, it stays.
Without the setting a place costs one comparison; production refuses the setting.
"""

import os
import signal
from pathlib import Path
from uuid import UUID

from libs.common.domain.failures import Code, Failure

_folder: Path | None = None


def arm(folder: Path | None) -> None:
    """Look for faults there from now on; None for never."""
    global _folder  # noqa: PLW0603  one process, one switch: the places are everywhere
    _folder = folder


def fault_point(who: str, step: str, job_id: UUID | None = None) -> None:
    """Raises Failure, ends the process, or, nearly always, does nothing."""
    if _folder is not None:
        _meet(_folder, f"{who}.{step}", job_id)


def _meet(folder: Path, place: str, job_id: UUID | None) -> None:
    fault = _claimed(folder / place)
    if fault is None and job_id is not None:
        fault = _read(folder / f"{place}@{job_id}")
    if fault == "":
        os.kill(os.getpid(), signal.SIGKILL)
    elif fault is not None:
        raise Failure(Code[fault], "a fault that a test asked for")


def _claimed(file: Path) -> str | None:
    """What the fault is, for whichever process takes it first."""
    taken = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        file.rename(taken)
    except FileNotFoundError:
        return None
    fault = taken.read_text().strip()
    taken.unlink()
    return fault


def _read(file: Path) -> str | None:
    try:
        return file.read_text().strip()
    except FileNotFoundError:
        return None
