"""Whether what the servers confirm is on the disk, and what that takes on this disk: on some machines a sync reaches no disk at all."""

import os
import time
from pathlib import Path
from statistics import median

from libs.common.runtime.nats_monitors import sync_problems
from libs.common.runtime.postgres import Pool

SETTINGS = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}
BLOCK = bytes(8192)
"""As Postgres writes its log."""
TIMES = 200


async def problems(pool: Pool, monitor: str) -> list[str]:
    """In words; empty when both servers sync before they confirm. `monitor` is the message server's monitoring address."""
    found = {name: await pool.fetchval("SELECT current_setting($1)", name) for name in SETTINGS}
    told = [f"Postgres: {name} is {found[name]}, it must be {wanted}" for name, wanted in SETTINGS.items() if found[name] != wanted]
    return [*told, *await sync_problems(monitor)]


def sync_seconds(folder: Path) -> float:
    """Median time to write a block into a file and sync it (fdatasync), as pg_test_fsync does it."""
    file = folder / "sync"
    descriptor = os.open(file, os.O_CREAT | os.O_WRONLY)
    try:
        os.write(descriptor, BLOCK)
        os.fsync(descriptor)
        return median(_one(descriptor) for _ in range(TIMES))
    finally:
        os.close(descriptor)
        file.unlink()


def _one(descriptor: int) -> float:
    began = time.perf_counter()
    os.pwrite(descriptor, BLOCK, 0)
    os.fdatasync(descriptor)
    return time.perf_counter() - began
