"""The streams and durable consumers as spec section 1 wants them: made, mended where the server lets us, and judged.

A rule is a field of the wanted configuration; what the operator sets besides (sizes, placement, pauses) is left alone.
"""

from collections.abc import Awaitable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy, DiscardPolicy, RetentionPolicy, StorageType, StreamConfig
from nats.js.errors import APIError, NotFoundError, ServiceUnavailableError

from libs.common.domain.events import SUBJECTS, Priority, StageName
from libs.common.domain.failures import Code, Failure
from libs.common.domain.subjects import ADVISORIES, CLIPS, DLQ, canary, durable, subject_for
from libs.common.runtime.jetstream import MAKE_STREAMS, JetStreamBus, as_outage
from libs.common.runtime.lane import Lane
from libs.common.runtime.logs import logger
from libs.common.runtime.nats_monitors import sync_problems
from libs.common.runtime.settings import CommonSettings

log = logger(__name__)
T = TypeVar("T")

LEAST_REPLICAS = 3
"""In production: with fewer, the loss of one disk is the loss of work."""
DUPLICATE_WINDOW = 600.0
KEPT = 30 * 86400.0
"""Seconds that a dead letter waits for its operator."""
ADVISORY = "$JS.EVENT.ADVISORY.CONSUMER"
NEVER = {None, 0}
AT_LEAST = {"duplicate_window", "num_replicas"}
"""More is no worse; everything else must be as it is wanted."""


@dataclass(frozen=True, slots=True)
class Deliveries:
    """A consumer's patience: seconds of silence before a message goes to another worker, and how often one is delivered at all."""

    ack_wait: float = 30.0
    max_deliver: int = 20

    @classmethod
    def of(cls, settings: CommonSettings) -> "Deliveries":
        return cls(float(settings.queue_ack_wait_sec), settings.queue_max_deliver)


USUAL = Deliveries()


def wanted_streams(replicas: int) -> tuple[StreamConfig, ...]:
    work = [subject_for(subject, priority) for subject in SUBJECTS.values() for priority in Priority]
    advisories = [f"{ADVISORY}.{kind}.{CLIPS}.>" for kind in ("MAX_DELIVERIES", "MSG_TERMINATED")]
    return (
        _stream(CLIPS, [*work, canary(CLIPS)], replicas, retention=RetentionPolicy.WORK_QUEUE, max_age=0.0),
        _stream(DLQ, ["dlq.>", canary(DLQ)], replicas, retention=RetentionPolicy.LIMITS, max_age=KEPT),
        _stream(ADVISORIES, advisories, replicas, retention=RetentionPolicy.LIMITS, max_age=KEPT),
    )


def _stream(name: str, subjects: list[str], replicas: int, *, retention: RetentionPolicy, max_age: float) -> StreamConfig:
    return StreamConfig(
        name=name,
        subjects=subjects,
        retention=retention,
        max_age=max_age,
        storage=StorageType.FILE,
        discard=DiscardPolicy.NEW,
        duplicate_window=DUPLICATE_WINDOW,
        num_replicas=replicas,
        allow_msg_ttl=False,
    )


def wanted_consumers(deliveries: Deliveries = USUAL) -> tuple[ConsumerConfig, ...]:
    return tuple(wanted_consumer(stage, priority, deliveries) for stage in StageName for priority in Priority)


def wanted_consumer(stage: StageName, priority: Priority, deliveries: Deliveries = USUAL) -> ConsumerConfig:
    return ConsumerConfig(
        durable_name=durable(stage, priority),
        filter_subject=subject_for(SUBJECTS[stage], priority),
        deliver_policy=DeliverPolicy.ALL,
        ack_policy=AckPolicy.EXPLICIT,
        ack_wait=deliveries.ack_wait,
        max_deliver=deliveries.max_deliver,
        backoff=[],
    )


STREAM_RULES = (
    "subjects",
    "retention",
    "storage",
    "discard",
    "max_age",
    "duplicate_window",
    "num_replicas",
    "no_ack",
    "allow_msg_ttl",
    "sealed",
    "persist_mode",
)
CONSUMER_RULES = (
    "backoff",  # first: it overrides ack_wait
    "filter_subject",
    "deliver_policy",
    "ack_policy",
    "ack_wait",
    "max_deliver",
    "deliver_subject",
    "inactive_threshold",
)


def keeps(rule: str, wanted: Any, found: Any) -> bool:
    """Whether a field that the server shows keeps to what is wanted. Times in seconds."""
    match rule:
        case "subjects":
            return set(wanted) <= set(found or ())
        case "max_age":
            return found in NEVER or (wanted not in NEVER and found >= wanted)
        case "persist_mode":
            return found in {None, "default"}
        case _ if rule in AT_LEAST:
            return bool(found >= wanted)
        case _:
            return bool((found or None) == (wanted or None))


def broken(rules: Iterable[str], wanted: Any, found: Any) -> list[str]:
    """The rules that a stream or consumer does not keep."""
    return [rule for rule in rules if not keeps(rule, getattr(wanted, rule), getattr(found, rule))]


def mended(rules: Iterable[str], wanted: Any, found: Any) -> Any:
    """What was found, with the broken rules put right and nothing else changed."""
    change = {rule: getattr(wanted, rule) for rule in broken(rules, wanted, found)}
    if "subjects" in change:
        change["subjects"] = sorted({*wanted.subjects, *(found.subjects or ())})
    return found.evolve(**change)


async def ensure(js: JetStreamContext, *, replicas: int, deliveries: Deliveries = USUAL) -> None:
    """Make what is missing and mend what drifted, as far as the server lets us: `broken_rules` names what is left.

    Raises Failure: with outage="nats" while the server can't be reached, without one and in its words when it refuses to make something.
    """
    for stream in wanted_streams(replicas):
        await _ensure_stream(js, stream)
    for consumer in wanted_consumers(deliveries):
        await _ensure_consumer(js, consumer)


def lane(bus: JetStreamBus, settings: CommonSettings, stage: StageName, priority: Priority) -> Lane:
    """A stage's way to one lane, which makes its consumer again if somebody deletes it."""
    return Lane(bus, stage, priority, restore=partial(restore, bus.js, settings, stage, priority))


async def restore(js: JetStreamContext, settings: CommonSettings, stage: StageName, priority: Priority) -> bool:
    """Make again what somebody deleted while we run: a lane's consumer, and locally the streams too; what is there stays as it is.

    True where the consumer is a new one. In production a lost stream is the operator's to see. Raises as `ensure` does.
    """
    deliveries = Deliveries.of(settings)
    wanted = wanted_consumer(stage, priority, deliveries)
    if await _stream_config(js, CLIPS) is None:
        if settings.environment == "local":
            log.error("the work stream was deleted: it is made again", stream=CLIPS)
            await ensure(js, replicas=settings.stream_replicas, deliveries=deliveries)
            return True
    elif await _consumer_config(js, wanted) is None:
        await _asked(js.add_consumer(CLIPS, wanted), f"consumer {wanted.durable_name}")
        log.error("a consumer was deleted: it is made again", consumer=wanted.durable_name)
        return True
    return False


async def _ensure_stream(js: JetStreamContext, wanted: StreamConfig) -> None:
    found = await _stream_config(js, str(wanted.name))
    if found is None:
        await _asked(js.add_stream(wanted), f"stream {wanted.name}")
        return
    for rule in broken(STREAM_RULES, wanted, found):  # one by one: what the server refuses must not keep the others from being mended
        found = await _mended(js.update_stream(mended([rule], wanted, found)), f"stream {wanted.name}: {rule}", found)


async def _ensure_consumer(js: JetStreamContext, wanted: ConsumerConfig) -> None:
    found = await _consumer_config(js, wanted)
    if found is None:
        await _asked(js.add_consumer(CLIPS, wanted), f"consumer {wanted.durable_name}")
        return
    for rule in broken(CONSUMER_RULES, wanted, found):
        found = await _mended(js.add_consumer(CLIPS, mended([rule], wanted, found)), f"consumer {wanted.durable_name}: {rule}", found)


async def _mended(change: Awaitable[Any], what: str, before: Any) -> Any:
    """The configuration after the change, or before it when the server refuses."""
    try:
        info = await _asked(change, what)
    except Failure as failure:
        if failure.outage:
            raise
        log.warning("drift can't be mended", error=failure.message)
        return before
    log.warning("drift mended", what=what)
    return info.config if info else before


async def problems(js: JetStreamContext, settings: CommonSettings) -> list[str]:
    """Every durability rule that is broken now, in words; production asks for more. Raises Failure(outage="nats")."""
    in_production = settings.environment == "production"
    replicas = max(settings.stream_replicas, LEAST_REPLICAS) if in_production else settings.stream_replicas
    found = await broken_rules(js, replicas=replicas, monitors=settings.monitors, deliveries=Deliveries.of(settings))
    if in_production and len(settings.monitors) < replicas:
        found.append(f"NATS_MONITOR_URLS names {len(settings.monitors)} servers, it must name all: only there they show that they sync")
    return found


async def broken_rules(js: JetStreamContext, *, replicas: int, monitors: Sequence[str] = (), deliveries: Deliveries = USUAL) -> list[str]:
    """Every durability rule that is broken now, in words; empty when all is well. Raises Failure(outage="nats").

    `monitors` are the servers' monitoring addresses (http://host:8222): nowhere else do they show whether they sync always.
    """
    problems = [problem for stream in wanted_streams(replicas) for problem in await _stream_problems(js, stream)]
    problems += [problem for consumer in wanted_consumers(deliveries) for problem in await _consumer_problems(js, consumer)]
    return problems + [problem for monitor in monitors for problem in await sync_problems(monitor)]


async def _stream_problems(js: JetStreamContext, wanted: StreamConfig) -> list[str]:
    return _problems(f"stream {wanted.name}", STREAM_RULES, wanted, await _stream_config(js, str(wanted.name)))


async def _consumer_problems(js: JetStreamContext, wanted: ConsumerConfig) -> list[str]:
    return _problems(f"consumer {wanted.durable_name}", CONSUMER_RULES, wanted, await _consumer_config(js, wanted))


def _problems(what: str, rules: Iterable[str], wanted: Any, found: Any | None) -> list[str]:
    if found is None:
        return [f"{what} is missing: {MAKE_STREAMS}"]
    return [f"{what}: {rule} is {_shown(found, rule)}, it must be {_shown(wanted, rule)}" for rule in broken(rules, wanted, found)]


def _shown(config: Any, rule: str) -> str:
    value = getattr(config, rule)
    return str(getattr(value, "value", value)) if value not in (None, [], "") else "unset"


async def _stream_config(js: JetStreamContext, name: str) -> StreamConfig | None:
    info = await _asked(js.stream_info(name), f"stream {name}")
    return info.config if info else None


async def _consumer_config(js: JetStreamContext, wanted: ConsumerConfig) -> ConsumerConfig | None:
    info = await _asked(js.consumer_info(CLIPS, str(wanted.durable_name)), f"consumer {wanted.durable_name}")
    return info.config if info else None


async def _asked(request: Awaitable[T], what: str) -> T | None:
    """The server's answer, or None when it knows no such thing."""
    with as_outage():
        try:
            return await request
        except NotFoundError:
            return None
        except ServiceUnavailableError:
            raise
        except APIError as error:
            raise Failure(Code.INTERNAL, f"{what}: the message server refuses: {error.description}") from error
