"""Sixty jobs at once on one process a stage, and the same in the simulation: how long did they take?"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from bench.figures import percentile
from bench.scaling import manifests
from bench.scaling.live import Live, Order, cpu, since
from bench.scaling.scenarios import Crews
from bench.scaling.simulation import Plan, Simulation, Step

JOBS = 60
COPIED = 3
"""Of ten."""
SECONDS = """SELECT extract(epoch FROM e.at - b.at)::float8 AS seconds FROM job_events b JOIN job_events e USING (job_id)
WHERE b.type = 'clips.requested' AND e.type = 'clip.uploaded' AND job_id = ANY($1::uuid[])"""


async def struck(one: Live, stages: Mapping[str, Sequence[float]], count: int = JOBS) -> dict[str, Any]:
    """Seconds from request to clip: measured; simulated with both cores for the clipper; and with the cores that it had in the end."""
    orders = [Order(copied=number % 10 < COPIED) for number in range(count)]
    upload, before, began = await one.upload(), cpu(), time.monotonic()
    jobs = [await one.begin(order, upload) for order in orders]
    for job in jobs:
        await one.until_done(job)
    wall, spent = time.monotonic() - began, since(before)
    waits = [row["seconds"] for row in await one.database.fetch(SECONDS, jobs)]
    cores = spent["clipper"] / max(waits)
    each = spent["clipper"] / sum(_mean(stages, order) for order in orders)
    return {
        "jobs": count,
        "seconds": round(wall, 1),
        "cores": round(cores, 2),
        "cpu, to that of single jobs": round(each, 2),
        "measured": _summary(waits),
        "simulated": _summary(simulated(orders, stages, 2.0)),
        "simulated on those cores": _summary(simulated(orders, stages, cores, each)),
    }


def simulated(orders: Sequence[Order], stages: Mapping[str, Sequence[float]], cores: float, factor: float = 1.0) -> list[float]:
    """All at once."""
    means = {work: sum(told) / len(told) for work, told in stages.items()}
    routes = [
        (Step("resolver", means["upload"]), Step("clipper", factor * means["copy" if order.copied else "exact"], in_turn=not order.copied))
        for order in orders
    ]
    seen = Simulation(crews(cores), Plan(requests=[(0.0, route) for route in routes], seconds=0.0)).run()
    return list(seen.waits.values())


def crews(cores: float) -> Crews:
    """One replica of each, for good."""
    workers, rules = manifests.workers(), manifests.rules()
    sized = {**workers, "clipper": replace(workers["clipper"], cores=cores, cores_a_job=cores)}
    return {name: (worker, replace(rules[name], minimum=1, maximum=1)) for name, worker in sized.items()}


def _mean(stages: Mapping[str, Sequence[float]], order: Order) -> float:
    told = stages["copy" if order.copied else "exact"]
    return sum(told) / len(told)


def _summary(waits: Sequence[float]) -> dict[str, float]:
    return {f"p{part}": round(percentile(waits, part / 100), 1) for part in (25, 50, 75, 100)}
