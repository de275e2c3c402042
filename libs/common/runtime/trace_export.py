"""Spans by OpenTelemetry's SDK, and their way to a collector over OTLP/HTTP: the only file that imports opentelemetry.

A collector that is slow or away costs spans, never work: they wait in a bounded queue, and what it has no room for is counted.
"""

import atexit
import logging
import queue
import threading
import time
from asyncio import CancelledError
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

import requests
from opentelemetry import context, trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.trace import SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from libs.common.domain.failures import Failure
from libs.common.runtime import logs
from libs.common.runtime.redaction import redacted
from libs.common.runtime.trace_names import Kind
from libs.common.runtime.tracing import DROPPED, Attributes

if TYPE_CHECKING:
    from contextvars import Token

log = logs.logger(__name__)
WAITING = 4096
"""Spans that wait to be sent, at most: about 10 MB."""
AT_ONCE = 512
EVERY = 1.0
"""Seconds between two deliveries."""
GOODBYE = 2.0
"""Seconds that the last delivery may take: a process's end is not the collector's to hold up."""
TOLD_EVERY = 60.0
"""Seconds between two lines on what is wrong with the collector."""
LONGEST = 500
"""Characters of an attribute, and of what is said of a failure."""
ANSWER_BYTES = 4096
"""Of the collector's answer, read so that its connection can be used again: nobody looks at them."""
REDIRECTS = range(300, 400)

_KINDS: dict[Kind, SpanKind] = {
    "internal": SpanKind.INTERNAL,
    "server": SpanKind.SERVER,
    "client": SpanKind.CLIENT,
    "producer": SpanKind.PRODUCER,
    "consumer": SpanKind.CONSUMER,
}
_w3c = TraceContextTextMapPropagator()


class Opened:
    """A span that is current while inside; one that is not sampled too, so that what follows from it isn't either."""

    __slots__ = ("_span", "_token")

    def __init__(self, span: trace.Span) -> None:
        self._span = span
        self._token: Token[Context] | None = None

    def __enter__(self) -> Self:
        self._token = context.attach(trace.set_span_in_context(self._span))
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, Failure):
            self.fail(error.code, redacted(error.message)[:LONGEST])
        elif isinstance(error, CancelledError):
            self.note({"clip.cancelled": True})
        elif isinstance(error, Exception):  # its words may hold anything
            self.fail(type(error).__qualname__)
        if self._token:
            context.detach(self._token)
        self._span.end()

    def note(self, attributes: Attributes) -> None:
        self._span.set_attributes(attributes)

    def rename(self, name: str) -> None:
        self._span.update_name(name)

    def fail(self, error_type: str, message: str | None = None) -> None:
        self._span.set_attribute("error.type", str(error_type))
        self._span.set_status(Status(StatusCode.ERROR, message and message.encode(errors="replace").decode()))


class Quiet:
    """No span is current while inside."""

    __slots__ = ("_token",)

    def __enter__(self) -> None:
        self._token = context.attach(Context())

    def __exit__(self, *_: object) -> None:
        context.detach(self._token)


class SdkTracer:
    """tracing.Tracer by OpenTelemetry's SDK."""

    def __init__(self, tracer: trace.Tracer, outbox: "Outbox") -> None:
        self._tracer, self._outbox = tracer, outbox

    def below(self, parent: str | None, name: str, kind: Kind, attributes: Attributes | None) -> Opened:
        """What is no traceparent counts as none."""
        above = _w3c.extract({"traceparent": parent or ""}, Context())
        return Opened(self._tracer.start_span(name, above, _KINDS[kind], attributes))

    def inside(self, name: str, kind: Kind, attributes: Attributes | None) -> Opened:
        return Opened(self._tracer.start_span(name, None, _KINDS[kind], attributes))

    @property
    def is_inside(self) -> bool:
        return _here().is_valid

    def current(self) -> Opened:
        return Opened(trace.get_current_span())

    def traceparent(self) -> str | None:
        carrier: dict[str, str] = {}
        _w3c.inject(carrier)
        return carrier.get("traceparent")

    def ids(self) -> dict[str, str]:
        """Of the current span, for the log's lines."""
        here = _here()
        return {"trace_id": f"{here.trace_id:032x}", "span_id": f"{here.span_id:016x}"} if here.is_valid else {}

    def quiet(self) -> Quiet:
        return Quiet()

    def close(self) -> None:
        """Send what waits; once."""
        atexit.unregister(self.close)
        logs.EXTRA.remove(self.ids)
        self._outbox.shutdown()


def _here() -> trace.SpanContext:
    return trace.get_current_span().get_span_context()


class Outbox(SpanProcessor):
    """Ended spans on their way out, by a thread of its own.

    The SDK's own processor begins a thread in every forked child, before the child becomes ffmpeg, and takes 30 s to end.
    """

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter
        self._waiting: queue.Queue[ReadableSpan] = queue.Queue(WAITING)
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._deliver, name="traces", daemon=True)
        self._thread.start()

    def on_end(self, span: ReadableSpan) -> None:
        try:
            self._waiting.put_nowait(span)
        except queue.Full:
            DROPPED.inc()

    def _deliver(self) -> None:
        while not self._ending.wait(EVERY):
            self._send_all()
        self._send_all()

    def _send_all(self) -> None:
        while batch := [self._waiting.get_nowait() for _ in range(min(AT_ONCE, self._waiting.qsize()))]:
            if not self._is_taken(batch):
                DROPPED.inc(len(batch))

    def _is_taken(self, batch: list[ReadableSpan]) -> bool:
        try:
            return self._exporter.export(batch) is SpanExportResult.SUCCESS
        except Exception:
            log.exception("spans could not be delivered")  # the next ones may be
            return False

    def shutdown(self) -> None:
        """The last delivery, for a moment; the thread is no hindrance to the process's end."""
        self._ending.set()
        self._thread.join(GOODBYE)
        if self._thread.is_alive():
            log.warning("the last spans could not be delivered in time", waiting=self._waiting.qsize())
        else:
            self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30000) -> bool:  # noqa: ARG002  the SDK's way
        return True


class Answers(requests.Session):
    """A collector's answer is its status: what else it sends may be endless, or a bomb, and the SDK would read it to its end.

    A redirect, as of a page to log in at, is no success, as which the SDK takes it.
    """

    def request(self, *what: Any, **how: Any) -> requests.Response:
        with super().request(*what, **how | {"stream": True}) as answer:
            answer.raw.read1(ANSWER_BYTES)
        if answer.status_code in REDIRECTS:
            raise requests.TooManyRedirects(f"the collector answers {answer.status_code}: name the endpoint that it has moved to")
        return answer


class Complaints(logging.Handler):
    """What the SDK says of the collector, as a line of our log from time to time: it would say it with every delivery."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._told = float("-inf")

    def emit(self, record: logging.LogRecord) -> None:
        now = time.monotonic()
        if now - self._told >= TOLD_EVERY:
            self._told = now
            log.warning("traces are not made or delivered as they should be", why=redacted(logs.message_of(record)[:LONGEST]))


def open_tracer(service: str, worker: str, url: str, headers: Mapping[str, str]) -> SdkTracer:
    """What else OpenTelemetry's variables say (sampler, resource, time limit, compression, certificates), the SDK reads itself."""
    sdk = logging.getLogger("opentelemetry")
    sdk.handlers, sdk.propagate = [Complaints()], False
    logging.getLogger("urllib3").setLevel(logging.WARNING)
    outbox = Outbox(OTLPSpanExporter(endpoint=url, headers=dict(headers), session=Answers()))
    # The provider is let go: kept, it would look at the process anew in every forked child.
    provider = TracerProvider(resource=_resource(service, worker), span_limits=_limits(), shutdown_on_exit=False)
    provider.add_span_processor(outbox)
    tracer = SdkTracer(provider.get_tracer("clipstream"), outbox)
    logs.EXTRA.append(tracer.ids)
    atexit.register(tracer.close)
    return tracer


def _limits() -> SpanLimits:
    return SpanLimits(max_span_attribute_length=LONGEST)


def _resource(service: str, worker: str) -> Resource:
    """Ours, as far as the operator says nothing else."""
    ours = {"service.name": service, "service.namespace": "clipstream", "service.instance.id": worker}
    theirs = OTELResourceDetector().detect().attributes
    return Resource.create({name: value for name, value in ours.items() if name not in theirs})
