"""How many requests a client may send in a window: counted in Postgres, so that all replicas keep one limit together."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from libs.common.domain.failures import Code, Failure
from libs.common.runtime.logs import logger
from libs.common.runtime.postgres import Pool, Statements
from services.api.bounded import Bounded
from services.api.caller import Caller

log = logger(__name__)
MOST_REFUSED = 10_000


@dataclass(frozen=True, slots=True)
class Allowance:
    """Where a client stands in its window: `used` counts this request, `left` are the seconds until the window ends."""

    limit: int
    window: int
    used: int
    left: float

    @property
    def is_over(self) -> bool:
        return self.used > self.limit

    @property
    def seconds(self) -> int:
        """Whole ones: whoever waits so long comes after the window's end."""
        return max(1, math.ceil(self.left))

    def headers(self) -> list[tuple[bytes, bytes]]:
        """draft-ietf-httpapi-ratelimit-headers-06."""
        values = {
            b"ratelimit-limit": self.limit,
            b"ratelimit-remaining": max(0, self.limit - self.used),
            b"ratelimit-reset": self.seconds,
            b"ratelimit-policy": f"{self.limit};w={self.window}",
        }
        return [(name, str(value).encode()) for name, value in values.items()]

    def refusal(self) -> Failure:
        message = f"you may send {self.limit} requests of this kind in {self.window} s"
        return Failure(Code.RATE_LIMITED, message, retry_after=self.seconds)


class RateLimits:
    """`window` in seconds; `clock` gives seconds that only grow."""

    def __init__(self, pool: Pool, window: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._statements = Statements(pool, "rate_limits.sql", "services.api")
        self._window, self._clock = window, clock
        self._refused: Bounded[str, tuple[float, int]] = Bounded(MOST_REFUSED)

    async def count(self, caller: Caller) -> Allowance | None:
        """Where the caller stands now. None: there is no limit, or the database is away (the job's insert will say so)."""
        if caller.rate_limit == 0:
            return None
        ends, limit = self._refused.get(caller.client, (0.0, 0))
        if (left := ends - self._clock()) > 0 and limit >= caller.rate_limit:
            return Allowance(caller.rate_limit, self._window, caller.rate_limit + 1, left)
        return await self._counted(caller)

    async def _counted(self, caller: Caller) -> Allowance | None:
        try:
            row = await self._statements.row("count_request", caller.client, timedelta(seconds=self._window))
        except Failure as failure:
            log.warning("requests are not counted", error=failure.message)
            return None
        allowance = Allowance(caller.rate_limit, self._window, row["used"], row["seconds"])
        if allowance.is_over:
            self._refused[caller.client] = (self._clock() + allowance.left, allowance.limit)
        return allowance

    async def sweep(self) -> None:
        """Forget the windows that have ended."""
        await self._statements.rows("sweep_windows")
