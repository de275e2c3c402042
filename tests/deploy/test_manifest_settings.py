"""What deploy/k8s sets is what the services read: variables, ports, probes, time and room to end, secrets."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
import yaml

from libs.common.runtime.health import Health
from libs.common.runtime.health_port import health_port
from libs.common.runtime.service import POOL
from libs.common.runtime.settings import CommonSettings, load
from services.api.settings import ApiSettings
from services.asr.settings import AsrSettings
from services.clipper.settings import ClipperSettings
from services.janitor.settings import JanitorSettings
from services.resolver.settings import ResolverSettings
from tests.deploy.database import SERVICES
from tests.deploy.manifests import (
    KUBERNETES,
    OVERLAYS,
    PODS,
    amount,
    asked_secrets,
    containers,
    environ,
    examples,
    mounts,
    of_kind,
    overlay,
    template,
)
from tests.documents.test_every_block import calls
from tools.setup import ROOT

SETTINGS: dict[str, type[CommonSettings]] = {
    "clipstream-api": ApiSettings,
    "clipstream-resolver": ResolverSettings,
    "clipstream-clipper": ClipperSettings,
    "clipstream-asr": AsrSettings,
    "clipstream-janitor": JanitorSettings,
    "clipstream-bootstrap": CommonSettings,
}
OF_OTHERS = {"SSL_CERT_FILE"}
"""Read by OpenSSL, and told of in docs/security.md."""
SECRETS = {
    "DATABASE_URL": "postgresql://u:p@h:5432/d",
    "NATS_URL": "tls://u:p@h:4222",
    "S3_ACCESS_KEY_ID": "an-id",
    "S3_SECRET_ACCESS_KEY": "a-key",
    "API_SECRET": "s" * 32,
}
TO_CLOSE = 5.0
"""Seconds after the drain in which connections close."""
LISTENING = 2
"""Connections to Postgres of one process beside its pool."""
PER_JOB = 2
"""How often a job's source may lie in scratch at once: its streams apart, and put together."""


def environ_of(service: str, name: str) -> dict[str, str]:
    manifests = overlay(name)
    secrets = {secret: {key: SECRETS[key] for key in keys if key in SECRETS} for secret, keys in asked_secrets(manifests).items()}
    return environ(containers(of_kind(manifests, *PODS)[service])[0], manifests, secrets)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """As the volume of the component `model` is."""
    (tmp_path / "model.bin").touch()
    (tmp_path / "vocabulary.json").write_text(json.dumps([""] * 51865))
    return tmp_path


@pytest.mark.parametrize("name", OVERLAYS)
@pytest.mark.parametrize("service", SETTINGS)
def test_every_variable_is_a_setting_and_every_setting_that_is_required_is_set(service: str, name: str, model: Path):
    given = environ_of(service, name)
    known = {field.name.upper() for kind in SETTINGS.values() for field in msgspec.structs.fields(kind)}
    own = {field.name.upper() for field in msgspec.structs.fields(SETTINGS[service])}
    assert given.keys() - OF_OTHERS <= own, "not read by this service" if given.keys() - OF_OTHERS <= known else "read by none"
    mounted = {"ASR_MODEL": str(model)} if given["ASR_MODEL"] == "/models" else {}
    settings = load(SETTINGS[service], given | mounted)
    assert settings.environment == name
    assert settings.health_host == "0.0.0.0"  # noqa: S104 - as Prometheus and the kubelet reach it


@pytest.mark.parametrize("name", OVERLAYS)
@pytest.mark.parametrize("service", SETTINGS)
def test_no_variable_is_set_twice(service: str, name: str):
    """The last one would win, without a word."""
    maps = of_kind(overlay(name), "ConfigMap")
    container = containers(of_kind(overlay(name), *PODS)[service])[0]
    names = [variable["name"] for variable in container["env"]]
    names += [key for source in container["envFrom"] for key in maps[source["configMapRef"]["name"]]["data"]]
    assert len(names) == len(set(names))


def test_a_file_that_a_variable_names_is_mounted():
    for service in SETTINGS:
        given = environ_of(service, "production")
        folders = dict(mounts(of_kind(overlay("production"), *PODS)[service]))
        assert folders[str(Path(given["SSL_CERT_FILE"]).parent)]["configMap"] == {"name": "clipstream-authorities"}
        if service in {"clipstream-resolver", "clipstream-clipper", "clipstream-asr"}:
            assert given["SCRATCH_DIR"] in folders
    assert environ_of("clipstream-asr", "production")["ASR_MODEL"] in dict(
        mounts(of_kind(overlay("production"), "Deployment")["clipstream-asr"])
    )


@pytest.mark.parametrize("name", OVERLAYS)
@pytest.mark.parametrize("service", SERVICES)
async def test_the_probes_ask_what_the_service_answers(service: str, name: str):
    given = environ_of(f"clipstream-{service}", name)
    [container] = containers(of_kind(overlay(name), "Deployment")[f"clipstream-{service}"])
    ports = {port["name"]: str(port["containerPort"]) for port in container["ports"]}
    assert ports == {"health": given["HEALTH_PORT"]} | ({"http": given["PORT"]} if service == "api" else {})
    alive, begun, ready = (container[f"{kind}Probe"]["httpGet"] for kind in ("liveness", "startup", "readiness"))
    assert alive == begun == {"path": "/healthz", "port": "health"}
    assert ready == {"path": "/readyz", "port": "http" if service == "api" else "health"}
    assert ("GET", ready["path"]) in set(calls())
    assert container["livenessProbe"]["periodSeconds"] * container["livenessProbe"]["failureThreshold"] >= 60
    settings = load(CommonSettings, SECRETS | {"HEALTH_PORT": "0"})
    async with health_port(settings, Health({})) as port, aiohttp.ClientSession(f"http://127.0.0.1:{port}") as http:
        for path in (alive["path"], ready["path"], "/metrics"):
            async with http.get(path) as answer:
                assert answer.status == 200, path


@pytest.mark.parametrize("name", OVERLAYS)
@pytest.mark.parametrize("service", SERVICES)
def test_a_pod_has_longer_to_end_than_its_work_may_take(service: str, name: str):
    pod = template(of_kind(overlay(name), "Deployment")[f"clipstream-{service}"])["spec"]
    asleep = pod["containers"][0].get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
    drain = int(environ_of(f"clipstream-{service}", name)["WORKER_SHUTDOWN_TIMEOUT_MS"]) / 1000
    assert pod["terminationGracePeriodSeconds"] >= asleep + drain + TO_CLOSE
    assert (asleep > 0) == (service == "api")


@pytest.mark.parametrize("name", OVERLAYS)
@pytest.mark.parametrize("service", ["resolver", "clipper", "asr"])
def test_a_worker_stops_taking_work_before_its_scratch_is_full(service: str, name: str):
    """A pod whose emptyDir outgrows its size is evicted, with all that it had in hand."""
    given = environ_of(f"clipstream-{service}", name)
    size = amount(
        dict(mounts(of_kind(overlay(name), "Deployment")[f"clipstream-{service}"]))[given["SCRATCH_DIR"]]["emptyDir"]["sizeLimit"]
    )
    largest = int(given["MAX_INPUT_MB"]) if service != "asr" else int(given["MAX_INPUT_MB"]) // 2
    in_hand = int(given["WORKER_MAX_CONCURRENCY"]) * PER_JOB * largest
    assert (int(given["SCRATCH_MAX_MB"]) + in_hand) * 2**20 <= size


def test_what_the_clipper_runs_fits_into_its_limits():
    given = environ_of("clipstream-clipper", "production")
    [container] = containers(of_kind(overlay("production"), "Deployment")["clipstream-clipper"])
    memory, cores = (amount(container["resources"]["limits"][kind]) for kind in ("memory", "cpu"))
    assert 250e6 + int(given["MEDIA_MEMORY_MB"]) * 2**20 * int(given["ENCODER_SLOTS"]) < memory
    assert int(given["ENCODER_THREADS"]) * int(given["ENCODER_SLOTS"]) <= cores


def test_the_local_secrets_are_those_that_are_asked_for():
    script = KUBERNETES / "overlays" / "local" / "secrets.sh"
    runs = [subprocess.run(["sh", script], capture_output=True, text=True, check=True, timeout=30).stdout for _ in range(2)]
    made = [{one["metadata"]["name"]: one["stringData"] for one in yaml.safe_load_all(run) if one} for run in runs]
    asked = asked_secrets(overlay("local"))
    roles = {"superuser", "migrations", *SERVICES}
    assert {name: set(keys) for name, keys in made[0].items()} == asked | {"postgres": roles}
    assert len(made[0]["clipstream-api"]["API_SECRET"]) >= 32
    same = {(secret, key) for secret, keys in made[0].items() for key in keys if keys[key] == made[1][secret][key]}
    assert same == {(secret, "NATS_URL") for secret in asked if "NATS_URL" in asked[secret]} | {("clipstream-migrate", "DATABASE_URL")}
    assert made[0]["clipstream-migrate"]["PGPASSWORD"] == made[0]["postgres"]["migrations"]
    for service in SERVICES:
        user = f"clipstream_{service}:{made[0]['postgres'][service]}@postgres:5432/clipstream"
        assert made[0][f"clipstream-{service}"]["DATABASE_URL"] == f"postgresql://{user}"


def test_the_example_of_external_secrets_makes_all_that_production_asks_for():
    made = {one["metadata"]["name"]: one for one in examples() if one["kind"] == "ExternalSecret"}
    assert {name: set(one["spec"]["target"]["template"]["data"]) for name, one in made.items()} == asked_secrets(overlay("production"))
    for name, one in made.items():
        asked = set(re.findall(r"\.(\w+) ", " ".join(one["spec"]["target"]["template"]["data"].values())))
        assert asked == {entry["secretKey"] for entry in one["spec"]["data"]}, name
        assert one["spec"]["target"]["name"] == name


def test_production_names_every_message_server_and_has_three():
    given = environ_of("clipstream-api", "production")
    servers = of_kind(overlay("production"), "StatefulSet")["nats"]["spec"]["replicas"]
    assert given["NATS_MONITOR_URLS"].split(",") == [f"http://nats-{n}.nats:8222" for n in range(servers)]
    assert int(given["STREAM_REPLICAS"]) == servers == 3


def test_only_stages_ask_for_jetstream_elsewhere():
    asked = {service: environ_of(service, "production").get("NATS_API_PREFIX") for service in SETTINGS}
    apart = {"clipstream-resolver", "clipstream-clipper", "clipstream-asr"}
    assert asked == {service: "CLIPSTREAM.API" if service in apart else None for service in SETTINGS}


def test_clients_can_upload_what_the_api_takes():
    note = of_kind(overlay("production"), "Ingress")["clipstream"]["metadata"]["annotations"]
    largest = int(note["nginx.ingress.kubernetes.io/proxy-body-size"].removesuffix("m"))
    assert largest > int(environ_of("clipstream-api", "production")["MAX_INPUT_MB"])


def test_the_example_of_a_database_has_connections_for_all_replicas_and_one_more_of_each():
    scaled = of_kind(overlay("production"), "ScaledObject", "HorizontalPodAutoscaler")
    most: dict[str, Any] = {one: spec["spec"].get("maxReplicaCount") or spec["spec"]["maxReplicas"] for one, spec in scaled.items()}
    processes = sum(most.values()) + of_kind(overlay("production"), "Deployment")["clipstream-janitor"]["spec"]["replicas"] + len(SERVICES)
    cluster = of_kind(examples(), "Cluster")["clipstream-postgres"]["spec"]
    assert processes * (POOL + LISTENING) <= int(cluster["postgresql"]["parameters"]["max_connections"])


def test_the_example_of_a_database_makes_the_roles_of_the_services():
    spec = of_kind(examples(), "Cluster")["clipstream-postgres"]["spec"]
    roles = set(re.findall(r"'(clipstream_\w+)'", (ROOT / "deploy" / "postgres" / "roles.sql").read_text()))
    assert {role["name"] for role in spec["managed"]["roles"]} | {spec["bootstrap"]["initdb"]["owner"]} == roles
    assert spec["bootstrap"]["initdb"]["database"] == "clipstream"
    assert "imageName" not in spec, "an image that no registry has; the operator has its own"
