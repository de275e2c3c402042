"""Scratch folders: where an attempt keeps its files, and that nothing of them stays."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID, uuid4

from libs.common.domain.events import StageName
from libs.common.runtime.settings import CommonSettings


@asynccontextmanager
async def scratch(settings: CommonSettings, job_id: UUID, stage: StageName) -> AsyncIterator[Path]:
    """A private folder for one attempt, removed at its end unless the settings keep it."""
    folder = settings.scratch_dir / f"{stage}-{job_id}-{uuid4().hex[:8]}"
    folder.mkdir(parents=True, mode=0o700)
    keep = settings.keep_failed
    try:
        yield folder
        keep = settings.keep_scratch_on_success
    finally:
        if not keep:
            await asyncio.shield(asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True))
