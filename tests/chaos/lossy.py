"""What lossy lines do to jobs: one function a fault, small in the tests and larger in `make chaos`; each says what it counted."""

import asyncio
from time import monotonic

from libs.common.domain.events import StageName
from tests.chaos.chain import Chain, chain, real_servers
from tests.chaos.proxies.nats import NatsProxy
from tests.chaos.proxies.postgres import PostgresProxy
from tests.chaos.proxies.tcp import opened
from tests.chaos.verdict import Outcome, outcome, settled
from tests.chaos.zombies import zombies

__all__ = ["acks_dropped", "commits_cut", "half_open", "links_cut", "pubacks_dropped", "twice", "zombies"]

Variables = dict[str, str] | None
"""Of a Postgres that is there already; None starts one."""


async def twice(jobs: int, seed: int, variables: Variables = None, *, after: float = 0.0) -> Outcome:
    """Findings B8 row 8: every work message is in the stream twice, the second one `after` seconds later."""
    return await _over_nats("every message twice", jobs, variables, seed=seed, twin_after=after, twin=1.0)


async def acks_dropped(jobs: int, seed: int, variables: Variables = None, *, chance: float = 0.3) -> Outcome:
    """Row 9."""
    return await _over_nats("acks dropped", jobs, variables, seed=seed, ack=chance)


async def pubacks_dropped(jobs: int, seed: int, variables: Variables = None, *, chance: float = 0.3) -> Outcome:
    """Row 10."""
    return await _over_nats("PubAcks dropped", jobs, variables, seed=seed, pub_ack=chance)


async def commits_cut(cuts: int, seed: int, variables: Variables = None, *, every: int = 4) -> Outcome:
    """Row 11: as many connections cut around the COMMIT of an event, at every `every`-th; jobs go in until they are used up."""
    began = monotonic()
    async with (
        real_servers(variables) as servers,
        opened(PostgresProxy(servers.postgres, seed=seed, every=every, left=cuts)) as proxy,
        chain(servers, postgres=proxy.url, seed=seed) as line,
    ):
        while proxy.left:
            await line.submit(10)
            await settled(line)
        return await outcome("cut during COMMIT", servers, line, injected=proxy.injected, began=began)


async def links_cut(cuts: int, seed: int, variables: Variables = None) -> Outcome:
    """Every connection to NATS is reset, again and again, while jobs run: in the middle of pulls, publishes and acks alike."""
    began = monotonic()
    async with (
        real_servers(variables) as servers,
        opened(NatsProxy(servers.nats, seed=seed)) as proxy,
        chain(servers, nats=proxy.url, seed=seed) as line,
    ):
        while proxy.cuts < cuts:
            await line.submit(5)
            proxy.cut_all()
            await until_back(line, proxy.cuts)
        await settled(line)
        return await outcome("connections reset", servers, line, injected=proxy.cuts, began=began)


async def half_open(jobs: int, seed: int, variables: Variables = None) -> Outcome:
    """Findings B1: the link to NATS goes dead without a word, with work in hand. The client's pings are ten times as frequent here."""
    began = monotonic()
    async with (
        real_servers(variables) as servers,
        opened(NatsProxy(servers.nats, seed=seed)) as proxy,
        chain(servers, nats=proxy.url, seed=seed) as line,
    ):
        line.workers.client.options["ping_interval"] /= 10
        proxy.cut_all()
        await until_back(line, proxy.cuts)
        await line.submit(jobs)
        proxy.freeze()
        await settled(line)
        return await outcome("a link half open", servers, line, injected=1, began=began)


async def until_back(line: Chain, times: int) -> None:
    """The stages' own connection has been made again so often."""
    async with asyncio.timeout(60):
        while not (line.workers.client.stats["reconnects"] >= times and line.workers.client.is_connected):
            await asyncio.sleep(0.01)


async def _over_nats(fault: str, jobs: int, variables: Variables, *, seed: int, twin_after: float = 0.0, **chance: float) -> Outcome:
    began = monotonic()
    async with (
        real_servers(variables) as servers,
        opened(NatsProxy(servers.nats, seed=seed, twin_after=twin_after, **chance)) as proxy,
        chain(servers, nats=proxy.url, seed=seed) as line,
    ):
        await line.submit(jobs)
        await settled(line, messages=jobs * len(StageName) * (2 if "twin" in chance else 1))
        return await outcome(fault, servers, line, injected=proxy.counts.total(), began=began)
