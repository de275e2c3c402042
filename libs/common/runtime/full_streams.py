"""What a stage does when a stream has no room for what it publishes: nothing fails for it, and no attempt is charged."""

import asyncio
from collections.abc import Callable

from libs.common.domain.events import Envelope
from libs.common.runtime.bus import Bus, Delivery
from libs.common.runtime.jetstream import StreamFull
from libs.common.runtime.logs import logger

log = logger(__name__)

LETTERS_PAUSE = 60.0
"""Seconds until a message that found no room among the dead letters is looked at again; the worker does other things meanwhile."""
TRIES = 5
TRY_PAUSE = 1.0


async def pass_on(bus: Bus, answer: Envelope, delivery: Delivery, passed: Callable[[str], None]) -> None:
    """Publish what the next stage waits for, then ack our own message.

    In a full stream that message may sit on the only place there is, and if every stage held its own, nothing would ever move:
    there it is acked first. The event table has the answer, so the reconciler publishes what finds no room even then.
    """
    try:
        await bus.publish(answer)
        passed("published")
    except StreamFull as full:
        log.warning("our own message makes room", error=full.message)
        await delivery.ack()
        await _into_the_room(bus, answer)
    else:
        await delivery.ack()
    passed("acked")


async def _into_the_room(bus: Bus, answer: Envelope) -> None:
    for _ in range(TRIES):
        try:
            await bus.publish(answer)
        except StreamFull:
            await asyncio.sleep(TRY_PAUSE)
        else:
            return
    log.error("no room for the next stage's message; the reconciler publishes it")
