"""Whether a key is good: looked up in the database at most every few seconds, so that a revoked one is refused soon on every replica."""

import asyncio
import hmac
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from libs.common.domain.failures import Code, Failure
from services.api.bounded import Bounded
from services.api.caller import Caller
from services.api.key_store import KeyStore, Uses
from services.api.keys import Credentials, Key, Pepper

FRESH_SECONDS = 5.0
"""How long the database is not asked again."""
STALE_SECONDS = 10.0
"""How long a key that was good may go on while the database is away: the spec's limit for a revocation."""
LOOKUP_SECONDS = 4.0
"""After which the database counts as away."""
MOST_KNOWN = 10_000
"""Keys, and as many ids that are none, that a process remembers."""
NO_HASH = secrets.token_bytes(32)
"""What an unknown key is compared with, so that it takes the same time."""


@dataclass(frozen=True, slots=True)
class Known:
    """What the database said, and when it was asked (`asked`, on the monotonic clock); no key: the id is nobody's."""

    asked: float
    key: Key | None
    caller: Caller | None


class Authority:
    """`describe` says what a key's owner may do, `clock` gives seconds that only grow, `now` the time of day."""

    def __init__(
        self,
        store: KeyStore,
        pepper: Pepper,
        describe: Callable[[Key], Caller],
        *,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._store, self._pepper, self._describe, self._clock, self._now = store, pepper, describe, clock, now
        self._found: Bounded[str, Known] = Bounded(MOST_KNOWN)
        self._unknown: Bounded[str, Known] = Bounded(MOST_KNOWN)
        self._passed: Bounded[bytes, Known] = Bounded(MOST_KNOWN)
        self._lookups: dict[str, asyncio.Task[Known]] = {}
        self._used: Uses = {}

    def recognises(self, credentials: Credentials) -> bool:
        """Whether this is a key, good or no more, as far as the database was asked: to ask again costs one query in five seconds."""
        known = self._found.get(credentials.id)
        return known is not None and self._is_right(credentials, known)

    def at_hand(self, digest: bytes) -> Caller | None:
        """Who came with the text of this digest before, while the database need not be asked again."""
        known, now = self._passed.get(digest), self._now()
        if known is None or known.key is None or self._clock() - known.asked >= FRESH_SECONDS or not known.key.is_good(now):
            return None
        self._used[known.key.id] = now
        return known.caller

    def remember(self, digest: bytes, credentials: Credentials) -> None:
        """That a text was a good key."""
        if known := self._found.get(credentials.id):
            self._passed[digest] = known

    async def caller(self, credentials: Credentials) -> Caller | None:
        """None for a key that is unknown, wrong, revoked or expired. Raises Failure while the database is away."""
        known = await self._known(credentials.id)
        right, now = self._is_right(credentials, known), self._now()
        if not right or known.key is None or not known.key.is_good(now):
            return None
        self._used[known.key.id] = now
        return known.caller

    def _is_right(self, credentials: Credentials, known: Known) -> bool:
        return hmac.compare_digest(self._pepper.hash(credentials), known.key.hash if known.key else NO_HASH)

    async def _known(self, key_id: str) -> Known:
        known = self._found.get(key_id) or self._unknown.get(key_id)
        if known and self._clock() - known.asked < FRESH_SECONDS:
            return known
        try:
            return await self._looked_up(key_id)
        except Failure:
            if known and known.key and self._clock() - known.asked < STALE_SECONDS:
                return known
            raise

    async def _looked_up(self, key_id: str) -> Known:
        """Once for all who ask meanwhile; none of them takes it away from the others by leaving."""
        if key_id not in self._lookups:
            lookup = self._lookups[key_id] = asyncio.create_task(self._look_up(key_id))
            lookup.add_done_callback(lambda _: self._lookups.pop(key_id))
        return await asyncio.shield(self._lookups[key_id])

    async def _look_up(self, key_id: str) -> Known:
        asked = self._clock()
        try:
            async with asyncio.timeout(LOOKUP_SECONDS):
                key = await self._store.find(key_id)
        except TimeoutError as error:
            raise Failure(Code.RETRYABLE_ERROR, "the database can't be reached", outage="postgres") from error
        known = Known(asked, key, self._describe(key) if key else None)
        here, there = (self._found, self._unknown) if key else (self._unknown, self._found)
        here[key_id] = known
        there.pop(key_id, None)
        return known

    async def note_uses(self) -> None:
        """Write down which keys were used since the last time; in one order, so that replicas don't lock each other out."""
        uses, self._used = self._used, {}
        try:
            await self._store.note_uses(dict(sorted(uses.items())))
        except Failure:
            self._used = {**uses, **self._used}
            raise
