"""Traces: what is in one, what is in none, that a bad collector costs spans and nothing else, and that off is off."""

import asyncio
import gc
import json
import logging
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress

import pytest
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SpanExportResult

from libs.common.domain.failures import Code, Failure
from libs.common.runtime import logs, trace_export, tracing
from libs.common.runtime.metrics import measured
from libs.common.runtime.process import Limits, run
from libs.common.runtime.settings import CommonSettings, load
from tests.collector import Collector, open_collector

NEEDED = {"DATABASE_URL": "postgresql://me:hunter2@db/clips", "NATS_URL": "nats://nats"}
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
Sent = Callable[[], Awaitable[None]]


@pytest.fixture
async def collector() -> AsyncIterator[Collector]:
    async with open_collector() as collector:
        yield collector


def switch_on(collector: Collector, **more: str) -> None:
    tracing.set_up_traces("clipper", load(CommonSettings, NEEDED | {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url} | more))


@pytest.fixture
async def sent(collector: Collector) -> AsyncIterator[Sent]:
    """Traces are on; called, it sends what there is and switches them off."""
    switch_on(collector)

    async def switch_off() -> None:
        await asyncio.to_thread(tracing.shut_down)

    yield switch_off
    await switch_off()


async def test_what_a_piece_of_work_does_lies_below_it_in_the_trace_that_it_came_with(collector: Collector, sent: Sent) -> None:
    with tracing.entry("process source.ready", "consumer", parent=f"00-{TRACE}-{PARENT}-01"):
        with measured("postgres", "history"):
            pass
        with tracing.span("cut"), measured("s3", "get"):
            pass
    await sent()
    work, history, cut, get = (collector.named(name) for name in ("process source.ready", "history", "cut", "S3.GetObject"))
    assert [(span.trace, span.parent) for span in (work, history, cut)] == [(TRACE, PARENT), (TRACE, work.id), (TRACE, work.id)]
    assert (get.trace, get.parent) == (TRACE, cut.id)
    assert [span.kind for span in (work, history, cut, get)] == ["consumer", "client", "internal", "client"]
    assert history.attributes == {"db.system.name": "postgresql", "db.query.summary": "history"}
    assert {"service.name": "clipper", "service.namespace": "clipstream"}.items() <= work.resource.items()


@pytest.mark.parametrize("traceparent", [None, "", "junk", f"ff-{TRACE}-{PARENT}-01", f"00-{'0' * 32}-{PARENT}-01", "0" * 9999])
async def test_work_without_a_valid_trace_begins_one(collector: Collector, sent: Sent, traceparent: str | None) -> None:
    with tracing.entry("outer", "server", parent=None), tracing.entry("inner", "server", parent=traceparent):
        pass
    await sent()
    inner, outer = collector.named("inner"), collector.named("outer")
    assert inner.parent == outer.parent == ""
    assert len({inner.trace, outer.trace, TRACE}) == 3


async def test_what_is_not_sampled_is_not_sent_and_says_so_to_who_goes_on(collector: Collector, sent: Sent) -> None:
    with tracing.entry("work", "consumer", parent=f"00-{TRACE}-{PARENT}-00"), measured("postgres", "history"):
        handed_on = tracing.traceparent()
    await sent()
    assert handed_on is not None
    assert (handed_on[:36], handed_on[-3:]) == (f"00-{TRACE}-", "-00")
    assert collector.spans == []


async def test_the_background_makes_no_spans_but_for_a_job_that_it_names(collector: Collector, sent: Sent) -> None:
    async def looking() -> None:
        with tracing.quiet():
            await asyncio.sleep(0)
            with measured("postgres", "looked"):
                assert tracing.traceparent() is None

    with measured("postgres", "polled"), tracing.span("lonely"):
        pass
    with tracing.entry("work", "consumer", parent=None):
        await asyncio.create_task(looking())
        with measured("postgres", "ping"):
            pass
    with tracing.span("send clips.requested", "producer", otherwise=f"00-{TRACE}-{PARENT}-01"):
        pass
    await sent()
    assert {span.name for span in collector.spans} == {"work", "send clips.requested"}
    assert collector.named("send clips.requested").parent == PARENT


async def test_tasks_threads_and_programs_keep_the_trace(collector: Collector, sent: Sent) -> None:
    def in_thread() -> None:
        with tracing.span("thread"):
            pass

    async def in_task() -> None:
        await asyncio.to_thread(in_thread)
        await run(["sh", "-c", "exit 3", "--token=hunter2"], limits=Limits(wall=10))

    with tracing.entry("work", "consumer", parent=None) as work:
        work.note({"clip.stage": "clipper"})
        await asyncio.create_task(in_task())
    await sent()
    work_id, program = collector.named("work").id, collector.named("sh")
    assert [collector.named(name).parent for name in ("thread", "sh")] == [work_id, work_id]
    assert (program.attributes["process.exit.code"], program.attributes["error.type"]) == (3, "exit")
    assert "hunter2" not in str(collector.spans)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            Failure(Code.FORBIDDEN, "no: https://s3/key?X-Amz-Signature=hunter2hunter2"),
            ("FORBIDDEN", "no: https://s3/key?X-Amz-Signature=***"),
        ),
        (ValueError("hunter2hunter2"), ("ValueError", "")),
        (asyncio.CancelledError("hunter2hunter2"), (None, None)),
    ],
    ids=["ours", "theirs", "cancelled"],
)
async def test_a_failure_is_told_without_what_is_secret(
    collector: Collector, sent: Sent, error: BaseException, said: tuple[str | None, str | None]
) -> None:
    with pytest.raises(type(error)), tracing.entry("work", "consumer", parent=None):
        raise error
    await sent()
    work = collector.named("work")
    assert (work.attributes.get("error.type"), work.error) == said
    assert work.attributes.get("clip.cancelled", False) == isinstance(error, asyncio.CancelledError)
    assert "hunter2" not in str(collector.spans)


async def test_log_lines_of_a_piece_of_work_name_its_trace(
    collector: Collector, sent: Sent, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    kept = logging.getLogger().handlers[:]
    try:
        logs.set_up_logs("test", "INFO")
        with tracing.entry("work", "consumer", parent=f"00-{TRACE}-{PARENT}-01"):
            logs.logger("ours").info("inside")
        logs.logger("ours").info("outside")
        await sent()
    finally:
        logging.getLogger().handlers[:] = kept
    inside, outside = (json.loads(line) for line in capsysbinary.readouterr().out.splitlines())
    assert (inside["traceId"], inside["spanId"]) == (TRACE, collector.named("work").id)
    assert "traceId" not in outside


async def test_the_collector_gets_its_headers(collector: Collector) -> None:
    switch_on(collector, OTEL_EXPORTER_OTLP_HEADERS="authorization=Bearer%20hunter2, x-tenant=clips")
    with tracing.entry("work", "server", parent=None):
        pass
    await asyncio.to_thread(tracing.shut_down)
    assert {"authorization": "Bearer hunter2", "x-tenant": "clips", "content-type": "application/x-protobuf"}.items() <= collector.headers[
        0
    ].items()
    assert "hunter2" not in str(collector.spans)


def lost() -> float:
    return tracing.DROPPED._value.get()


@pytest.mark.parametrize("status", [400, 500, 302, 304])
async def test_a_collector_that_refuses_costs_spans_and_one_line(
    collector: Collector, sent: Sent, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    collector.fault, before, told = status, lost(), list[str]()
    monkeypatch.setattr(trace_export.log, "warning", lambda event, **more: told.append(more["why"]))
    for _ in range(3):
        with tracing.entry("work", "server", parent=None):
            pass
    logging.getLogger("opentelemetry.any").error("again: %s", "https://me:hunter2hunter2@collector/")
    await sent()
    assert lost() - before == 3
    assert len(told) == 1
    assert "hunter2" not in told[0]


async def test_an_answer_without_an_end_is_not_waited_for(collector: Collector, sent: Sent) -> None:
    collector.drones, before = True, lost()
    for name in ("first", "second"):
        with tracing.entry(name, "server", parent=None):
            pass
        await collector.until(name)
    began = time.perf_counter()
    await sent()
    assert (lost() - before, time.perf_counter() - began < 1.5) == (0, True)


async def test_what_breaks_in_a_delivery_costs_that_one_alone(collector: Collector, sent: Sent, monkeypatch: pytest.MonkeyPatch) -> None:
    export, before = OTLPSpanExporter.export, lost()

    def breaking(self: OTLPSpanExporter, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        if spans[0].name == "bad":
            raise MemoryError
        return export(self, spans)

    monkeypatch.setattr(OTLPSpanExporter, "export", breaking)
    with tracing.entry("bad", "server", parent=None):
        pass
    async with asyncio.timeout(40):
        while lost() == before:
            await asyncio.sleep(0.05)
    with tracing.entry("good", "server", parent=None):
        pass
    await collector.until("good")
    assert lost() - before == 1


async def test_signs_that_no_collector_can_read_cost_no_span(collector: Collector, sent: Sent) -> None:
    with suppress(Failure), tracing.entry("work", "server", parent=None):
        raise Failure(Code.BAD_REQUEST, "no such file: \udcff" + "x" * 10_000)
    await sent()
    said = collector.named("work").error
    assert said is not None
    assert (said[:15], len(said)) == ("no such file: ?", trace_export.LONGEST)


async def test_a_collector_that_hangs_holds_up_neither_work_nor_the_end(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last that counts what was lost: its own goes on being lost behind it."""
    monkeypatch.setattr(trace_export, "GOODBYE", 0.3)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    collector.hangs, before = True, lost()
    switch_on(collector)
    began = time.perf_counter()
    for _ in range(trace_export.WAITING + 700):
        with tracing.entry("work", "server", parent=None):
            pass
    worked = time.perf_counter() - began
    await asyncio.to_thread(tracing.shut_down)
    assert time.perf_counter() - began - worked < 2
    assert lost() - before >= 700 - trace_export.AT_ONCE
    assert worked < 5


async def test_nobody_looks_at_the_process_anew_when_a_child_is_forked(sent: Sent) -> None:
    """The SDK's provider would, in the child, before it becomes ffmpeg."""
    await sent()
    gc.collect()
    assert [found for found in gc.get_objects() if isinstance(found, TracerProvider)] == []


SERVICES = ("api.server", "resolver.main", "clipper.main", "asr.main", "janitor.main")


def test_off_means_that_opentelemetry_is_not_even_imported() -> None:
    code = "import sys, {}; sys.exit(any(name.partition('.')[0] == 'opentelemetry' for name in sys.modules))"
    wanted = ", ".join(f"services.{name}" for name in SERVICES)
    assert subprocess.run([sys.executable, "-c", code.format(wanted)], check=False, timeout=60).returncode == 0


async def test_off_costs_nothing_worth_naming() -> None:
    began = time.perf_counter()
    for _ in range(10_000):
        with tracing.call("postgres", "history"):
            pass
    assert (time.perf_counter() - began) / 10_000 < 20e-6
    assert (tracing.traceparent(), tracing.span("any")) == (None, tracing.NOTHING)
