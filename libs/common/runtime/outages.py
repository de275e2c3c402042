"""An outage costs time, not attempts: what failed for one is held until all answers again, and begun again."""

import asyncio
from collections.abc import Awaitable
from typing import Protocol

from libs.common.domain.failures import Failure
from libs.common.runtime.health import Health
from libs.common.runtime.logs import logger

log = logger(__name__)

FLUKES = 3
"""Times that a dependency may fail us and yet answer its ping before the failure counts as the work's own."""
FLUKE_PAUSE = 0.2
"""Seconds, longer each time."""


class Once(Protocol):
    def __call__(self, *, last: bool) -> Awaitable[None]: ...


async def through_outages(health: Health, once: Once) -> None:
    """`once`, as often as an outage ends it; `last` tells it that a dependency's failure would be believed no more."""
    flukes = 0
    while True:
        try:
            return await once(last=flukes == FLUKES)
        except Failure as failure:
            if failure.outage is None or flukes == FLUKES:
                raise
            log.warning("waiting for a dependency", dependency=failure.outage)
            if not await health.until_up(suspect=failure.outage):
                flukes += 1
                await asyncio.sleep(flukes * FLUKE_PAUSE)
