"""Transcription by faster-whisper, in recognisers that are processes of their own: none holds up the event loop, and a kill ends it."""

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from libs.common.domain.failures import Code, Failure
from libs.common.domain.languages import whisper_code
from libs.common.runtime.child_words import ChildWords
from libs.common.runtime.logs import logger
from libs.common.runtime.process import kill_group, spawn
from services.asr.metrics import measured
from services.asr.model import find_model, local_abilities
from services.asr.settings import AsrSettings
from services.asr.transcriber import Audio, Transcriber, refusal
from services.asr.transcript import Transcript, decode
from services.asr.wish import Wish

log = logger(__name__)

REPOSITORY = Path(__file__).parents[2]
"""Where `python -m services.asr.recogniser` finds itself."""
CHUNK_BYTES = 65_536
MOST_WORKERS = 4


class Recogniser:
    """One child with the model in memory. It is started when first asked, and again after it died or was killed."""

    def __init__(self, settings: AsrSettings) -> None:
        folder = find_model(settings.asr_model)
        self._argv = (sys.executable, "-m", "services.asr.recogniser", str(folder), str(settings.asr_threads), str(settings.asr_beam))
        self._process: Process | None = None
        self._words: ChildWords | None = None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    async def ask(self, audio: Path, wish: Wish) -> bytes:
        """The recogniser's verbose_json. Cancelled, timed out or broken: the child is killed. Raises ConnectionError if it dies."""
        process = await self.start()
        if self._words:
            self._words.are_now()
        try:
            return await _exchange(process, _request(audio, wish))
        except BaseException:
            await self.stop()
            raise

    async def start(self) -> Process:
        if self._process is None or self._process.returncode is not None:
            self._process = await spawn(self._argv, cwd=REPOSITORY, stderr=PIPE)
            self._words = ChildWords(self._process, "recogniser")
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


def recognisers_of(settings: AsrSettings) -> int:
    """One thread each, a core each: two threads that wait for each other cost a third more, and far more where cores are shared."""
    return settings.asr_workers or min(os.cpu_count() or 1, MOST_WORKERS)


def _request(audio: Path, wish: Wish) -> dict[str, str | None]:
    language = None if wish.language == "auto" else whisper_code(wish.language)
    return {"audio": str(audio), "language": language, "task": wish.task, "initial_prompt": wish.hint or None}


async def _exchange(process: Process, request: dict[str, str | None]) -> bytes:
    if process.stdin is None:
        raise ConnectionError("the recogniser has no input")
    process.stdin.write(json.dumps(request).encode() + b"\n")
    await process.stdin.drain()
    return await _line(process)


async def _line(process: Process) -> bytes:
    """One line, however long: a transcript may well be longer than asyncio's limit for readline."""
    line = bytearray()
    while not line.endswith(b"\n"):
        chunk = await process.stdout.read(CHUNK_BYTES) if process.stdout else b""
        if not chunk:
            raise ConnectionError("the recogniser ended")
        line += chunk
    return bytes(line)


class LocalTranscriber:
    """A fixed number of recognisers; a request waits for a free one, and takes one that was at work before one that never was."""

    provider = "local"

    def __init__(self, settings: AsrSettings, recognisers: Sequence[Recogniser]) -> None:
        self.model = settings.local_model_name
        self._able = local_abilities(settings.asr_model)
        self.recognisers = tuple(recognisers)
        self._timeout = settings.asr_request_timeout_ms / 1000
        self._free: asyncio.LifoQueue[Recogniser] = asyncio.LifoQueue()
        for recogniser in reversed(recognisers):
            self._free.put_nowait(recogniser)

    def refusal(self, wish: Wish) -> Failure | None:
        return refusal(self._able, wish)

    async def transcribe(self, audio: Audio, wish: Wish) -> Transcript:
        if refused := self.refusal(wish):
            raise refused
        with measured(self.provider, audio.seconds):
            body = await self._answer(audio, wish)
            return decode(body, provider=self.provider, model=self.model, language=wish.written, seconds=audio.seconds)

    async def _answer(self, audio: Audio, wish: Wish) -> bytes:
        recogniser = await self._free.get()
        try:
            async with asyncio.timeout(self._timeout):
                return await recogniser.ask(audio.path, wish)
        except TimeoutError:
            raise Failure(Code.RETRYABLE_ERROR, "the speech recogniser took longer than its time limit") from None
        except OSError as error:
            log.warning("the recogniser broke; another is started for the next request", error=str(error))
            raise Failure(Code.RETRYABLE_ERROR, "the speech recogniser broke") from None
        finally:
            self._free.put_nowait(recogniser)


@asynccontextmanager
async def open_local(settings: AsrSettings) -> AsyncIterator[Transcriber]:
    """Recognisers, the first with its model loaded: one that can't be is seen at the service's start. The others follow at need."""
    recognisers = [Recogniser(settings) for _ in range(recognisers_of(settings))]
    try:
        await recognisers[0].start()
        yield LocalTranscriber(settings, recognisers)
    finally:
        for recogniser in recognisers:
            await recogniser.stop()
