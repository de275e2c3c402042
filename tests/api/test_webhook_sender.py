"""Deliveries: sent at least once under one id, again after what passes, no more after what does not; nobody waits for a slow receiver."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from aiohttp import web
from standardwebhooks.webhooks import Webhook

from libs.common.runtime import fault_points
from services.api.views import job_view
from services.api.webhooks.attempts import BACK_OFF, State
from services.api.webhooks.outbox import enqueue
from services.api.webhooks.sender import Sender
from services.api.webhooks.turns import PER_HOST, PLACES
from tests.api.webhook_post import Desk, Receiver, ended, post_office, receiving, turned, until


@pytest.fixture
async def desk(webhook_database: str) -> AsyncIterator[Desk]:
    async with post_office(webhook_database) as desk:
        yield desk


async def test_a_receiver_verifies_what_it_is_told_with_the_reference_library(desk: Desk) -> None:
    async with receiving(204) as receiver, desk.sending(receiver) as sender:
        job = ended(receiver.url, at=desk.clock())
        await desk.order(job)
        assert await turned(sender) == 1
        (heard,) = receiver.heard
        told = Webhook(desk.secret).verify(heard.body, heard.headers)
        assert told == {"type": "job.done", "timestamp": told["timestamp"], "data": msgspec.to_builtins(job_view(job), str_keys=True)}
        assert heard.headers["content-type"] == "application/json"
        assert {"cookie", "authorization", "referer"}.isdisjoint(heard.headers)
        delivery = await desk.delivery(job)
        assert (str(delivery.id), delivery.state, delivery.attempts[0].status) == (heard.id, State.DELIVERED, 204)


async def test_a_job_that_ends_twice_in_one_run_is_told_once_and_another_run_again(desk: Desk) -> None:
    async with receiving(200) as receiver, desk.sending(receiver) as sender:
        job = ended(receiver.url)
        await desk.order(job, job)
        await desk.order(job)
        await desk.order(msgspec.structs.replace(job, run=2))
        assert await turned(sender) == 2
        assert len({heard.id for heard in receiver.heard}) == 2
        assert await turned(sender) == 0


async def test_only_the_end_of_a_job_that_names_a_url_is_told(desk: Desk) -> None:
    job = ended("https://receiver.test/")
    await desk.order(
        ended(None), *(msgspec.structs.replace(job, status=status) for status in ("unknown", "queued", "processing", "expired"))
    )
    assert job.id
    assert await desk.deliveries.of_job(job.id) == []


async def test_an_end_is_told_if_what_it_was_written_with_is_kept_and_else_not(desk: Desk) -> None:
    job = ended("https://receiver.test/")
    async with desk.pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        await enqueue(connection, job)
        await transaction.rollback()
    assert job.id
    assert await desk.deliveries.of_job(job.id) == []


async def test_a_receiver_that_fails_is_asked_again_under_the_same_id_until_it_answers(desk: Desk) -> None:
    async with receiving(500, 302, 404, 200) as receiver, desk.sending(receiver) as sender:
        job = ended(receiver.url)
        await desk.order(job)
        for pause in BACK_OFF[:3]:
            assert await turned(sender) == 1
            desk.clock.forward(pause - 1)
            assert await turned(sender) == 0
            desk.clock.forward(1)
        assert await turned(sender) == 1
        delivery = await desk.delivery(job)
        assert [attempt.status for attempt in delivery.attempts] == [500, 302, 404, 200]
        assert (delivery.state, {heard.id for heard in receiver.heard}) == (State.DELIVERED, {str(delivery.id)})
        assert len({heard.headers["webhook-timestamp"] for heard in receiver.heard}) == 4


async def test_a_delivery_fails_when_a_day_of_tries_is_over_and_can_be_ordered_again(desk: Desk) -> None:
    async with receiving(*[500] * 11, 200) as receiver, desk.sending(receiver) as sender:
        job = ended(receiver.url)
        await desk.order(job)
        for pause in (*BACK_OFF, 0):
            assert await turned(sender) == 1
            desk.clock.forward(pause)
        delivery = await desk.delivery(job)
        assert (delivery.state, len(delivery.attempts), await turned(sender)) == (State.FAILED, 11, 0)
        assert job.id
        assert (await desk.deliveries.again(job.id, delivery.id, desk.clock())).state is State.PENDING
        assert await turned(sender) == 1
        assert (await desk.delivery(job)).state is State.DELIVERED


async def test_a_redirect_is_not_followed(desk: Desk) -> None:
    async with receiving(200) as canary, receiving(web.Response(status=307, headers={"location": canary.url})) as receiver:
        async with desk.sending(receiver, canary) as sender:
            await desk.order(ended(receiver.url))
            await turned(sender)
        assert (len(receiver.heard), canary.heard) == (1, [])


async def test_retry_after_is_believed_up_to_an_hour(desk: Desk) -> None:
    patient, forever = {"retry-after": "900"}, {"retry-after": "9" * 30}
    async with (
        receiving(web.Response(status=503, headers=patient), web.Response(status=429, headers=forever), 200) as receiver,
        desk.sending(receiver) as sender,
    ):
        await desk.order(ended(receiver.url))
        for wait in (900, 3600):
            assert await turned(sender) == 1
            desk.clock.forward(wait - 1)
            assert await turned(sender) == 0
            desk.clock.forward(1)
        assert await turned(sender) == 1


async def test_gone_stops_all_that_the_tenant_has_for_this_url_and_nothing_else(desk: Desk) -> None:
    for tenant in ("a", "b"):
        await desk.secrets.make(tenant, desk.clock())
    async with receiving(410) as gone, receiving(200) as other, desk.sending(other) as sender, desk.sending(gone) as closing:
        await desk.order(*(first := [ended(gone.url, tenant="a")]))
        assert await closing.turn() == 1
        rest = [ended(gone.url, tenant="a"), ended(gone.url, tenant="b"), ended(f"{gone.url}?x", tenant="a"), ended(other.url, tenant="a")]
        await desk.order(*rest)
        await closing.settled()
        states = [(await desk.delivery(job)).state for job in [*first, *rest]]
        assert states == [State.STOPPED, State.STOPPED, State.PENDING, State.PENDING, State.PENDING]
        assert len(gone.heard) == 1
        await turned(sender)
        assert len(other.heard) == 1


async def test_both_live_secrets_sign_and_after_a_day_the_new_one_alone(desk: Desk) -> None:
    new = await desk.secrets.make("", desk.clock())
    async with receiving(200) as receiver, desk.sending(receiver) as sender:
        await desk.order(ended(receiver.url))
        await turned(sender)
        for secret in (desk.secret, new.secret):
            assert Webhook(secret).verify(receiver.heard[0].body, receiver.heard[0].headers)
        desk.clock.forward(24 * 3600)
        await desk.order(ended(receiver.url))
        await turned(sender)
        assert [len(heard.headers["webhook-signature"].split(" ")) for heard in receiver.heard] == [2, 1]


async def test_nothing_is_sent_unsigned(desk: Desk) -> None:
    (only,) = await desk.secrets.live("", desk.clock())
    assert await desk.secrets.end("", only.id, desk.clock())
    async with receiving(200) as receiver, desk.sending(receiver) as sender:
        job = ended(receiver.url)
        await desk.order(job)
        await turned(sender)
        assert receiver.heard == []
        delivery = await desk.delivery(job)
        assert (delivery.state, delivery.attempts[0].error) == (State.PENDING, "no_secret")
        await desk.secrets.make("", desk.clock())
        desk.clock.forward(BACK_OFF[0])
        await turned(sender)
        assert len(receiver.heard) == 1


async def test_a_sender_that_dies_between_sending_and_noting_it_has_the_same_sent_again(desk: Desk, tmp_path: Path) -> None:
    async with receiving(200) as receiver, desk.sending(receiver) as first, desk.sending(receiver) as second:
        job = ended(receiver.url)
        await desk.order(job)
        (tmp_path / "api.webhook_sent").write_text("INTERNAL")
        fault_points.arm(tmp_path)
        try:
            await turned(first)
        finally:
            fault_points.arm(None)
        assert (len(receiver.heard), (await desk.delivery(job)).state, await turned(second)) == (1, State.PENDING, 0)
        desk.clock.forward(61)
        assert await turned(second) == 1
        assert (len({heard.id for heard in receiver.heard}), len(receiver.heard)) == (1, 2)
        assert (await desk.delivery(job)).state is State.DELIVERED


async def test_what_a_sender_says_after_another_took_over_is_not_heard(desk: Desk) -> None:
    held = asyncio.Event()

    async def late() -> web.Response:
        await held.wait()
        return web.Response(status=410)

    async with receiving(late, 200) as receiver, desk.sending(receiver) as first, desk.sending(receiver) as second:
        job = ended(receiver.url)
        await desk.order(job)
        await first.turn()
        await until(lambda: len(receiver.heard) == 1)
        desk.clock.forward(61)
        assert await turned(second) == 1
        held.set()
        await first.settled()
        delivery = await desk.delivery(job)
        assert (delivery.state, [attempt.status for attempt in delivery.attempts]) == (State.DELIVERED, [200])


async def test_many_senders_send_each_once(desk: Desk) -> None:
    async with receiving(200) as receiver, desk.sending(receiver) as one, desk.sending(receiver) as two:
        await desk.order(*(ended(receiver.url) for _ in range(40)))
        while sum(await asyncio.gather(turned(one), turned(two))):
            pass
        assert (len(receiver.heard), len({heard.id for heard in receiver.heard})) == (40, 40)


async def test_a_slow_receiver_holds_up_nobody_else(desk: Desk) -> None:
    held = asyncio.Event()

    async def slow() -> web.Response:
        await held.wait()
        return web.Response()

    async with receiving(slow) as sleepy, receiving(200, host="127.0.0.3") as quick, desk.sending(sleepy, quick) as sender:
        await desk.order(*(ended(sleepy.url) for _ in range(50)), *(ended(quick.url) for _ in range(20)))
        await _until_heard(sender, quick, 20)
        assert (len(sleepy.heard), sleepy.most) == (PER_HOST, PER_HOST)
        assert quick.most <= PER_HOST < PLACES
        held.set()
        await sender.settled()


async def _until_heard(sender: Sender, receiver: Receiver, count: int) -> None:
    async with asyncio.timeout(40):
        while len(receiver.heard) < count:
            await sender.turn()
            await asyncio.sleep(0.01)


async def test_a_receiver_that_never_answers_is_given_up_and_asked_again(desk: Desk) -> None:
    async def never() -> web.Response:
        await asyncio.sleep(60)
        return web.Response()

    async with receiving(never) as receiver, desk.sending(receiver, seconds=0.2) as sender:
        job = ended(receiver.url)
        await desk.order(job)
        await turned(sender)
        delivery = await desk.delivery(job)
        assert (delivery.state, delivery.attempts[0].error) == (State.PENDING, "timeout")


async def test_a_body_without_end_costs_nothing(desk: Desk) -> None:
    async with receiving(web.Response(body=b"x" * (8 << 20))) as receiver, desk.sending(receiver) as sender:
        job = ended(receiver.url)
        await desk.order(job)
        await turned(sender)
        assert (await desk.delivery(job)).state is State.DELIVERED


async def test_a_sender_sends_by_itself_while_inside_and_stops_within_its_time(desk: Desk) -> None:
    held = asyncio.Event()

    async def slow() -> web.Response:
        await held.wait()
        return web.Response()

    async with receiving(200, slow) as receiver, desk.sending(receiver, seconds=60) as sender:
        loop = asyncio.get_running_loop()
        async with sender.running():
            await desk.order(ended(receiver.url), job := ended(receiver.url))
            await until(lambda: len(receiver.heard) == 2)
            began = loop.time()
        assert loop.time() - began < 5
        assert (await desk.delivery(job)).state in {State.PENDING, State.DELIVERED}
        held.set()


async def test_old_deliveries_and_ended_secrets_are_swept(desk: Desk) -> None:
    old, young = ended("https://a.test/", at=desk.clock()), ended("https://a.test/", at=desk.clock())
    await desk.order(old)
    await desk.secrets.make("", desk.clock())
    desk.clock.forward(97 * 3600)
    await desk.order(msgspec.structs.replace(young, updated_at=desk.clock()))
    async with desk.sending() as sender:
        await sender.upkeep()
    assert old.id
    assert await desk.deliveries.of_job(old.id) == []
    assert (await desk.delivery(young)).state is State.PENDING
    assert await desk.pool.fetchval("SELECT count(*) FROM webhook_secrets") == 1
