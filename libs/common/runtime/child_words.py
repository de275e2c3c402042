"""What a child that lives for many requests says on its stderr: lines of our own log, told of the job that it worked on."""

import asyncio
from asyncio.subprocess import Process
from contextlib import suppress
from contextvars import Context, copy_context

from libs.common.runtime.logs import logger

log = logger(__name__)
CHUNK_BYTES = 65_536
MOST_BYTES = 32_768
GATHERED = 0.25
"""Seconds of words that are one line of ours, as far as they fit: hostile media can make a library complain at every packet."""


class ChildWords:
    """Made for a running process whose stderr is a pipe; listens until that closes, which `kill_group` sees to."""

    def __init__(self, process: Process, name: str) -> None:
        self._name, self._stream = name, process.stderr
        self.context = Context()
        """Whose words they are: without job until `are_now` is called."""
        self._listening = asyncio.create_task(self._listen(), context=Context())

    def are_now(self) -> None:
        """From here on what it says is told of the job whose code this is called from."""
        self.context = copy_context()

    async def _listen(self) -> None:
        while self._stream and (first := await self._stream.read(CHUNK_BYTES)):
            context, said = self.context, await self._gathered(self._stream, first)
            context.run(log.warning, "a child process complains", program=self._name, said=said.decode(errors="replace").strip())

    async def _gathered(self, stream: asyncio.StreamReader, said: bytes) -> bytes:
        with suppress(TimeoutError):
            async with asyncio.timeout(GATHERED):
                while more := await stream.read(CHUNK_BYTES):
                    said = (said + more)[:MOST_BYTES]
        return said
