"""compose.yaml held to the code, the images and the rules. No container engine is at hand: what can run without one is run here."""

import asyncio
import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import pytest
import yaml

from libs.common.runtime.embedded_home import PortClaims
from libs.common.runtime.embedded_servers import s3
from libs.common.runtime.nats_monitors import sync_problems
from libs.common.runtime.settings import CommonSettings, describe, load
from services.api.settings import ApiSettings
from services.asr.settings import AsrSettings
from services.clipper.settings import ClipperSettings
from services.janitor.settings import JanitorSettings
from services.resolver.settings import ResolverSettings
from tests.deploy import recipe
from tests.deploy.composition import composed, environ, filled, mounts, new_env, required, services
from tests.runtime.nats_cluster import PROGRAM
from tools.monitoring.programs import program
from tools.setup import ROOT

SETTINGS: dict[str, type[CommonSettings]] = {
    "api": ApiSettings,
    "resolver": ResolverSettings,
    "clipper": ClipperSettings,
    "asr": AsrSettings,
    "janitor": JanitorSettings,
    "bootstrap": CommonSettings,
}
JOBS = ("migrations", "bootstrap")
OURS = (*recipe.SERVICES, *JOBS)
SHARED = (
    "NATS_URL",
    "DATABASE_URL",
    "S3_ENDPOINT_URL",
    "S3_SOURCES_BUCKET",
    "ENABLE_YTDLP",
    "ASR_PROVIDER",
    "ASR_MODEL",
    "RETENTION_HOURS",
)
FLAG = re.compile(r"^--([\w-]+)=(.*)$")


def image_environ(name: str) -> dict[str, str]:
    return recipe.pairs(services()[name]["build"]["target"], "ENV") | environ(name)


@pytest.mark.parametrize("name", SETTINGS)
def test_every_variable_is_one_that_the_service_reads_and_all_it_needs_are_there(name: str) -> None:
    known = {variable for variable, _, _ in describe(SETTINGS[name])}
    assert set(environ(name)) - known == set()
    assert load(SETTINGS[name], image_environ(name)).database_url


@pytest.mark.parametrize("name", recipe.SERVICES)
def test_what_several_services_read_is_the_same_for_all(name: str) -> None:
    assert {key: environ(name).get(key) for key in SHARED} == {key: environ("api").get(key) for key in SHARED}


@pytest.mark.parametrize("name", OURS)
def test_each_of_our_images_is_built_from_its_target(name: str) -> None:
    build = services()[name]["build"]
    assert ROOT / build["dockerfile"] == recipe.DOCKERFILE
    assert services()[name]["image"] == f"clipstream-{build['target']}"
    assert recipe.pairs(build["target"], "LABEL")["org.opencontainers.image.title"] == services()[name]["image"]


@pytest.mark.parametrize("name", OURS)
def test_each_of_ours_is_read_only_without_rights_and_writes_to_its_own_folders(name: str) -> None:
    service = services()[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert service["tmpfs"] == [recipe.pairs("api", "ENV")["HOME"]]
    assert service.get("volumes", []) == ([recipe.pairs("api", "ENV")["SCRATCH_DIR"]] if name in recipe.SERVICES else [])


@pytest.mark.parametrize("name", recipe.SERVICES)
def test_a_service_begins_after_the_jobs_and_has_more_time_to_end_than_it_takes(name: str) -> None:
    assert services()[name]["depends_on"] == {job: {"condition": "service_completed_successfully"} for job in JOBS}
    grace = int(services()[name]["stop_grace_period"].removesuffix("s"))
    assert grace * 1000 > load(SETTINGS[name], image_environ(name)).worker_shutdown_timeout_ms + 5000


@pytest.mark.parametrize("name", recipe.SERVICES)
def test_the_health_check_asks_for_the_readiness_on_the_internal_port(name: str) -> None:
    port = recipe.pairs(services()[name]["build"]["target"], "ENV")["HEALTH_PORT"]
    assert f"http://127.0.0.1:{port}/readyz" in services()[name]["healthcheck"]["test"][-1]


def test_ports_are_open_to_this_machine_alone_and_reach_what_listens() -> None:
    ports = {name: service["ports"][0].split(":") for name, service in services().items() if "ports" in service}
    assert {host for host, _, _ in ports.values()} == {"127.0.0.1"}
    inside = {name: int(inside) for name, (_, _, inside) in ports.items()}
    urls = {"nats": environ("api")["NATS_URL"], "s3": environ("api")["S3_ENDPOINT_URL"], "prometheus": datasource()["url"]}
    assert inside == {"api": int(image_environ("api")["PORT"]), "grafana": 3000} | {name: urlsplit(url).port for name, url in urls.items()}
    assert environ("api")["S3_PUBLIC_ENDPOINT_URL"] == f"http://127.0.0.1:{ports['s3'][1]}"


def test_every_host_that_a_variable_names_is_a_service_on_the_same_network() -> None:
    named = re.findall(r"@(\w+):|http://(\w+):", json.dumps([environ(name) for name in OURS]))
    assert {"".join(pair) for pair in named} == {"postgres", "nats", "s3"}
    assert all("inside" in service["networks"] for name, service in services().items() if name != "grafana")


def test_what_has_no_business_outside_has_no_way_out() -> None:
    assert composed()["networks"]["inside"] == {"internal": True}
    confined = {name for name, service in services().items() if service["networks"] == ["inside"]}
    assert confined == {"clipper", "janitor", "postgres", *JOBS}


def test_every_named_volume_is_declared() -> None:
    used = {volume.partition(":")[0] for service in services().values() for volume in service.get("volumes", [])}
    assert {name for name in used if not name.startswith((".", "/"))} == set(composed()["volumes"])


def test_a_new_env_has_everything_that_is_required_and_other_secrets_each_time() -> None:
    first, second = new_env(), new_env()
    assert required() <= first.keys()
    secrets = {name: first[name] for name in required()}
    assert len(set(secrets.values())) == len(secrets)
    assert not [name for name in secrets if len(secrets[name]) < 20 or first[name] == second[name]]


def test_without_an_env_file_nothing_begins() -> None:
    with pytest.raises(KeyError, match="PASSWORD"):
        filled("${POSTGRES_PASSWORD:?}", {})


def test_no_image_is_of_a_moving_tag() -> None:
    others = [service["image"] for service in services().values() if "build" not in service]
    assert [image for image in others if not re.fullmatch(r"[\w/]+:v?\d+\.\d+[\w.-]*", image)] == []


def test_the_migrations_job_migrates_what_its_image_holds() -> None:
    command = services()["migrations"]["command"]
    folder = command[command.index("--migrations-dir") + 1]
    inside = [Path(path).parent.as_posix() for path in recipe.files("tools").values() if path.endswith(".sql")]
    assert inside.count(folder) == len(list((ROOT / folder).glob("*.sql"))) > 0


async def test_the_message_server_takes_its_file_and_password_and_syncs_always(tmp_path: Path) -> None:
    """The real server; only its addresses and its folder are this machine's."""
    claims = PortClaims()
    client, monitor = claims.claim_any(), claims.claim_any()
    file = mounts("nats")[services()["nats"]["command"][1]]
    text = (ROOT / file).read_text().replace("0.0.0.0:4222", f"127.0.0.1:{client}").replace("0.0.0.0:8222", f"127.0.0.1:{monitor}")
    (tmp_path / "nats.conf").write_text(text.replace('"/data"', json.dumps(str(tmp_path))))
    server = await asyncio.create_subprocess_exec(str(PROGRAM), "--config", str(tmp_path / "nats.conf"), env=environ("nats"))
    try:
        async with asyncio.timeout(60):
            while not await listens(monitor):
                await asyncio.sleep(0.05)
        assert await sync_problems(f"http://127.0.0.1:{monitor}") == []
        login = urlsplit(environ("api")["NATS_URL"])
        assert b"PONG" in await told(client, {"user": login.username, "pass": login.password})
        assert b"Authorization Violation" in await told(client, {"user": login.username, "pass": "guess"})
    finally:
        server.terminate()
        await server.wait()
        claims.close()


async def listens(port: int) -> bool:
    try:
        async with aiohttp.ClientSession() as http, http.get(f"http://127.0.0.1:{port}/healthz") as answer:
            return answer.status == 200
    except aiohttp.ClientError:
        return False


async def told(port: int, login: dict[str, str | None]) -> bytes:
    """The server's words up to its answer to a ping, or to its refusal."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"CONNECT {json.dumps(login | {'verbose': False})}\r\nPING\r\n".encode())
    async with asyncio.timeout(20):
        await reader.readline()
        answer = await reader.readline()
    writer.close()
    return answer


def test_the_s3_server_has_the_options_that_the_tests_run_on(tmp_path: Path) -> None:
    tested, _ = s3(tmp_path, 9000, "key", "secret")
    ours, theirs = flags(services()["s3"]["command"]), flags(tested.argv)
    places = {"addr", "cache-dir", "temp-dir"}
    assert ours.keys() == theirs.keys()
    assert {name: value for name, value in ours.items() if name not in places} == {n: v for n, v in theirs.items() if n not in places}
    assert tested.environ["RCLONE_AUTH_KEY"] == '"key,secret"'
    key, secret = environ("api")["S3_ACCESS_KEY_ID"], environ("api")["S3_SECRET_ACCESS_KEY"]
    assert environ("s3")["RCLONE_AUTH_KEY"] == f'"{key},{secret}"'


def flags(argv: list[str] | tuple[str, ...]) -> dict[str, str]:
    return {found[1]: found[2] for word in argv if (found := FLAG.match(word))}


def test_prometheus_takes_its_configuration_and_our_rules(tmp_path: Path) -> None:
    for inside, here in mounts("prometheus").items():
        shutil.copyfile(ROOT / here, tmp_path / Path(inside).name)
    check = shlex.split(f"{program('promtool')} check config prometheus.yml")
    done = subprocess.run(check, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "recording.yml" in done.stdout
    assert "alerts.yml" in done.stdout


def test_prometheus_finds_every_service_under_the_name_that_rules_know() -> None:
    [job] = yaml.safe_load((ROOT / "deploy" / "compose" / "prometheus.yml").read_text())["scrape_configs"]
    [names] = job["dns_sd_configs"]
    [label] = job["relabel_configs"]
    assert tuple(names["names"]) == recipe.SERVICES
    assert names["port"] == int(recipe.pairs("api", "ENV")["HEALTH_PORT"])
    usual = json.loads((ROOT / "deploy" / "monitoring" / "targets.json").read_text())
    assert [label["replacement"].replace("$1", name) for name in names["names"]] == [each["labels"]["job"] for each in usual]


def test_grafana_is_given_our_prometheus_and_both_dashboards() -> None:
    assert urlsplit(datasource()["url"]).hostname in services()
    provider = yaml.safe_load((ROOT / mounts("grafana")["/etc/grafana/provisioning/dashboards/clipstream.yml"]).read_text())["providers"][0]
    folder = ROOT / mounts("grafana")[provider["options"]["path"]]
    dashboards = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
    assert [dashboard["uid"] for dashboard in dashboards] == ["clipstream-operator", "clipstream-product"]
    wanted = {variable["query"] for each in dashboards for variable in each["templating"]["list"] if variable["type"] == "datasource"}
    assert wanted == {datasource()["type"]}


def datasource() -> dict[str, str]:
    file = mounts("grafana")["/etc/grafana/provisioning/datasources/clipstream.yml"]
    [source] = yaml.safe_load((ROOT / file).read_text())["datasources"]
    assert source["isDefault"] is True
    return dict(source)
