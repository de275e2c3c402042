"""Each image's service, with what deploy/images/Dockerfile gives it and nothing else. test_production runs them; here all five alone."""

import asyncio
import shlex
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import aiohttp
import pytest

from libs.common.runtime.embedded import embedded_servers
from libs.common.runtime.embedded_home import PortClaims
from tests.asr.recordings import BECKETT
from tests.deploy import recipe
from tests.deploy.containers import Container, container
from tests.deploy.running import IMAGES, media_programs, until_ready
from tests.e2e.test_subtitles import filmed
from tests.uploading import submitted
from tools.supervisor import Service, supervised

pytestmark = pytest.mark.timeout(300)
EVERY_MODULE = """
import importlib, pkgutil, sys
package = importlib.import_module("services." + sys.argv[1])
for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
from libs.common.runtime.doctor.packages import packages_seen
print(packages_seen(sys.argv[1]))
"""


@dataclass(frozen=True)
class Running:
    http: aiohttp.ClientSession
    log: Path


async def until_done(http: aiohttp.ClientSession, job_id: str, log: Path) -> dict[str, Any]:
    """The job; fails with the end of the processes' log where it ends otherwise."""
    async with asyncio.timeout(120):
        while True:
            async with http.get(f"/api/jobs/{job_id}") as answer:
                job: dict[str, Any] = (await answer.json())["job"]
            if job["status"] == "done":
                return job
            assert job["status"] in {"queued", "processing"}, f"{job}\n{log.read_text()[-5000:]}"
            await asyncio.sleep(0.1)


async def ran(inside: Container, *words: str, **more: str) -> str:
    """What a command printed in the container, which must end well."""
    argv, environ = shlex.split(inside.command(*words)), {**inside.environ, **more}
    process = await asyncio.create_subprocess_exec(*argv, env=environ, stdout=PIPE, stderr=STDOUT)
    said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()[-3000:]
    return said.decode()


@pytest.fixture(scope="module")
def containers() -> Iterator[Mapping[str, Container]]:
    """Of which nothing runs."""
    with ExitStack() as stack:
        yield {name: stack.enter_context(container(image, {})) for name, image in IMAGES.items()}


@pytest.fixture
async def system() -> AsyncIterator[Running]:
    async with AsyncExitStack() as stack:
        home = Path(stack.enter_context(TemporaryDirectory(prefix="clipstream-images-")))
        servers = await stack.enter_async_context(embedded_servers(home, {}))
        await prepared(servers.variables)
        claims = PortClaims()
        stack.callback(claims.close)
        containers = {name: stack.enter_context(container(image, servers.variables)) for name, image in IMAGES.items()}
        ports = {name: claims.claim_any() for name in (*IMAGES, "http")}
        log = stack.enter_context((home / "services.log").open("w", buffering=1))
        services = [service(name, inside, ports) for name, inside in containers.items()]
        await stack.enter_async_context(supervised(services, lambda name, line: print(f"{name}: {line}", file=log)))
        http = await stack.enter_async_context(aiohttp.ClientSession(f"http://127.0.0.1:{ports['http']}"))
        for name in IMAGES:
            await until_ready(ports[name], home / "services.log", path="/readyz")
        yield Running(http, home / "services.log")


async def prepared(servers: Mapping[str, str]) -> None:
    """As the jobs of compose.yaml do: the schema, then streams and buckets, by the image `tools`."""
    with container("tools", servers) as tools:
        await ran(tools, "dbmate", "--migrations-dir", "libs/common/migrations", "--no-dump-schema", "migrate")
        assert "streams, consumers and buckets are in place" in await ran(tools)


def service(name: str, inside: Container, ports: Mapping[str, int]) -> Service:
    own = {"PORT": str(ports["http"]), "HEALTH_PORT": str(ports[name])}
    programs = media_programs() if "media" in [stage.name for stage in recipe.chain(inside.target)] else {}
    return Service(name, inside.command(), {**inside.environ, **programs, **own})


@pytest.mark.thorough
async def test_a_job_with_burned_subtitles_goes_through_all_five_images(system: Running, tmp_path: Path) -> None:
    film = filmed(BECKETT, tmp_path / "film.mp4")
    asked = {"start": 0, "end": 5.5, "withSubtitles": True, "burnSubtitles": True, "subtitleLang": "en"}
    job_id = await submitted(system.http, film, **asked)
    job = await until_done(system.http, job_id, system.log)
    assert job.get("warnings", []) == []
    async with system.http.get(f"/api/jobs/{job_id}/result") as answer:
        assert {"video", "srt", "burnedVideo"} <= (await answer.json())["result"].keys()


@pytest.mark.parametrize("name", IMAGES)
async def test_every_module_finds_what_it_imports_and_the_doctor_every_package_at_its_locked_version(
    containers: Mapping[str, Container], name: str
) -> None:
    assert "'ok'" in await ran(containers[name], "python", "-c", EVERY_MODULE, name)


async def test_a_container_s_root_refuses_to_be_written_to(containers: Mapping[str, Container]) -> None:
    """What the others rest on: else they would see no write that a real container refuses."""
    with pytest.raises(AssertionError, match="PermissionError"):
        await ran(containers["api"], "python", "-c", "open('services/new.py', 'w')")
    with pytest.raises(AssertionError, match="No module named 'pytest'"):
        await ran(containers["api"], "python", "-c", "import pytest")
