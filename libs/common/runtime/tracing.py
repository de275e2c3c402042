"""Traces as the code makes them. Off until they are set up, and then each of these costs a look at one name.

What a span becomes and where it goes, trace_export.py knows: it alone imports OpenTelemetry, and is imported only where traces are on.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, Self, TypeAlias

from prometheus_client import Counter

from libs.common.runtime.trace_names import Kind, named

if TYPE_CHECKING:
    from libs.common.runtime.settings import CommonSettings

DROPPED = Counter("clip_traces_dropped_total", "Spans that were lost: the collector was away, refused them, or was too slow")

Attributes: TypeAlias = Mapping[str, str | int | float | bool]


class Span(Protocol):
    """A piece of work in a trace, current while inside. An exception that leaves it marks it as failed, by its type or our code."""

    def __enter__(self) -> Self: ...
    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None: ...
    def note(self, attributes: Attributes) -> None: ...
    def rename(self, name: str) -> None: ...

    def fail(self, error_type: str) -> None:
        """Mark it as failed where no exception leaves it."""
        ...


class Nothing:
    """What stands for a span where there is none."""

    __slots__ = ()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        return None

    def note(self, attributes: Attributes) -> None:
        pass

    def rename(self, name: str) -> None:
        pass

    def fail(self, error_type: str) -> None:
        pass


class Tracer(Protocol):
    """What trace_export.py makes spans with."""

    def below(self, parent: str | None, name: str, kind: Kind, attributes: Attributes | None) -> Span:
        """A span below that traceparent, or a root."""
        ...

    def inside(self, name: str, kind: Kind, attributes: Attributes | None) -> Span:
        """A span below the current one."""
        ...

    @property
    def is_inside(self) -> bool: ...
    def current(self) -> Span: ...
    def traceparent(self) -> str | None: ...
    def quiet(self) -> AbstractContextManager[object]: ...
    def close(self) -> None: ...


@dataclass(slots=True)
class _State:
    tracer: Tracer | None = None


_state = _State()
NOTHING = Nothing()


def set_up_traces(service: str, settings: "CommonSettings") -> None:
    """Once in a process, before its work; nothing where no collector is named. What waits at the process's end is sent, within a bound."""
    if url := settings.traces_url:
        from libs.common.runtime.trace_export import open_tracer  # noqa: PLC0415  it takes 15 MB, which only traces are to cost

        _state.tracer = open_tracer(service, settings.worker, url, settings.traces_headers)


def shut_down() -> None:
    """Off again; what waits is sent first, for a moment at most."""
    tracer, _state.tracer = _state.tracer, None
    if tracer:
        tracer.close()


def entry(name: str, kind: Literal["server", "consumer"], *, parent: str | None, attributes: Attributes | None = None) -> Span:
    """Work that came from outside: below `parent`, a traceparent, or as the root of a trace where there is no valid one."""
    return NOTHING if _state.tracer is None else _state.tracer.below(parent, name, kind, attributes)


def span(name: str, kind: Kind = "internal", *, attributes: Attributes | None = None, otherwise: str | None = None) -> Span:
    """A part of the work that the current span is; where there is none, below the traceparent `otherwise`, or nothing at all.

    So what goes on for ever in the background makes no traces.
    """
    tracer = _state.tracer
    if tracer is None:
        return NOTHING
    if tracer.is_inside:
        return tracer.inside(name, kind, attributes)
    return tracer.below(otherwise, name, kind, attributes) if otherwise else NOTHING


def call(dependency: str, operation: str) -> Span:
    """A call to what we depend on, by the names that its metrics have."""
    if _state.tracer is None or (what := named(dependency, operation)) is None:
        return NOTHING
    return span(what.name, what.kind, attributes=what.attributes)


def current() -> Span:
    """The span that we are in."""
    return NOTHING if _state.tracer is None else _state.tracer.current()


def quiet() -> AbstractContextManager[object]:
    """Inside, a task that was begun in a span makes no spans: for what looks again and again while the work goes on."""
    return NOTHING if _state.tracer is None else _state.tracer.quiet()


def traceparent() -> str | None:
    """The current span as W3C Trace Context writes it, for whoever goes on with its work; None where there is none."""
    return None if _state.tracer is None else _state.tracer.traceparent()
