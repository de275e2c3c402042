"""Whether the streams take what is written to them. After one write error a stream takes nothing more, and answers all else as ever:
only a message that is really stored can tell. A full stream refuses it too.

Every janitor looks. The canary is no work: it has a subject of its own, that no consumer has, and is deleted at once.
"""

import asyncio
import time
from contextlib import suppress

from libs.common.domain.failures import Failure
from libs.common.domain.subjects import CLIPS, DLQ
from libs.common.runtime.background import every, for_ever
from libs.common.runtime.jetstream import JetStreamBus
from libs.common.runtime.logs import logger
from libs.common.runtime.service import Connections
from libs.common.runtime.stored_messages import StoredMessages
from services.janitor.metrics import CANARY_SECONDS, CANARY_UP
from services.janitor.settings import JanitorSettings

log = logger(__name__)


async def send_canaries(settings: JanitorSettings, c: Connections) -> None:
    """The task: look, for ever, most of all in an outage."""
    canaries = Canaries(c.bus)
    await for_ever("canary", canaries.send_all, every(settings.queue_metrics_every_sec))


class Canaries:
    def __init__(self, bus: JetStreamBus) -> None:
        self._streams = {name: StoredMessages(bus, name) for name in (CLIPS, DLQ)}
        self._up: dict[str, bool] = {}

    async def send_all(self) -> None:
        """One look at all streams."""
        await asyncio.gather(*(self.send(stream) for stream in self._streams))

    async def send(self, stream: str) -> None:
        began = time.perf_counter()
        try:
            await self._streams[stream].send_canary()
        except Failure as failure:
            self._note(stream, up=False, why=failure.message)
        else:
            CANARY_SECONDS.labels(stream).observe(time.perf_counter() - began)
            self._note(stream, up=True)
        with suppress(Failure):  # the next look takes it away
            await self._streams[stream].sweep_canaries()

    def _note(self, stream: str, *, up: bool, why: str | None = None) -> None:
        """In the metrics, and in the log when it changes."""
        CANARY_UP.labels(stream).set(up)
        if self._up.get(stream, True) is not up:
            if up:
                log.info("stream can be written again", stream=stream)
            else:
                log.error("stream takes no messages", stream=stream, error=why)
        self._up[stream] = up
