"""What deploy/k8s says, for the model and the simulation: read from the plain YAML, never copied."""

from functools import cache
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]  # no stubs are locked

from bench.scaling.autoscaler import Rules, rules_of
from bench.scaling.capacity import Crew, Deployment
from bench.scaling.replica import Worker
from libs.common.runtime.service import POOL
from libs.common.runtime.settings import describe
from services.api.settings import ApiSettings
from services.asr.main import STAGES as ASR
from services.clipper.main import STAGES as CLIPPER
from services.resolver.main import STAGES as RESOLVER

KUBERNETES = Path(__file__).resolve().parents[2] / "deploy" / "k8s"
PRODUCTION = KUBERNETES / "overlays" / "production"
STAGES = ("resolver", "clipper", "asr")
LISTENERS = 2
"""Connections of a process beside its pool (docs/kubernetes.md: 12 a process)."""
ONE_CORE = 1.0
"""The API and the janitor have no limit of CPU, and one event loop."""


def rules() -> dict[str, Rules]:
    """Of each stage's ScaledObject."""
    found = _named(PRODUCTION / "scaling.yaml", "ScaledObject")
    return {stage: rules_of(found[f"clipstream-{stage}"]) for stage in STAGES}


def workers() -> dict[str, Worker]:
    """Of each stage. Encoders and recognisers use both cores for one job, a fetch one, and there are few of them in a process.

    The clipper takes more than it works on.
    """
    places = int(_variable("common.env", "WORKER_MAX_CONCURRENCY"))
    taken = {"resolver": RESOLVER, "clipper": CLIPPER, "asr": ASR}
    threads = {
        "resolver": 1.0,
        "clipper": float(_variable("clipper.env", "ENCODER_THREADS")),
        "asr": float(_variable("asr.env", "ASR_THREADS")),
    }
    slots = {name: places * sum(stage.in_hand for stage in stages) for name, stages in taken.items()}
    turns = {
        "resolver": slots["resolver"],
        "clipper": int(_variable("clipper.env", "ENCODER_SLOTS")),
        "asr": int(_variable("asr.env", "ASR_WORKERS")),
    }
    return {name: Worker(slots=slots[name], cores=cores_of(name), cores_a_job=threads[name], turns=turns[name]) for name in STAGES}


def sizes() -> dict[str, str]:
    """What a process works on at once, as variables."""
    places = {"WORKER_MAX_CONCURRENCY": "common.env", "ENCODER_THREADS": "clipper.env", "ENCODER_SLOTS": "clipper.env"}
    places |= {"MEDIA_MEMORY_MB": "clipper.env", "ASR_THREADS": "asr.env", "ASR_WORKERS": "asr.env"}
    return {name: _variable(file, name) for name, file in places.items()}


def memory_mb() -> dict[str, float]:
    """Of each service: the limit."""
    found = {}
    for name in ("api", *STAGES, "janitor"):
        deployment = _named(KUBERNETES / "base" / f"{name}.yaml", "Deployment")[f"clipstream-{name}"]
        [container] = deployment["spec"]["template"]["spec"]["containers"]
        found[name] = _bytes(container["resources"]["limits"]["memory"]) / 1e6
    return found


def _bytes(quantity: str) -> float:
    unit = {"Mi": 2**20, "Gi": 2**30}[quantity[-2:]]
    return float(quantity[:-2]) * unit


def cores_of(stage: str) -> float:
    deployment = _named(KUBERNETES / "base" / f"{stage}.yaml", "Deployment")[f"clipstream-{stage}"]
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    return float(container["resources"]["limits"]["cpu"])


def deployment() -> Deployment:
    """The overlay `production`, and the Postgres of the examples."""
    postgres = _named(KUBERNETES / "examples" / "postgres-cluster.yaml", "Cluster")["clipstream-postgres"]["spec"]
    told = {name: default for name, default, _ in describe(ApiSettings)}
    size = postgres["storage"]["size"]
    return Deployment(
        crews=crews(),
        connections_a_replica=POOL + LISTENERS,
        connections=int(postgres["postgresql"]["parameters"]["max_connections"]),
        database_bytes=_bytes(size),
        watermark=int(told["WORKER_QUEUE_HIGH_WATERMARK"]),
        requests_a_client=60 * float(told["RATE_LIMIT_MAX"]) / float(told["RATE_LIMIT_WINDOW_SEC"]),
        retention_minutes=60 * float(told["RETENTION_HOURS"]),
    )


def crews() -> dict[str, Crew]:
    api = _named(PRODUCTION / "scaling.yaml", "HorizontalPodAutoscaler")["clipstream-api"]["spec"]
    [janitors] = [each["count"] for each in _documents(PRODUCTION / "kustomization.yaml")[0]["replicas"]]
    stages = {stage: Crew(cores=cores_of(stage), minimum=rule.minimum, maximum=rule.maximum) for stage, rule in rules().items()}
    return {
        "api": Crew(cores=ONE_CORE, minimum=api["minReplicas"], maximum=api["maxReplicas"]),
        **stages,
        "janitor": Crew(cores=ONE_CORE, minimum=janitors, maximum=janitors),
    }


def _variable(file: str, name: str) -> str:
    lines = (KUBERNETES / "base" / "configuration" / file).read_text().splitlines()
    [value] = [line.removeprefix(f"{name}=") for line in lines if line.startswith(f"{name}=")]
    return value


def _named(file: Path, kind: str) -> dict[str, Any]:
    return {each["metadata"]["name"]: each for each in _documents(file) if each["kind"] == kind}


@cache
def _documents(file: Path) -> tuple[dict[str, Any], ...]:
    return tuple(yaml.safe_load_all(file.read_text()))
