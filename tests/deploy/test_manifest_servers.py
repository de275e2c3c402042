"""The servers of deploy/k8s start on what their pods are given."""

import asyncio
import os
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from libs.common.runtime.embedded_postgres import _bin
from libs.common.runtime.embedded_servers import _rclone_options
from tests.deploy.database import LOGINS, SERVICES
from tests.deploy.manifests import OVERLAYS, Manifest, amount, containers, environ, examples, mounts, of_kind, overlay, template
from tests.deploy.message_servers import HASHED, USERS, certified
from tests.runtime.nats_cluster import PROGRAM


def configured(name: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """What nats-server says of the configuration that its pod gets, with the pod's paths in this folder."""
    pod = of_kind(overlay(name), "StatefulSet")["nats"]
    [configuration] = [volume for path, volume in mounts(pod) if path == "/etc/nats"]
    for file, text in of_kind(overlay(name), "ConfigMap")[configuration["configMap"]["name"]]["data"].items():
        (folder / file).write_text(text.replace("/data", str(folder / "data")))
    [container] = containers(pod)
    given = environ(container, overlay(name), {"nats-users": dict.fromkeys(USERS, HASHED)})
    certificate = certified(folder)
    certificate.rename(folder / "tls.crt")
    (folder / "key.pem").rename(folder / "tls.key")
    (folder / "ca.crt").write_bytes((folder / "tls.crt").read_bytes())
    given = {key: value.replace("/etc/nats-tls", str(folder)).replace("/data", str(folder / "data")) for key, value in given.items()}
    words = [word.replace("/etc/nats", str(folder)) for word in container["command"][1:]]
    return subprocess.run([PROGRAM, *words, "-t"], env=given, capture_output=True, text=True, check=False, timeout=30)


@pytest.mark.parametrize("name", OVERLAYS)
def test_the_message_server_takes_its_configuration(name: str, tmp_path: Path):
    said = configured(name, tmp_path)
    assert said.returncode == 0, said.stderr
    assert "configuration file" in said.stderr
    assert "is valid" in said.stderr


def test_every_message_server_syncs_always():
    for name in OVERLAYS:
        texts = "".join(
            text for one in of_kind(overlay(name), "ConfigMap").values() for key, text in one["data"].items() if key.endswith(".conf")
        )
        assert "sync_interval: always" in texts


def test_production_s_message_servers_find_each_other_and_keep_apart():
    pod = of_kind(overlay("production"), "StatefulSet")["nats"]
    routes = environ(containers(pod)[0], overlay("production"), {"nats-users": dict.fromkeys(USERS, HASHED)})["NATS_CLUSTER_ROUTES"]
    assert routes == "[" + ", ".join(f"tls://nats-{n}.nats:6222" for n in range(pod["spec"]["replicas"])) + "]"
    [apart] = template(pod)["spec"]["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert apart["topologyKey"] == "kubernetes.io/hostname"
    assert of_kind(overlay("production"), "PodDisruptionBudget")["nats"]["spec"]["maxUnavailable"] == 1
    assert of_kind(overlay("production"), "Service")["nats"]["spec"]["publishNotReadyAddresses"] is True


def test_clients_and_keda_are_told_of_names_that_outlive_a_pod_and_that_the_certificate_has():
    pod = of_kind(overlay("production"), "StatefulSet")["nats"]
    told = environ(containers(pod)[0], overlay("production"), {"nats-users": dict.fromkeys(USERS, HASHED)})["NATS_CLIENT_ADVERTISE"]
    service = of_kind(overlay("production"), "Service")["nats"]["metadata"]
    domain = f"{service['name']}.{service['namespace']}.svc"
    assert told == f'"nats-0.{domain}:4222"'
    assert {f"nats-{n}.{domain}" for n in range(pod["spec"]["replicas"])} <= set(
        of_kind(examples(), "Certificate")["nats"]["spec"]["dnsNames"]
    )


def test_a_message_server_collects_its_garbage_before_it_is_killed_for_it():
    [container] = containers(of_kind(overlay("production"), "StatefulSet")["nats"])
    [told] = [one["value"] for one in container["env"] if one["name"] == "GOMEMLIMIT"]
    assert 0.8 <= amount(told.removesuffix("B")) / amount(container["resources"]["limits"]["memory"]) <= 0.9


def initialisation() -> dict[str, str]:
    """The files that the image of Postgres runs in a new database, in their order."""
    pod = of_kind(overlay("local"), "StatefulSet")["postgres"]
    [begin] = [volume for path, volume in mounts(pod) if path == "/docker-entrypoint-initdb.d"]
    maps = of_kind(overlay("local"), "ConfigMap")
    sources: list[Manifest] = [source["configMap"] for source in begin["projected"]["sources"]]
    return {item["path"]: maps[source["name"]]["data"][item["key"]] for source in sources for item in source["items"]}


async def test_a_new_local_database_knows_every_service_by_its_password(servers: dict[str, str], tmp_path: Path):
    parts = urlsplit(servers["DATABASE_URL"])
    owner = await asyncpg.connect(servers["DATABASE_URL"])
    await owner.execute("CREATE DATABASE began")
    try:
        for login in LOGINS:
            (tmp_path / login).write_text(f"{login}-s-own")
        given = {
            "PATH": f"{_bin()}{os.pathsep}{os.environ['PATH']}",
            "POSTGRES_DB": "began",
            "POSTGRES_USER": str(parts.username),
            "PGHOST": str(parts.hostname),
            "PGPORT": str(parts.port),
            "PGPASSWORD": str(parts.password or ""),
        }
        files = initialisation()
        assert sorted(files) == list(files) == ["10-roles.sql", "20-passwords.sh"]
        (tmp_path / "roles.sql").write_text(files["10-roles.sql"])
        sourced = files["20-passwords.sh"].replace("/run/secrets/postgres", str(tmp_path))
        script = f'set -e\npsql -q -v ON_ERROR_STOP=1 -U "$POSTGRES_USER" -d "$POSTGRES_DB" -f {tmp_path}/roles.sql\n{sourced}'
        process = await asyncio.create_subprocess_exec("bash", "-c", script, env=given)
        assert await process.wait() == 0
        for service in SERVICES:
            entry = f"clipstream_{service}:{service}-s-own@{parts.hostname}:{parts.port}"
            connection = await asyncpg.connect(f"postgresql://{entry}/began")
            assert await connection.fetchval("SELECT current_user") == f"clipstream_{service}"
            await connection.close()
    finally:
        await owner.execute("DROP DATABASE began WITH (FORCE)")
        await owner.close()


def test_the_local_storage_takes_the_options_of_the_local_stack():
    [container] = of_kind(overlay("local"), "StatefulSet")["s3"]["spec"]["template"]["spec"]["containers"]
    wanted = {option.partition("=")[0]: option.partition("=")[2] for option in _rclone_options(Path("/data"), 9000)}
    given = {option.partition("=")[0]: option.partition("=")[2] for option in container["args"]}
    assert given == wanted | {"--addr": "0.0.0.0:9000"}


def test_no_secret_is_among_the_manifests():
    for manifests in (*map(overlay, OVERLAYS), examples()):
        assert manifests
        assert not of_kind(manifests, "Secret")
