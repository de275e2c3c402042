"""From what a job costs and how many come a minute to replicas, servers and disks, and to what gives out first. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, inf

BUSY = 0.7
"""Of its cores, that a replica may use in the mean: the rest is for what comes in clusters."""
DISK_PART = 0.8
"""Of a disk, that may be full."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """Of one job, or of one of a stage: CPU in seconds; sizes in MB; `sync_seconds` is one write that is on the disk.

    `synced_writes` of the message servers are those of one message that wait for each other.
    """

    api_cpu: float
    resolve_upload_cpu: float
    resolve_url_cpu: float
    copy_cpu: float
    exact_cpu: float
    transcribe_cpu: float
    burn_cpu: float
    janitor_cpu: float
    postgres_cpu: float
    nats_cpu: float
    rows: float
    row_bytes: float
    statements: float
    s3_requests: float
    source_mb: float
    read_mb: float
    clip_mb: float
    synced_writes: float
    listed_a_second: float
    retired_a_second: float
    sync_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Mix:
    """What the jobs are; parts of 1. `copied` clips begin and end at keyframes, the others are exact."""

    by_url: float
    copied: float
    subtitled: float
    burned: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Crew:
    """A deployment: cores of a replica, and how few and many there may be."""

    cores: float
    minimum: int
    maximum: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """As deploy/k8s has it."""

    crews: Mapping[str, Crew]
    connections_a_replica: int
    connections: int
    database_bytes: float
    watermark: int
    requests_a_client: float
    retention_minutes: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """At so many jobs a minute."""

    jobs_a_minute: float
    replicas: Mapping[str, int]
    cores: float
    connections: int
    statements: float
    commits: float
    synced_writes: float
    database_gb: float
    database_cores: float
    message_cores: float
    s3_requests: float
    s3_gigabits: float
    s3_tb: float
    in_stream: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """What gives out, and at how many jobs a minute."""

    what: str
    jobs_a_minute: float
    then: str


def cpu(costs: Costs, mix: Mix) -> dict[str, float]:
    """CPU seconds of a job, by deployment; the clipper burns too."""
    return {
        "api": costs.api_cpu,
        "resolver": mix.by_url * costs.resolve_url_cpu + (1 - mix.by_url) * costs.resolve_upload_cpu,
        "clipper": mix.copied * costs.copy_cpu + (1 - mix.copied) * costs.exact_cpu + mix.burned * costs.burn_cpu,
        "asr": mix.subtitled * costs.transcribe_cpu,
        "janitor": costs.janitor_cpu,
    }


def shares(costs: Costs, mix: Mix) -> dict[str, float]:
    """CPU seconds of a job in the mean, by what they are spent on, the most first. S3 is not ours to pay for."""
    spent = {
        "exact cuts": (1 - mix.copied) * costs.exact_cpu,
        "burning subtitles in": mix.burned * costs.burn_cpu,
        "transcribing": mix.subtitled * costs.transcribe_cpu,
        "fetching by URL": mix.by_url * costs.resolve_url_cpu,
        "copies": mix.copied * costs.copy_cpu,
        "looking at uploads": (1 - mix.by_url) * costs.resolve_upload_cpu,
        "everything around them": costs.api_cpu + costs.postgres_cpu + costs.nats_cpu + costs.janitor_cpu,
    }
    return dict(sorted(spent.items(), key=lambda part: -part[1]))


def messages(mix: Mix) -> float:
    """Of one job: those that a stage waits for which it asks for."""
    return 2 + mix.subtitled + mix.burned


def writes(mix: Mix) -> float:
    """Requests that a client's limit counts: the job's own, and one for the ticket of its upload."""
    return 2 - mix.by_url


def moved_mb(costs: Costs, mix: Mix) -> float:
    """To and from S3: the source in, its range out, the clip in, and out and in again for subtitles and burning."""
    return costs.source_mb + costs.read_mb + costs.clip_mb * (1 + mix.subtitled + 2 * mix.burned)


def kept_mb(costs: Costs, mix: Mix) -> float:
    return costs.source_mb + costs.clip_mb * (1 + mix.burned)


def in_stream(costs: Costs, mix: Mix, deployment: Deployment) -> float:
    """Jobs in the stream for each that comes a second: at BUSY a job that shares its cores takes 1 / (1 - BUSY) times as long as alone."""
    spent = cpu(costs, mix)
    return sum(spent[name] / deployment.crews[name].cores for name in ("resolver", "clipper", "asr")) / (1 - BUSY)


def needs(costs: Costs, mix: Mix, deployment: Deployment, jobs_a_minute: float) -> Needs:
    """Without the upper bounds of the autoscalers: what there would have to be."""
    a_second, spent = jobs_a_minute / 60, cpu(costs, mix)
    replicas = {name: max(crew.minimum, ceil(a_second * spent[name] / (crew.cores * BUSY))) for name, crew in deployment.crews.items()}
    kept = jobs_a_minute * deployment.retention_minutes
    return Needs(
        jobs_a_minute=jobs_a_minute,
        replicas=replicas,
        cores=a_second * sum(spent.values()),
        connections=sum(replicas.values()) * deployment.connections_a_replica,
        statements=a_second * costs.statements,
        commits=a_second * costs.rows,
        synced_writes=a_second * messages(mix) * costs.synced_writes,
        database_gb=kept * costs.rows * costs.row_bytes / 1e9,
        database_cores=a_second * costs.postgres_cpu,
        message_cores=a_second * costs.nats_cpu,
        s3_requests=a_second * costs.s3_requests,
        s3_gigabits=a_second * moved_mb(costs, mix) * 8 / 1000,
        s3_tb=kept * kept_mb(costs, mix) / 1e6,
        in_stream=a_second * in_stream(costs, mix, deployment),
    )


def limits(costs: Costs, mix: Mix, deployment: Deployment) -> list[Limit]:
    """What gives out first comes first. Jobs a minute, steadily."""
    spent = cpu(costs, mix)
    crews = [
        Limit(what=f"{name}: {crew.maximum} replicas of {crew.cores:g} cores", jobs_a_minute=_most(crew, spent[name]), then=GROW)
        for name, crew in deployment.crews.items()
        if name != "janitor"
    ]
    row_bytes = costs.rows * costs.row_bytes * deployment.retention_minutes
    others = [
        Limit(what="one client's rate limit", jobs_a_minute=deployment.requests_a_client / writes(mix), then="raise `RATE_LIMIT_MAX`"),
        Limit(
            what=f"the watermark of {deployment.watermark} messages",
            jobs_a_minute=60 * deployment.watermark / in_stream(costs, mix, deployment),
            then="raise `WORKER_QUEUE_HIGH_WATERMARK` in every service",
        ),
        Limit(
            what="the one API that keeps the lists",
            jobs_a_minute=60 * costs.listed_a_second,
            then="several writers of the lists, each for a part of the jobs: not built",
        ),
        Limit(
            what="the janitor that retires jobs",
            jobs_a_minute=60 * costs.retired_a_second,
            then="shorter `CLEANUP_PAUSE_MS`, larger `CLEANUP_BATCH_SIZE`",
        ),
        Limit(
            what=f"Postgres' disk of {deployment.database_bytes / 2**30:g} GiB",
            jobs_a_minute=DISK_PART * deployment.database_bytes / row_bytes,
            then="a larger volume, or shorter `RETENTION_HOURS`",
        ),
        Limit(
            what="NATS, one synced write at a time",
            jobs_a_minute=60 / (messages(mix) * costs.synced_writes * costs.sync_seconds),
            then="faster disks; then a stream a group of tenants: not built",
        ),
        Limit(
            what="Postgres, one commit at a time",
            jobs_a_minute=60 / (costs.rows * costs.sync_seconds),
            then="it commits in groups, so only look; then faster disks",
        ),
        Limit(
            what=f"{deployment.connections} connections of Postgres",
            jobs_a_minute=_until_connections(costs, mix, deployment),
            then="a pooler in session mode, or a smaller pool",
        ),
    ]
    return sorted(crews + others, key=lambda limit: limit.jobs_a_minute)


GROW = "raise `maxReplicaCount`, with nodes and connections for it"


def _most(crew: Crew, spent: float) -> float:
    return 60 * crew.maximum * crew.cores * BUSY / spent if spent else inf


def _until_connections(costs: Costs, mix: Mix, deployment: Deployment) -> float:
    """By halving: replicas come in wholes."""
    low, high = 0.0, 1e6
    while high - low > 1:
        middle = (low + high) / 2
        fits = needs(costs, mix, deployment, middle).connections <= deployment.connections
        low, high = (middle, high) if fits else (low, middle)
    return low


def first(found: Sequence[Limit], jobs_a_minute: float) -> list[Limit]:
    """Those that so many jobs a minute run into."""
    return [limit for limit in found if limit.jobs_a_minute < jobs_a_minute]
