"""`python -m bench.scaling.mix` runs the jobs of the model on a whole stack, one at a time, and writes what they cost to measured.json.

Then the histories of those jobs many times over, for the size of rows and the pace of the lists, and a burst, which is simulated too.
Three to five minutes on two idle cores. CPU and counts are what matters; `--dry` only prints.
"""

import argparse
import asyncio
import json
import time
from collections.abc import Mapping, Sequence
from statistics import mean
from typing import Any

from bench.figures import percentile
from bench.machine import described
from bench.scaling import burst, measured
from bench.scaling.live import Live, Order, cpu, live, since
from bench.scaling.recorder import calls, pages
from bench.scaling.rows import Pace, pace

COMMAND = "python -m bench.scaling.mix"
IDLE_SECONDS = 10.0
CYCLES = 3
MIXED = (
    Order(copied=True),
    Order(),
    Order(by_url=True),
    Order(subtitled=True),
    Order(copied=True),
    Order(by_url=True),
    Order(),
    Order(copied=True, subtitled=True),
    Order(by_url=True),
    Order(subtitled=True, burned=True),
)
"""MIX of scenarios.py as ten jobs."""
LOOKS, LOOK_CPU = 10, 0.00074
"""What a client does until its job is done, and make bench-http's row 9."""
QUANTILES = 5
LEAST_CALLS = 0.05
Spent = Sequence[tuple[Order, Mapping[str, float]]]


def main() -> None:
    parser = argparse.ArgumentParser(prog=COMMAND, description=__doc__)
    parser.add_argument("--dry", action="store_true", help="only print")
    parser.add_argument("--cycles", type=int, default=CYCLES, help="of ten jobs each")
    parser.add_argument("--burst", type=int, default=burst.JOBS, help="jobs that come at once")
    options = parser.parse_args()
    found = asyncio.run(_measured(options.cycles, options.burst))
    print(json.dumps(found, indent=1))
    if not options.dry:
        measured.FILE.write_text(measured.dumped(merged(measured.told(), found)))


def merged(told: Mapping[str, Any], found: Mapping[str, Any]) -> dict[str, Any]:
    """What was found in the place of what was there; the rest, and the order, stay."""
    parts = {part: {**told.get(part, {}), **found[part]} for part in ("costs", "stages")}
    return {**told, **parts, **{name: value for name, value in found.items() if name not in parts}}


async def _measured(cycles: int, jobs: int) -> dict[str, Any]:
    machine = await described()
    async with live() as one:
        await one.done(Order(by_url=True, subtitled=True, burned=True))  # who comes first finds nothing warm
        spent, called = await alone(one, cycles)
        clip = await one.database.fetchval(CLIP_BYTES)
        rows = await pace(one.database, len(spent))
        return {
            "machine": machine,
            "costs": _costs(spent, called, rows, one.film.stat().st_size / 1e6, clip / 1e6),
            "stages": {name: {"quantiles": told, "how": f"{COMMAND}: single jobs"} for name, told in _stages(spent).items()},
            "calls a job": {name: round(n, 2) for name, n in called.items() if n >= LEAST_CALLS},
            "burst": await burst.struck(one, _stages(spent), jobs),
            "memory_mb": {name: round(most) for name, most in one.most.items()},
        }


async def alone(one: Live, cycles: int) -> tuple[Spent, dict[str, float]]:
    """Jobs one at a time: what each spent, and the calls of a job in the mean; both without what is spent when nothing is asked for."""
    before = pages(one.metrics)
    idle, idle_calls = await _idle(), calls(before, pages(one.metrics))
    before, began, spent = pages(one.metrics), time.monotonic(), []
    for order in MIXED * cycles:
        at, used = time.monotonic(), await one.done(order)
        lasted = time.monotonic() - at
        spent.append((order, {name: max(0.0, value - lasted * idle.get(name, 0.0)) for name, value in used.items()}))
    lasted = (time.monotonic() - began) / IDLE_SECONDS
    called = calls(before, pages(one.metrics))
    return spent, {name: (n - idle_calls.get(name, 0.0) * lasted) / len(spent) for name, n in called.items()}


CLIP_BYTES = "SELECT avg((envelope -> 'event' ->> 'size')::float8) FROM job_events WHERE type = 'clip.uploaded'"


async def _idle() -> dict[str, float]:
    """CPU a second of each process while nobody asks for anything."""
    before = cpu()
    await asyncio.sleep(IDLE_SECONDS)
    return {name: used / IDLE_SECONDS for name, used in since(before).items()}


def works(spent: Spent) -> dict[str, list[float]]:
    """CPU seconds of single pieces of work. A burn is what its job's clipper used beyond the mean of exact cuts."""
    exact = [used["clipper"] for order, used in spent if not order.copied and not order.burned]
    return {
        "upload": [used["resolver"] for order, used in spent if not order.by_url],
        "url": [used["resolver"] for order, used in spent if order.by_url],
        "copy": [used["clipper"] for order, used in spent if order.copied],
        "exact": exact,
        "transcribe": [used["asr"] for order, used in spent if order.subtitled],
        "burn": [used["clipper"] - mean(exact) for order, used in spent if order.burned],
    }


def _stages(spent: Spent) -> dict[str, list[float]]:
    """As few quantiles as the jobs are."""
    parts = [part / (QUANTILES - 1) for part in range(QUANTILES)]
    return {work: [round(percentile(told, part), 3) for part in parts] for work, told in works(spent).items()}


def _costs(spent: Spent, each: Mapping[str, float], rows: Pace, source: float, clip: float) -> dict[str, Any]:
    means = {work: mean(told) for work, told in works(spent).items()}
    used = {name: mean(told[name] for _, told in spent) for name in ("api", "postgres", "nats-server", "rclone")}
    uploads = mean(not order.by_url for order, _ in spent)
    counted = {kind: sum(n for name, n in each.items() if name.startswith(f"{kind} ")) for kind in ("postgres", "s3")}
    jobs = f"{len(spent)} jobs, one at a time"
    return {
        "api_cpu": _told(used["api"] + LOOKS * LOOK_CPU, "CPU s", f"{jobs}, and ten looks of 0.74 ms each by make bench-http, row 9"),
        "resolve_upload_cpu": _told(means["upload"], "CPU s", jobs),
        "resolve_url_cpu": _told(means["url"], "CPU s", f"{jobs}: a plain MP4"),
        "copy_cpu": _told(means["copy"], "CPU s", f"{jobs}: 33 s of 720p at keyframes, with a poster"),
        "exact_cpu": _told(means["exact"], "CPU s", f"{jobs}: 30 s of 720p, GOP 250"),
        "transcribe_cpu": _told(means["transcribe"], "CPU s", f"{jobs}: 30 s of speech, tiny.en: a larger model costs many times that"),
        "burn_cpu": _told(means["burn"], "CPU s", f"{jobs}: 30 s of 720p"),
        "postgres_cpu": _told(used["postgres"], "CPU s", jobs),
        "nats_cpu": _told(used["nats-server"], "CPU s", f"{jobs}; one server, three each do about as much"),
        "rows": _told(rows.events, "rows", f"{jobs}"),
        "row_bytes": _told(rows.bytes_an_event, "bytes", f"{rows.jobs:,} jobs like those; indexes, lists and the janitor's index included"),
        "listed_a_second": _told(rows.jobs_a_second, "jobs a second", f"{rows.jobs:,} jobs like those, event by event"),
        "statements": _told(counted["postgres"], "statements", f"{jobs}; what is asked at leisure is not counted"),
        "s3_requests": _told(counted["s3"] + uploads, "requests", f"{jobs}; the client's own included"),
        "source_mb": _told(source, "MB", "a minute of 720p"),
        "clip_mb": _told(clip, "MB", jobs),
    }


def _told(value: float, unit: str, how: str) -> dict[str, Any]:
    return {"value": float(f"{value:.3g}"), "unit": unit, "kind": "measured", "from": COMMAND, "how": how}


if __name__ == "__main__":
    main()
