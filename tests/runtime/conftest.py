"""The event store that the conformance suites hold to the contract: the fake, and Postgres."""

from collections.abc import AsyncIterator

import pytest

from libs.common.runtime.event_store import EventStore, open_event_store
from tests.fakes import MemoryEventStore


@pytest.fixture(params=["memory", "postgres"])
async def store(request: pytest.FixtureRequest, servers: dict[str, str]) -> AsyncIterator[EventStore]:
    if request.param == "memory":
        yield MemoryEventStore()
        return
    async with open_event_store(servers["DATABASE_URL"]) as postgres:
        yield postgres
