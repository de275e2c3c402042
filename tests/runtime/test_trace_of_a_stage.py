"""A delivery in the trace of its job: which one, with what, and what travels on; and a question over NATS in that of who asks."""

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import nats
import pytest

from libs.common.domain.failures import Code, Failure
from libs.common.runtime import tracing
from libs.common.runtime.background import running
from libs.common.runtime.request_reply import ask, serve
from libs.common.runtime.source_cache import open_source_cache
from tests.collector import Collector
from tests.fakes import MemoryDelivery
from tests.runtime.desk import Desk, failing
from tests.runtime.fetching import Fetcher, Watched, a_source, asking, soon
from tests.runtime.test_tracing import PARENT, TRACE, Sent, collector, sent

__all__ = ["collector", "sent"]
TRACEPARENT = f"00-{TRACE}-{PARENT}-01"


def delivery_of(desk: Desk, traceparent: str | None) -> MemoryDelivery:
    return MemoryDelivery.of(msgspec.structs.replace(desk.cause, traceparent=traceparent))


async def test_a_delivery_is_a_consumer_span_below_the_message(tmp_path: Path, collector: Collector, sent: Sent) -> None:
    desk = Desk(tmp_path, subtitles=True)
    await desk.deliver(delivery_of(desk, TRACEPARENT))
    await sent()
    work = collector.named("process source.ready")
    assert (work.trace, work.parent, work.kind, work.error) == (TRACE, PARENT, "consumer", None)
    said = {"clip.stage": "clipper", "clip.job.id": str(desk.cause.job_id), "clip.run": 1, "clip.attempt": 1, "clip.verdict": "Advance"}
    assert said.items() <= work.attributes.items()
    assert desk.bus.published[-1].traceparent == TRACEPARENT


@pytest.mark.parametrize(("failure", "verdict"), [("RETRYABLE_ERROR", "TryLater"), ("SOURCE_UNREADABLE", "GiveUp")])
async def test_an_attempt_that_failed_is_marked_by_its_code(
    tmp_path: Path, collector: Collector, sent: Sent, failure: str, verdict: str
) -> None:
    desk = Desk(tmp_path, failing(Failure(Code(failure), "no")))
    await desk.deliver(delivery_of(desk, TRACEPARENT))
    await sent()
    work = collector.named("process source.ready")
    assert (work.attributes["clip.verdict"], work.attributes["error.type"], work.error) == (verdict, failure, "")


async def test_a_job_without_a_trace_gets_one_for_the_rest_of_its_way(tmp_path: Path, collector: Collector, sent: Sent) -> None:
    desk = Desk(tmp_path, subtitles=True)
    await desk.deliver(delivery_of(desk, None))
    await sent()
    work = collector.named("process source.ready")
    assert (desk.bus.published[-1].traceparent or "").split("-")[1:3] == [work.trace, work.id]


@pytest.mark.parametrize("traceparent", [None, TRACEPARENT], ids=["none", "the client's"])
async def test_without_traces_the_traceparent_travels_on_unchanged(tmp_path: Path, traceparent: str | None) -> None:
    desk = Desk(tmp_path, subtitles=True)
    await desk.deliver(delivery_of(desk, traceparent))
    assert desk.bus.published[-1].traceparent == traceparent


async def test_waiting_for_a_source_that_another_fetches_and_holding_one_makes_no_spans(
    servers: dict[str, str], collector: Collector, sent: Sent
) -> None:
    source, fetch = a_source(), Fetcher()
    async with open_source_cache(servers["DATABASE_URL"], holder="one") as cache:
        watched = Watched(cache)
        with tracing.entry("first", "consumer", parent=None):
            first = asking(watched, source, fetch, lease=0.6)
        await soon(fetch.begun.wait())
        with tracing.entry("second", "consumer", parent=None):
            second = asking(watched, source, fetch)
        await watched.until_waiting()
        await soon(watched.renewed.wait())
        fetch.end.set()
        assert await soon(first) == await soon(second)
    await sent()
    names = {span.name for span in collector.spans}
    assert {"first", "second", "claim", "finish"} <= names
    assert not {"standing", "hold"} & names


async def test_who_answers_a_question_over_nats_is_in_the_trace_of_who_asks(
    servers: dict[str, str], collector: Collector, sent: Sent
) -> None:
    async def answer(_body: bytes, _correlation_id: str) -> bytes:
        return (tracing.traceparent() or "").encode()

    client = await nats.connect(servers["NATS_URL"])
    about: dict[str, Any] = {"name": "t", "description": "t", "subject": "test.traced", "refuse": bytes, "at_once": 1}
    async with running(serve(client, answer=answer, **about)):
        assert await asked(client) == ""
        with tracing.entry("POST /api/probe", "server", parent=None):
            said = await asked(client)
    await client.close()
    await sent()
    question, answering = collector.named("send test.traced"), collector.named("process test.traced")
    assert (question.trace, question.id) == (answering.trace, answering.parent)
    assert said.split("-")[2] == answering.id


async def asked(client: Any) -> str:
    """As soon as somebody is there to answer."""
    async with asyncio.timeout(40):
        while True:
            try:
                return (await ask(client, "test.traced", b"", correlation_id="c", seconds=5)).decode()
            except Failure:
                await asyncio.sleep(0.01)
