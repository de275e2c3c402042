"""The tables of docs/scaling.md, made from the model and the simulation; the words between them are written by hand. Pure."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from bench.scaling.capacity import Costs, Deployment, Limit, Needs, first, limits, needs, shares
from bench.scaling.scenarios import MINUTES, MIX, Outcome

SIZES = (1, 100, 10_000)
TABLE = re.compile(r"(<!-- table: (\w+) -->\n)(?:\|.*\n)*")
"""A mark, and below it the table that belongs there."""


def renewed(text: str, tables: Mapping[str, str]) -> str:
    """The page with its tables made anew. KeyError for a mark of no table."""
    return TABLE.sub(lambda mark: mark[1] + tables[mark[2]], text)


def tables(told: Mapping[str, Any], costs: Costs, deployment: Deployment, played: Mapping[str, Sequence[Outcome]]) -> dict[str, str]:
    """`played` are the outcomes of each load, with the watermark and without."""
    found = limits(costs, MIX, deployment)
    return {
        "costs": costs_table(told),
        "stages": stages_table(told),
        "shares": shares_table(shares(costs, MIX)),
        "needs": needs_table([needs(costs, MIX, deployment, size) for size in SIZES]),
        "limits": limits_table(found),
        "bursts": bursts_table(played),
        "clippers": clippers_table(played),
    }


def costs_table(told: Mapping[str, Any]) -> str:
    rows = [
        (f"`{name}`", f"{figure['value']:g} {figure['unit']}", figure["kind"], figure["from"], figure["how"])
        for name, figure in told["costs"].items()
    ]
    return _table(("figure", "value", "", "from", "how"), rows)


def stages_table(told: Mapping[str, Any]) -> str:
    rows = [
        (name, f"{stage['quantiles'][0]:g} to {stage['quantiles'][-1]:g} s", str(len(stage["quantiles"])), stage["how"])
        for name, stage in told["stages"].items()
    ]
    return _table(("work", "CPU", "quantiles", "from"), rows)


def shares_table(spent: Mapping[str, float]) -> str:
    whole = sum(spent.values())
    rows = [(what, f"{seconds:.3f} s", f"{100 * seconds / whole:.1f} %") for what, seconds in spent.items()]
    return _table(("of a job in the mean", "CPU", "share"), [*rows, ("all", f"{whole:.3f} s", "")])


def needs_table(sizes: Sequence[Needs]) -> str:
    """Sizes beside each other."""
    names = sizes[0].replicas
    rows = [(f"replicas: {name}", *(f"{size.replicas[name]}" for size in sizes)) for name in names]
    rows += [
        ("cores that work, in the mean", *(_short(size.cores) for size in sizes)),
        ("message servers", *("3" for _ in sizes)),
        ("writes to their disks a second, one after the other", *(_short(size.synced_writes) for size in sizes)),
        ("jobs in the stream", *(_short(size.in_stream) for size in sizes)),
        ("database connections", *(f"{size.connections:,}" for size in sizes)),
        ("statements a second", *(_short(size.statements) for size in sizes)),
        ("commits a second, each a write at most", *(_short(size.commits) for size in sizes)),
        ("database on disk, 72 h", *(f"{_short(size.database_gb)} GB" for size in sizes)),
        ("cores of the database", *(_short(size.database_cores) for size in sizes)),
        ("cores of each message server", *(_short(size.message_cores) for size in sizes)),
        ("S3 requests a second", *(_short(size.s3_requests) for size in sizes)),
        ("to and from S3", *(f"{_short(size.s3_gigabits)} Gbit/s" for size in sizes)),
        ("files in S3, 72 h", *(f"{_short(size.s3_tb)} TB" for size in sizes)),
    ]
    return _table(("", *(f"{size.jobs_a_minute:,} a minute" for size in sizes)), rows)


def limits_table(found: Sequence[Limit]) -> str:
    rows = [(limit.what, f"{limit.jobs_a_minute:,.0f}", _met_by(found, limit), limit.then) for limit in found]
    return _table(("what gives out", "at jobs a minute", "met at", "then"), rows)


def _met_by(found: Sequence[Limit], limit: Limit) -> str:
    return next((f"{size:,}" for size in SIZES if limit in first(found, size)), "")


def bursts_table(played: Mapping[str, Sequence[Outcome]]) -> str:
    rows = [_burst(name, one, "500" if number == 0 else "none") for name, both in played.items() for number, one in enumerate(both)]
    head = ("load", "watermark", "jobs", "median", "worst", "drained in", "refusals", "most replicas", "turns an hour")
    return _table(head, rows)


def _burst(name: str, one: Outcome, watermark: str) -> tuple[str, ...]:
    most = ", ".join(f"{pool} {count}" for pool, count in one.most.items())
    drained = "" if one.drain is None else f"{one.drain:.0f} s"
    return (
        name,
        watermark,
        f"{one.done:,}",
        f"{one.median:.1f} s",
        f"{one.worst:.0f} s",
        drained,
        f"{one.refusals:,}",
        most,
        f"{one.turns_an_hour:.0f}",
    )


def clippers_table(played: Mapping[str, Sequence[Outcome]]) -> str:
    """With the watermark."""
    rows = [(name, *(str(both[0].clippers.get(minute, "")) for minute in MINUTES)) for name, both in played.items()]
    return _table(("clippers at minute", *map(str, MINUTES)), rows)


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2g}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
