"""What killed workers leave in SCRATCH_DIR goes; what living ones use stays, and what is not ours to judge."""

import asyncio
import os
import sys
import time
from pathlib import Path
from uuid import uuid4

from libs.common.domain.events import StageName
from libs.common.runtime.scratch import SETTLED, scratch, sweep
from libs.common.runtime.settings import CommonSettings, Secret

WORKER = """
import asyncio, sys, uuid
from pathlib import Path
from libs.common.domain.events import StageName
from libs.common.runtime.scratch import scratch
from libs.common.runtime.settings import CommonSettings, Secret

async def main():
    settings = CommonSettings(database_url=Secret(""), nats_url=Secret(""), scratch_dir=Path(sys.argv[1]))
    async with scratch(settings, uuid.uuid4(), StageName.CLIPPER) as folder:
        (folder() / "clip.mp4").write_bytes(b"x")
        print("ready", flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


async def test_the_folder_of_a_killed_worker_goes_and_that_of_a_living_one_stays(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", WORKER, str(tmp_path), stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    await process.stdout.readline()
    later = time.time() + SETTLED + 1
    assert (sweep(tmp_path, later), len(list(tmp_path.iterdir()))) == (0, 1)
    process.kill()
    await process.wait()
    assert (sweep(tmp_path, later), list(tmp_path.iterdir())) == (1, [])


async def test_a_folder_that_was_just_made_is_not_swept_before_its_owner_locks_it(tmp_path: Path) -> None:
    (tmp_path / f"clipper-{uuid4()}-01234567").mkdir()
    assert sweep(tmp_path, time.time()) == 0


async def test_other_files_are_left_alone_and_our_own_attempt_ends_as_ever(tmp_path: Path) -> None:
    (tmp_path / "not-a-folder").write_text("x")
    for name in ("elsewhere", "some-body-elses", f"clipper-{uuid4()}"):
        (tmp_path / name).mkdir()
        os.utime(tmp_path / name, (0, 0))
    before = set(tmp_path.iterdir())
    settings = CommonSettings(database_url=Secret(""), nats_url=Secret(""), scratch_dir=tmp_path)
    async with scratch(settings, uuid4(), StageName.ASR) as folder:
        assert set(tmp_path.iterdir()) == before
        made = folder()
        assert (sweep(tmp_path, time.time() + SETTLED + 1), folder()) == (0, made)
        assert made.is_dir()
    assert set(tmp_path.iterdir()) == before
