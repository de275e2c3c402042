"""What became of the jobs of a chain: lost, duplicated, stuck. "Exact" is none of them."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from time import monotonic

import asyncpg

from libs.common.domain.events import Envelope, decode
from libs.common.domain.job import answering_stage, fold
from libs.common.domain.subjects import CLIPS, DLQ
from tests.chaos.chain import Chain, Servers

Row = tuple[int, Envelope]
"""An event and its place in its job."""
SETTLED_WITHIN = 60.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of one fault: jobs put in, faults injected, and the three ways to be wrong.

    `messages` were ever in the work stream; `charged` attempts beyond each stage's first were spent; `handled` counts handlers' calls.
    """

    fault: str
    jobs: int
    injected: int
    lost: int
    duplicates: int
    stuck: int
    messages: int
    charged: int
    handled: int
    seconds: float

    @property
    def is_exact(self) -> bool:
        return not (self.lost or self.duplicates or self.stuck)


async def settled(chain: Chain, *, messages: int = 0, limit: float = SETTLED_WITHIN) -> None:
    """Return when so many messages came, none is left, and every job is over; or after `limit` seconds: the rest is stuck."""
    until = monotonic() + limit
    while monotonic() < until and not await is_settled(chain, messages):
        await asyncio.sleep(0.05)


async def is_settled(chain: Chain, messages: int) -> bool:
    state = (await chain.bus.js.stream_info(CLIPS)).state
    return state.last_seq >= messages and not state.messages and not await unfinished(chain)


async def unfinished(chain: Chain) -> int:
    return sum([not fold(await chain.store.history(job)).is_over for job in chain.jobs])


async def rows_of(servers: Servers, chain: Chain) -> list[list[Row]]:
    """Every job's rows by their place, as Postgres has them."""
    connection = await asyncpg.connect(servers.postgres)
    try:
        found = await connection.fetch("SELECT job_id, seq, envelope FROM job_events WHERE job_id = ANY($1) ORDER BY seq", chain.jobs)
    finally:
        await connection.close()
    return [[(row["seq"], decode(row["envelope"])) for row in found if row["job_id"] == job] for job in chain.jobs]


def is_lost(rows: Sequence[Row]) -> bool:
    """A job that is over, yet without all that it asked for; or a hole in its history."""
    job = fold(envelope for _, envelope in rows)
    has_hole = [seq for seq, _ in rows] != list(range(1, len(rows) + 1))
    return has_hole or (job.is_over and (job.status != "done" or bool(job.warnings)))


def repeated(rows: Iterable[Row]) -> int:
    """Answers of a stage that has one already."""
    answers = Counter((answering_stage(envelope.event), envelope.run) for _, envelope in rows)
    return sum(count - 1 for (stage, _), count in answers.items() if stage)


def charged(rows: Iterable[Row]) -> int:
    """Attempts of a job that were spent in vain."""
    job = fold(envelope for _, envelope in rows)
    return sum(max(0, count - 1) for count in job.attempts.values())


async def outcome(fault: str, servers: Servers, chain: Chain, *, injected: int, began: float) -> Outcome:
    """Counted after the stages have settled. A dead letter is a job lost, a message that is left one that is stuck."""
    histories = await rows_of(servers, chain)
    letters = (await chain.bus.js.stream_info(DLQ)).state.messages
    return Outcome(
        fault=fault,
        jobs=len(chain.jobs),
        injected=injected,
        lost=max(sum(map(is_lost, histories)), letters),
        duplicates=sum(map(repeated, histories)),
        stuck=max(await unfinished(chain), await chain.messages()),
        messages=(await chain.bus.js.stream_info(CLIPS)).state.last_seq,
        charged=sum(map(charged, histories)),
        handled=chain.handlers.calls.total(),
        seconds=round(monotonic() - began, 1),
    )
