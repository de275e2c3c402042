"""Transcription by faster-whisper, in recognisers that are processes of their own: the event loop never waits for one, and a kill ends it."""

import asyncio
import json
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from libs.common.domain.failures import Code, Failure
from libs.common.runtime.process import kill_group, spawn
from libs.common.runtime.telemetry import logger
from services.asr.languages import whisper_code
from services.asr.metrics import measured
from services.asr.model import find_model
from services.asr.settings import AsrSettings
from services.asr.transcriber import Audio, Transcriber, supports
from services.asr.transcript import Transcript, decode

log = logger(__name__)

REPOSITORY = Path(__file__).parents[2]
"""Where `python -m services.asr.recogniser` finds itself."""
CHUNK_BYTES = 65_536


class Recogniser:
    """One child with the model in memory. It is started when first asked, and again after it died or was killed."""

    def __init__(self, settings: AsrSettings) -> None:
        folder = find_model(settings.asr_model)
        self._argv = (sys.executable, "-m", "services.asr.recogniser", str(folder), str(settings.asr_threads), str(settings.asr_beam))
        self._process: Process | None = None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    async def ask(self, audio: Path, language: str) -> bytes:
        """The recogniser's verbose_json. Cancelled, timed out or broken: the child is killed. Raises ConnectionError if it dies."""
        process = await self.start()
        try:
            return await _exchange(process, {"audio": str(audio), "language": None if language == "auto" else whisper_code(language)})
        except BaseException:  # noqa: BLE001  what it would answer now belongs to nobody: cancelled or broken, it goes
            await self.stop()
            raise

    async def start(self) -> Process:
        if self._process is None or self._process.returncode is not None:
            self._process = await spawn(self._argv, cwd=REPOSITORY)
            await self._until_ready(self._process)
        return self._process

    async def _until_ready(self, process: Process) -> None:
        try:
            await _line(process)
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        process, self._process = self._process, None
        if process:
            await kill_group(process)
