"""`python -m bench.scaling.recorder URL …` looks at the /metrics pages of running services twice, and prints what happened between.

Seconds of each stage as eleven quantiles, and calls of each dependency a finished job, as JSON. Several replicas are added up.
"""

import argparse
import json
import sys
import time
import urllib.request
from collections import defaultdict
from collections.abc import Iterable, Sequence

from prometheus_client.parser import text_string_to_metric_families

Key = tuple[str, str]
"""A stage and the upper edge of a bucket; a dependency and its operation."""
QUANTILES = 11
DONE = "Advance"
"""The verdict of an attempt that did the work."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.scaling.recorder", description=__doc__)
    parser.add_argument("urls", nargs="+", help="http://host:port/metrics of each replica")
    parser.add_argument("--seconds", type=float, default=60, help="between the two looks")
    options = parser.parse_args()
    before = pages(options.urls)
    time.sleep(options.seconds)
    found = recording(before, pages(options.urls))
    if not found["stages"]:
        sys.exit("no stage has done anything meanwhile")
    print(json.dumps(found, indent=1))


def pages(urls: Sequence[str]) -> list[str]:
    found = []
    for url in urls:
        if not url.startswith(("http://", "https://")):
            sys.exit(f"{url} is no URL of a metrics page")
        with urllib.request.urlopen(url, timeout=10) as page:  # noqa: S310  checked above
            found.append(page.read().decode())
    return found


def recording(before: Iterable[str], after: Iterable[str]) -> dict[str, dict[str, object]]:
    """Of the texts of the pages. A service that started anew between the looks counts from its start."""
    buckets = _grown(
        _samples(before, "clip_stage_seconds_bucket", ("stage", "le")), _samples(after, "clip_stage_seconds_bucket", ("stage", "le"))
    )
    ended = _grown(_samples(before, "clip_jobs_finished_total", ("outcome",)), _samples(after, "clip_jobs_finished_total", ("outcome",)))
    jobs = sum(ended.values())
    stages: dict[str, object] = {
        stage: {"count": sum(told.values()), "quantiles": quantiles(told)} for stage, told in _by_stage(buckets).items()
    }
    return {"stages": stages, "calls a job": {name: count / jobs for name, count in calls(before, after).items() if jobs}}


def calls(before: Iterable[str], after: Iterable[str]) -> dict[str, float]:
    """Between the texts of the pages, by dependency and operation."""
    labels = ("dependency", "operation")
    found = _grown(_samples(before, "clip_dependency_seconds_count", labels), _samples(after, "clip_dependency_seconds_count", labels))
    return {" ".join(key): count for key, count in sorted(found.items())}


def _samples(pages: Iterable[str], name: str, labels: Sequence[str]) -> dict[tuple[str, ...], float]:
    found: dict[tuple[str, ...], float] = defaultdict(float)
    for page in pages:
        for family in text_string_to_metric_families(page):
            for sample in family.samples:
                if sample.name == name and sample.labels.get("verdict", DONE) == DONE:
                    found[tuple(sample.labels[label] for label in labels)] += sample.value
    return found


def _grown(before: dict[tuple[str, ...], float], after: dict[tuple[str, ...], float]) -> dict[tuple[str, ...], float]:
    by = {key: value - before.get(key, 0.0) if value >= before.get(key, 0.0) else value for key, value in after.items()}
    return {key: value for key, value in by.items() if value}


def _by_stage(buckets: dict[tuple[str, ...], float]) -> dict[str, dict[float, float]]:
    """How many fell into each bucket itself, by its upper edge."""
    stages: dict[str, dict[float, float]] = defaultdict(dict)
    for stage, edge in sorted(buckets, key=lambda key: float(key[1])):
        below = sum(stages[stage].values())
        if (inside := buckets[stage, edge] - below) > 0:
            stages[stage][float(edge)] = inside
    return stages


def quantiles(inside: dict[float, float]) -> list[float]:
    """From the least to the most, straight within a bucket; the lower edge is half of the upper one, which is nearer than 0."""
    edges = [(edge if edge != float("inf") else 2 * max(inside), count) for edge, count in inside.items()]
    total = sum(count for _, count in edges)
    return [_at(edges, part / (QUANTILES - 1) * total) for part in range(QUANTILES)]


def _at(edges: Sequence[tuple[float, float]], rank: float) -> float:
    for edge, count in edges:
        if rank <= count:
            return edge / 2 + edge / 2 * rank / count
        rank -= count
    return edges[-1][0]


if __name__ == "__main__":
    main()
