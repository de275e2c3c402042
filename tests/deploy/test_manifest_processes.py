"""The pods of the overlay `production` as processes: its commands, environment and probes, in its images' files, are the whole system."""

import shlex
from asyncio import create_subprocess_exec
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import aiohttp
import pytest

from tests.deploy import recipe
from tests.deploy.database import SERVICES
from tests.deploy.pods import AUTHORITIES, Cluster, main_container, running_pods
from tests.deploy.running import IMAGES
from tests.deploy.whole_jobs import SWEEPS, Production, WholeJobs

pytestmark = pytest.mark.timeout(300)
WORLD_WRITABLE = ("/var/tmp", "/dev/shm")  # noqa: S108 - it is they that are watched


@pytest.fixture(scope="module")
async def cluster(servers: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Cluster]:
    async with running_pods(servers, tmp_path_factory.mktemp("cluster"), SWEEPS) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def production(cluster: Cluster) -> Production:
    janitor = f"http://127.0.0.1:{cluster.ports['janitor']['health']}"
    return Production(cluster.http, cluster.world.database, cluster.world.messages, cluster.log, janitor)


class TestAsPods(WholeJobs):
    """All that production mode has."""


@pytest.mark.parametrize("service", SERVICES)
async def test_the_probes_of_the_manifest_pass(cluster: Cluster, service: str):
    for kind in ("startupProbe", "livenessProbe", "readinessProbe"):
        probe = main_container(service)[kind]["httpGet"]
        async with (
            aiohttp.ClientSession() as http,
            http.get(f"http://127.0.0.1:{cluster.ports[service][probe['port']]}{probe['path']}") as answer,
        ):
            assert answer.status == 200, kind


async def test_the_api_lets_nobody_in_without_a_key_and_shows_no_metrics_to_clients(cluster: Cluster):
    base = f"http://127.0.0.1:{cluster.ports['api']['http']}"
    async with aiohttp.ClientSession(base) as http:
        async with http.get("/api/jobs") as answer:
            assert answer.status == 401
        async with http.get("/metrics") as answer:
            assert answer.status == 404


@pytest.mark.parametrize("name", SERVICES)
async def test_the_image_s_own_health_check_passes(cluster: Cluster, name: str):
    inside = cluster.containers[name]
    argv = shlex.split(inside.command(*recipe.health_check(IMAGES[name])))
    environ = {**inside.environ, "HEALTH_PORT": str(cluster.ports[name]["health"])}
    process = await create_subprocess_exec(*argv, env=environ, stdout=PIPE, stderr=STDOUT)
    said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()


def test_nothing_is_left_outside_the_folder_for_the_work_in_hand(cluster: Cluster):
    mounted = {name: inside.temporary / AUTHORITIES for name, inside in cluster.containers.items()}
    assert {name: inside.written() for name, inside in cluster.containers.items()} == {name: [mounted[name]] for name in SERVICES}
    user = int(recipe.last("api", "USER").partition(":")[0])
    assert [path for folder in WORLD_WRITABLE for path in Path(folder).glob("*") if owner(path) == user] == []


def owner(path: Path) -> int | None:
    """None for what is gone by now: others use these folders too."""
    with suppress(FileNotFoundError):
        return path.lstat().st_uid
    return None
