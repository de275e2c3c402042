"""What a load has cost: CPU seconds by process, calls as our workers count them, messages as the message server counts them."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from bench.pipeline.system import System, Worker
from bench.processes import tree_cpu

CALLS = "clip_dependency_seconds_count"
IN_FLIGHT = "clip_stage_in_flight"
PATIENCE = 30.0
LOOK_EVERY = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """So far, or between two moments."""

    cpu: Mapping[str, float]
    """Seconds by process: "ours" is all our workers together."""
    calls: Mapping[str, float]
    """Of our workers, by "dependency operation"; a call to Postgres is one statement, or one transaction."""
    messages: Mapping[str, float]
    """Of the message server: "in" from its clients, "out" to them. Whoever asks it anything is counted with the others."""

    def since(self, before: "Spent") -> "Spent":
        return Spent(
            cpu=_difference(self.cpu, before.cpu),
            calls=_difference(self.calls, before.calls),
            messages=_difference(self.messages, before.messages),
        )


def _difference(now: Mapping[str, float], before: Mapping[str, float]) -> dict[str, float]:
    return {name: value - before.get(name, 0.0) for name, value in now.items() if value != before.get(name, 0.0)}


async def spent(system: System) -> Spent:
    """So far, when all that the workers have in hand is done: the message server has an ack before its worker has counted it."""
    calls = sum([await _calls(system, worker) for worker in system.workers], Counter[str]())
    servers = {"nats": system.servers.nats.pid, "postgres": system.servers.postgres.pid}
    cpu = {"ours": sum(tree_cpu(worker.pid) for worker in system.workers), **{name: tree_cpu(pid) for name, pid in servers.items()}}
    return Spent(cpu=cpu, calls=calls, messages=await _messages(system))


async def _calls(system: System, worker: Worker) -> Counter[str]:
    async with asyncio.timeout(PATIENCE):
        while True:
            async with system.http.get(f"{worker.address}/metrics") as answer:
                metrics = await answer.text()
            if not in_flight_in(metrics):
                return calls_in(metrics)
            await asyncio.sleep(LOOK_EVERY)


def in_flight_in(metrics: str) -> int:
    """Messages that a worker has in hand, from its metrics in Prometheus' text form."""
    return round(sum(sample.value for sample in _samples(metrics, IN_FLIGHT)))


def calls_in(metrics: str) -> Counter[str]:
    """Calls by "dependency operation", from a worker's metrics in Prometheus' text form.

    Those that go by the clock are left out: pings, and whatever is asked of S3, of which nothing else is.
    """
    counted = {(sample.labels["dependency"], sample.labels["operation"]): round(sample.value) for sample in _samples(metrics, CALLS)}
    return Counter({f"{of} {what}": count for (of, what), count in counted.items() if of != "s3" and what != "ping"})


def _samples(metrics: str, name: str) -> Iterable[Sample]:
    return (sample for family in text_string_to_metric_families(metrics) for sample in family.samples if sample.name == name)


async def _messages(system: System) -> dict[str, float]:
    async with system.http.get(f"{system.monitor}/varz") as answer:
        told = await answer.json()
    return {"in": told["in_msgs"], "out": told["out_msgs"]}
