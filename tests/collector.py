"""A collector of traces: OTLP/HTTP as it is on the wire, what came as plain values, and faults on demand."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest, ExportTraceServiceResponse
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span as WireSpan

PROTOBUF = "application/x-protobuf"
KINDS = {number: name.removeprefix("SPAN_KIND_").lower() for name, number in WireSpan.SpanKind.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """One span; times in nanoseconds, `parent` empty for a root. `error` is its status' message where it failed, else None."""

    service: str
    name: str
    kind: str
    trace: str
    id: str
    parent: str
    start: int
    end: int
    attributes: dict[str, Any]
    resource: dict[str, Any]
    error: str | None

    @property
    def seconds(self) -> float:
        return (self.end - self.start) / 1e9


@dataclass(slots=True)
class Collector:
    """What came. `fault` is the status that everything is answered with; `hangs` holds the answers back, `drones` never ends one."""

    spans: list[Span] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    fault: int | None = None
    hangs: bool = False
    drones: bool = False
    url: str = ""
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def take(self, request: web.Request) -> web.StreamResponse:
        self.headers.append({name.lower(): value for name, value in request.headers.items()})
        body = await request.read()
        if self.hangs:
            await asyncio.Event().wait()
        if self.fault:
            return web.Response(status=self.fault)
        if request.content_type != PROTOBUF:
            return web.Response(status=415)
        async with self.changed:
            self.spans += spans_in(body)
            self.changed.notify_all()
        if self.drones:
            return await drone(request)
        return web.Response(body=ExportTraceServiceResponse().SerializeToString(), content_type=PROTOBUF)

    async def until(self, *names: str, seconds: float = 20) -> None:
        """Returns once there are spans of all these names."""
        async with asyncio.timeout(seconds), self.changed:
            await self.changed.wait_for(lambda: set(names) <= {span.name for span in self.spans})

    def named(self, name: str) -> Span:
        [found] = [span for span in self.spans if span.name == name]
        return found


async def drone(request: web.Request) -> web.StreamResponse:
    """A good answer, but for its end: until the peer has gone, and for a minute at most."""
    answer = web.StreamResponse(headers={"content-type": PROTOBUF})
    await answer.prepare(request)
    with suppress(TimeoutError, ConnectionError):
        async with asyncio.timeout(60):
            while True:
                await answer.write(b"z" * 65_536)
                await asyncio.sleep(0.001)
    return answer


def spans_in(body: bytes) -> Iterable[Span]:
    for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
        about = {pair.key: plain(pair.value) for pair in resource.resource.attributes}
        for scope in resource.scope_spans:
            for span in scope.spans:
                yield Span(
                    service=about["service.name"],
                    name=span.name,
                    kind=KINDS[span.kind],
                    trace=span.trace_id.hex(),
                    id=span.span_id.hex(),
                    parent=span.parent_span_id.hex(),
                    start=span.start_time_unix_nano,
                    end=span.end_time_unix_nano,
                    attributes={pair.key: plain(pair.value) for pair in span.attributes},
                    resource=about,
                    error=span.status.message if span.status.code == span.status.STATUS_CODE_ERROR else None,
                )


def plain(value: AnyValue) -> Any:
    return getattr(value, value.WhichOneof("value") or "string_value")


def tree(spans: Iterable[Span]) -> str:
    """A trace as an indented text: when each span began and how long it took, in milliseconds."""
    ordered = sorted(spans, key=lambda span: span.start)
    known, first = {span.id for span in ordered}, ordered[0].start

    def lines(above: str | None, depth: int) -> Iterable[str]:
        for span in ordered:
            if (span.parent == above) if above else span.parent not in known:
                mark = "" if span.error is None else f"  ! {span.attributes.get('error.type')}"
                name = f"{'  ' * depth}{span.service} {span.name}"
                yield f"{name:<60}{(span.start - first) / 1e6:>9.1f}{(span.end - span.start) / 1e6:>9.1f}{mark}"
                yield from lines(span.id, depth + 1)

    return "\n".join(lines(None, 0))


@asynccontextmanager
async def open_collector() -> AsyncIterator[Collector]:
    collector = Collector()
    app = web.Application(client_max_size=64 << 20)
    app.router.add_post("/v1/traces", collector.take)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    assert site._server
    collector.url = f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}"
    yield collector
    await runner.cleanup()
