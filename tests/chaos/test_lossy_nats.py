"""Messages doubled, acks and PubAcks lost, a link half open, a body that nobody can read: on a real server, through the real runner."""

import asyncio

from libs.common.domain.events import StageName
from libs.common.domain.subjects import CLIPS, DLQ
from tests.chaos import lossy
from tests.chaos.chain import chain, real_servers
from tests.thorough import IS_THOROUGH

STAGES = len(StageName)
JOBS = 12 if IS_THOROUGH else 6


async def test_every_message_twice_and_late_is_answered_once_and_handled_once(servers: dict[str, str]) -> None:
    """Row 8. The second delivery finds the answer: the provider is asked once for a clip."""
    counted = await lossy.twice(JOBS, seed=8, variables=servers, after=0.5)
    assert counted.is_exact
    assert (counted.messages, counted.handled, counted.charged) == (2 * JOBS * STAGES, JOBS * STAGES, 0)


async def test_every_message_twice_at_once_is_answered_once(servers: dict[str, str]) -> None:
    counted = await lossy.twice(JOBS, seed=8, variables=servers)
    assert counted.is_exact
    assert counted.messages == 2 * JOBS * STAGES


async def test_lost_acks_change_nothing(servers: dict[str, str]) -> None:
    """Row 9."""
    counted = await lossy.acks_dropped(JOBS, seed=9, variables=servers)
    assert counted.is_exact
    assert counted.injected >= 2 * JOBS // 3
    assert (counted.messages, counted.handled, counted.charged) == (JOBS * STAGES, JOBS * STAGES, 0)


async def test_lost_pub_acks_make_no_second_message(servers: dict[str, str]) -> None:
    """Row 10: what was published again was one message, and handled once."""
    counted = await lossy.pubacks_dropped(JOBS, seed=10, variables=servers)
    assert counted.is_exact
    assert counted.injected >= 2 * JOBS // 3
    assert (counted.messages, counted.handled, counted.charged) == (JOBS * STAGES, JOBS * STAGES, 0)


async def test_a_link_that_goes_dead_without_a_word_costs_time_only(servers: dict[str, str]) -> None:
    counted = await lossy.half_open(JOBS, seed=2, variables=servers)
    assert counted.is_exact
    assert (counted.messages, counted.handled, counted.charged) == (JOBS * STAGES, JOBS * STAGES, 0)


async def test_connections_that_are_reset_again_and_again_cost_time_only(servers: dict[str, str]) -> None:
    counted = await lossy.links_cut(4, seed=3, variables=servers)
    assert counted.is_exact
    assert (counted.injected, counted.messages) == (4, 20 * STAGES)


async def test_a_body_that_nobody_can_read_is_a_dead_letter_at_its_first_delivery(servers: dict[str, str]) -> None:
    """Row 16: whole, with the reason, and with nothing left in the work stream."""
    body = b'{"event": \xff\x00'
    async with real_servers(servers) as real, chain(real) as line:
        await line.bus.js.publish("clip.uploaded", body, headers={"Clip-Job-Id": "unknown"})
        async with asyncio.timeout(40):
            while await line.messages():
                await asyncio.sleep(0.01)
        letter = await line.bus.js.get_last_msg(DLQ, "dlq.clip.uploaded")
        consumer = await line.bus.js.consumer_info(CLIPS, "asr")
    headers = letter.headers or {}
    assert letter.data == body
    assert (headers["Clip-Error-Code"], headers["Clip-Attempts"], headers["Clip-Stage"]) == ("BAD_REQUEST", "1", "asr")
    assert headers["Clip-Error-Message"].startswith("the message can't be read: ")
    assert (headers["Clip-Original-Subject"], headers["Clip-Job-Id"]) == ("clip.uploaded", "unknown")
    assert (consumer.delivered.consumer_seq, consumer.num_redelivered) == (1, 0)
