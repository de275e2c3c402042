"""Findings B8 row 11: connections cut around the COMMIT of an event lose nothing, repeat nothing, and cost no attempt."""

from time import monotonic

import pytest

from libs.common.domain.events import StageName, StageStarted
from tests.chaos.chain import chain, real_servers
from tests.chaos.lossy import commits_cut
from tests.chaos.proxies.postgres import PostgresProxy
from tests.chaos.proxies.tcp import opened
from tests.chaos.verdict import outcome, rows_of, settled


async def test_forty_cuts_around_the_commit_lose_nothing_and_repeat_nothing(servers: dict[str, str]) -> None:
    counted = await commits_cut(40, seed=11, variables=servers)
    assert counted.is_exact
    assert (counted.injected, counted.messages) == (40, counted.jobs * len(StageName))


@pytest.mark.parametrize("before", [0.0, 1.0], ids=["after the commit", "before it"])
@pytest.mark.parametrize("event", [b"stage.started", b"source.ready"], ids=["start", "answer"])
async def test_an_event_that_is_cut_again_and_again_is_written_once_and_worked_for_once(
    servers: dict[str, str], event: bytes, before: float
) -> None:
    """One job, three cuts in a row: moments of an outage spend no attempt, and what was worked out is not worked out again."""
    async with (
        real_servers(servers) as real,
        opened(PostgresProxy(real.postgres, seed=1, left=3, what=event, before=before)) as proxy,
        chain(real, postgres=proxy.url) as line,
    ):
        await line.submit(1)
        await settled(line, limit=15)
        counted = await outcome("cut", real, line, injected=proxy.injected, began=monotonic())
        [rows] = await rows_of(real, line)
    starts = [row.event.attempt for _, row in rows if isinstance(row.event, StageStarted)]
    assert counted.is_exact
    assert (starts, counted.charged, counted.handled) == ([1] * len(StageName), 0, len(StageName))
    assert 1 <= counted.injected <= 3
