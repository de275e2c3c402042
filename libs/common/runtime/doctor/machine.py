"""The machine under a service: room for its files, memory, open files, Python and its packages."""

import os
import resource
import tempfile
from functools import partial
from pathlib import Path

from libs.common.runtime.doctor.examination import Check, aside
from libs.common.runtime.doctor.findings import Seen, failed, ok, warning
from libs.common.runtime.doctor.packages import packages_seen, python_seen
from libs.common.runtime.scratch import MIB, Space, space_of
from libs.common.runtime.settings import CommonSettings

LIMIT_FILES = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
"""Of cgroup v2 and v1, as a container sees its own."""
UNLIMITED = 1 << 60


def machine_checks(settings: CommonSettings, service: str, *, memory_mb: int, open_files: int) -> list[Check]:
    """`memory_mb` and `open_files`: what the service needs at its work. `service` names the lock file."""
    check = partial(Check, topic="machine")
    folder = "Give SCRATCH_DIR a folder of its own that this user may write to."
    return [
        check(name="scratch", look=partial(aside, partial(_scratch, settings)), advice=folder),
        check(name="memory", look=partial(aside, lambda: memory_seen(_memory_limit(), memory_mb))),
        check(name="open files", look=partial(aside, lambda: files_seen(resource.getrlimit(resource.RLIMIT_NOFILE)[0], open_files))),
        check(name="Python", look=partial(aside, python_seen)),
        check(name="packages", look=partial(aside, partial(packages_seen, service))),
    ]


def _scratch(settings: CommonSettings) -> Seen:
    folder = settings.scratch_dir
    try:
        there = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
        with tempfile.TemporaryFile(dir=there) as file:
            file.write(b"\0" * 4096)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        return failed(f"{folder}: {error.strerror}", "Give SCRATCH_DIR a folder that this user may write to.")
    return scratch_seen(space_of(folder), settings)


def scratch_seen(space: Space, settings: CommonSettings) -> Seen:
    text = f"{settings.scratch_dir}: {space.free // MIB} MiB free, {space.used // MIB} used"
    if space.free < settings.scratch_min_free_mb * MIB:
        return failed(f"{text}: no work is taken", f"Free some space, or lower SCRATCH_MIN_FREE_MB ({settings.scratch_min_free_mb}).")
    if settings.scratch_max_mb and space.used > settings.scratch_max_mb * MIB:
        return failed(f"{text}: no work is taken", f"Remove what is old there, or raise SCRATCH_MAX_MB ({settings.scratch_max_mb}).")
    largest = settings.max_input_mb * settings.worker_max_concurrency
    if space.free < largest * MIB:
        return warning(
            text,
            f"{settings.worker_max_concurrency} of the largest sources take {largest} MiB: give it a larger disk, or lower MAX_INPUT_MB.",
        )
    return ok(text)


def _memory_limit() -> int | None:
    """Bytes: the container's limit, else the machine's memory."""
    for file in LIMIT_FILES:
        if file.is_file() and (text := file.read_text().strip()).isdigit() and int(text) < UNLIMITED:
            return int(text)
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def memory_seen(limit: int | None, needed_mb: int) -> Seen:
    if limit is None:
        return ok("no limit")
    text = f"{limit // MIB} MiB, and {needed_mb} are enough"
    return (
        ok(text)
        if limit >= needed_mb * MIB
        else warning(f"{limit // MIB} MiB", f"Give it {needed_mb} MiB, or lower WORKER_MAX_CONCURRENCY.")
    )


def files_seen(soft: int, needed: int) -> Seen:
    if soft in {resource.RLIM_INFINITY, -1} or soft >= needed:
        return ok("no limit" if soft in {resource.RLIM_INFINITY, -1} else f"{soft} may be open, and {needed} are enough")
    return warning(f"{soft} may be open", f"Raise the limit (ulimit -n, LimitNOFILE) to {needed}.")
