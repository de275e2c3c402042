"""Writes docs/metrics.md from the metrics in the code (`make metrics-page`); a test holds the page to them.

`documented()` is what other checks ask: every name, which services expose it, and its series.
"""

import importlib
import subprocess
import sys
from collections.abc import Iterable
from functools import cache
from itertools import groupby

import msgspec
from prometheus_client import REGISTRY, Metric

from tools.setup import ROOT

PAGE = ROOT / "docs" / "metrics.md"
SERVICES = ("api", "resolver", "clipper", "asr", "janitor")
SERIES = {"counter": ("",), "gauge": ("",), "histogram": ("_bucket", "_count", "_sum")}
UNITS = {"_timestamp_seconds": "Unix time", "_seconds": "seconds", "_bytes": "bytes", "_ratio": "0 to 1"}
LABELS = {
    "code": "an error's code, as in the API's answers",
    "dependency": "`postgres`, `nats`, `s3`, `groq`, `site`, `webhook`; of `clip_dependency_up` also `asr`",
    "direction": "`read`, `written`",
    "generation": "`0`, `1`, `2`",
    "implementation": "the Python that runs",
    "kind": "what it is, in one of a few words",
    "lane": "`fast`, `normal`, `bulk`",
    "le": "a bucket's upper bound",
    "major": "of the Python that runs",
    "method": "an HTTP method, or `OTHER`",
    "minor": "the same",
    "operation": "a statement's, request's or command's name in the code",
    "outcome": "how it ended, in one of a few words; of jobs `done`, `failed`, `cancelled`, `expired`",
    "patchlevel": "the same",
    "path": "`copy`, `smart`, `reencode`, `fallback`: how the clip was cut",
    "priority": "`fast`, `normal`, `bulk`",
    "provider": "`groq`, `local`",
    "reason": "why, in one of a few words",
    "resource": "`memory`, `files`, `scratch`",
    "route": "a route's template, or `unmatched`",
    "service": "`api`, `resolver`, `clipper`, `asr`, `janitor`",
    "source": "`upload`, `youtube`",
    "stage": "`resolver`, `clipper`, `asr`, `burner`",
    "status": "an HTTP status; 499: the client left before its answer",
    "stream": "`CLIPS`, `DLQ`",
    "subtitles": "`asked`, `none`",
    "sweep": "a clean-up's name",
    "type": "an event's name (events.md)",
    "verdict": "`Advance`, `TryLater`, `GiveUp`, `Ignore`, `Leave`, `Defer`",
    "version": "Clipstream's, or Python's",
    "way": "`api`: through the API, `direct`: straight into S3",
}
"""What values each label can have. Never an id, a URL or a file's name."""
HEAD = """# Metrics

Each service answers `GET /metrics` on its internal port (`HEALTH_PORT`), in the Prometheus text format. The API answers it on its own
port too; with API keys on, that needs the scope admin. Times are in seconds, sizes in bytes.
A metric with labels shows its help text from the start, and its series once something happened.
Counters count what this process did: sum them over the replicas. The janitor's gauges tell of the whole system: take the maximum.
This page is generated from the code by `make metrics-page`.
"""


class Documented(msgspec.Struct, frozen=True, kw_only=True):
    """One metric under the name that a scrape shows."""

    name: str
    kind: str
    labels: tuple[str, ...]
    help: str
    services: tuple[str, ...] = ()

    @property
    def series(self) -> tuple[str, ...]:
        """The names that queries may use."""
        return tuple(f"{self.name}{ending}" for ending in SERIES[self.kind])

    @property
    def unit(self) -> str:
        name = self.name.removesuffix("_total")
        return next((unit for ending, unit in UNITS.items() if name.endswith(ending)), "")


@cache
def documented() -> dict[str, Documented]:
    """All metrics of all services by name: each service is imported in a process of its own, which tells what it registers."""
    telling = {service: _telling(service) for service in SERVICES}
    found: dict[str, Documented] = {}
    for service, process in telling.items():
        for metric in msgspec.json.decode(process.communicate()[0], type=list[Documented]):
            before = found.get(metric.name, metric)
            found[metric.name] = msgspec.structs.replace(before, services=(*before.services, service))
    return dict(sorted(found.items()))


def _telling(service: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, "-m", "tools.metrics_page", service], cwd=ROOT, stdout=subprocess.PIPE)


def registered() -> list[Documented]:
    """What this process would expose."""
    return [_documented(metric) for metric in REGISTRY.collect()]


def _documented(metric: Metric) -> Documented:
    collector = REGISTRY._names_to_collectors.get(metric.name)  # noqa: SLF001  no public way to the labels of what has no samples yet
    labels = getattr(collector, "_labelnames", None) or sorted(
        {label for sample in metric.samples for label in sample.labels if label != "le"}
    )
    name = f"{metric.name}_total" if metric.type == "counter" else metric.name
    return Documented(name=name, kind=metric.type, labels=tuple(labels), help=metric.documentation)


def page(metrics: Iterable[Documented]) -> str:
    """The whole page: what all services share, then what some have."""
    groups = groupby(sorted(metrics, key=_place), key=lambda metric: metric.services)
    tables = [_table(", ".join(services) if services != SERVICES else "Every service", found) for services, found in groups]
    return "\n".join([HEAD, *tables, _labels()])


def _place(metric: Documented) -> tuple[int, list[int], bool, str]:
    where = [SERVICES.index(service) for service in metric.services]
    return -len(where), where, not metric.name.startswith("clip_"), metric.name


def _table(title: str, metrics: Iterable[Documented]) -> str:
    lines = [f"| `{m.name}` | {m.kind} | {', '.join(m.labels)} | {m.unit} | {m.help} |" for m in metrics]
    return "\n".join([f"## {title}\n", "| metric | kind | labels | unit | meaning |", "| --- | --- | --- | --- | --- |", *lines, ""])


def _labels() -> str:
    lines = [f"| `{label}` | {values} |" for label, values in LABELS.items()]
    return "\n".join(["## Labels\n", "| label | values |", "| --- | --- |", *lines, ""])


if __name__ == "__main__":
    if sys.argv[1:]:
        importlib.import_module(f"services.{sys.argv[1]}.main")
        sys.stdout.buffer.write(msgspec.json.encode(registered()))
    else:
        PAGE.write_text(page(documented().values()))
