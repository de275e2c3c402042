"""The services' doctor on real servers: all is well on the local stack, and what is broken is found, with what to do, and nothing else."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from libs.common.runtime.bootstrap import bootstrap
from libs.common.runtime.doctor.findings import Finding
from libs.common.runtime.doctor.services import examined_services
from libs.common.runtime.object_store import open_object_store
from libs.common.runtime.settings import CommonSettings, load
from services.clipper.doctor import PATIENT as CLIPPER
from services.janitor.doctor import PATIENT as JANITOR
from tests.deploy.database import production_database
from tests.own_database import own_database
from tests.runtime.own_nats import connected_bus, own_nats
from tools.doctor import PATIENTS
from tools.setup import ROOT

Environ = Mapping[str, str]
SECRET = "hunter2-and-more"


@pytest.fixture(scope="module")
async def environ(servers: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[dict[str, str]]:
    """A local stack's, set up: servers, schema, streams, buckets."""
    home = tmp_path_factory.mktemp("doctor")
    async with own_nats(servers, home / "nats") as own, own_database(servers["DATABASE_URL"]) as database:
        variables = {**own.variables, "DATABASE_URL": database, "SCRATCH_DIR": str(home / "scratch"), "API_SECRET": "s" * 32}
        await bootstrap(load(CommonSettings, variables))
        yield variables


async def found_in(environ: Environ, *patients) -> list[Finding]:
    return await examined_services(patients or (JANITOR,), environ, lock="dev")


def wrong(found: list[Finding]) -> list[tuple[str, str, str]]:
    return [(finding.topic, finding.name, finding.seen) for finding in found if finding.state in {"warning", "failed"}]


def replaced(url: str, **parts: str) -> str:
    found = urlsplit(url)
    user, password, place = parts.get("user", found.username), parts.get("password", found.password), f"{found.hostname}:{found.port}"
    return found._replace(netloc=f"{user}:{password}@{place}", path=parts.get("path", found.path)).geturl()


async def keys_in_buckets(environ: Environ) -> set[str]:
    async with open_object_store(load(CommonSettings, environ)) as objects:
        return {found.key for bucket in (objects.sources, objects.results) async for found in bucket.list("")}


async def test_all_is_well_on_the_local_stack_and_nothing_is_left_there(environ: dict[str, str]):
    before = await keys_in_buckets(environ)
    found = await found_in(environ, *PATIENTS)
    assert wrong(found) == []
    assert {finding.topic for finding in found} >= {"settings", "database", "messages", "storage", "machine", "api", "clipper", "asr"}
    assert {finding.name for finding in found if finding.state == "skipped"} == {"writes", "yt-dlp", "JavaScript"}
    assert await keys_in_buckets(environ) == before
    async with connected_bus(environ["NATS_URL"]) as bus:
        assert [(await bus.js.stream_info(name)).state.last_seq for name in ("CLIPS", "DLQ")] == [0, 0]


BROKEN_SETTINGS = [
    ({"DATABASE_URL": ""}, [("janitor", "DATABASE_URL is required")]),
    ({"NATS_URL": "", "LOG_LEVEL": "loud"}, [("janitor", "NATS_URL is required"), ("janitor", "LOG_LEVEL: Invalid enum value 'loud'")]),
    ({"MAX_CLIP_SECOND": "9"}, [("misspelt", "MAX_CLIP_SECOND is no variable of ours, so it does nothing")]),
    ({"KEEP_FAILED": "true", "ENVIRONMENT": "production"}, [("production", "KEEP_FAILED is on: scratch folders stay for ever")]),
]


@pytest.mark.parametrize(("change", "expected"), BROKEN_SETTINGS, ids=["required", "two at once", "misspelt", "production"])
async def test_what_is_wrong_with_the_settings_is_told_at_once(environ: dict[str, str], change: Environ, expected: list[tuple[str, str]]):
    found = await examined_services([JANITOR], {**environ, **change}, lock="dev", servers=False)
    assert [(finding.name, finding.seen) for finding in found if finding.topic == "settings" and finding.advice] == expected


async def test_a_database_that_refuses_us_says_why(environ: dict[str, str]):
    url = environ["DATABASE_URL"]
    for broken, seen in (
        (replaced(url, password=SECRET), "the password is wrong"),
        (replaced(url, path="/nowhere"), "there is no such database"),
        ("postgresql://a:b@127.0.0.1:9/c", "it can't be reached"),
    ):
        found = await found_in({**environ, "DATABASE_URL": broken})
        assert wrong(found) == [("database", "reachable", seen)]
        assert [finding.state for finding in found if finding.topic == "database"] == ["failed", *["skipped"] * 7]
        assert "DATABASE_URL" in next(finding.advice for finding in found if finding.state == "failed")
        assert SECRET not in str(found)


async def test_a_migration_that_is_not_applied_or_not_known_is_named(environ: dict[str, str], servers: dict[str, str]):
    async with own_database(servers["DATABASE_URL"]) as url:
        await _done(url, "DELETE FROM schema_migrations WHERE version >= '20261121000010'", "DROP TABLE uploads")
        found = await found_in({**environ, "DATABASE_URL": url})
        [(_, first, migrations), second] = wrong(found)
        assert (first, second) == ("migrations", ("database", "tables", "missing: uploads"))
        assert migrations.endswith("are not applied, from 20261121000010 on")


async def _done(url: str, *statements: str) -> None:
    connection = await asyncpg.connect(url)
    for statement in statements:
        await connection.execute(statement)
    await connection.close()


async def test_a_role_is_held_to_its_grants(environ: dict[str, str], servers: dict[str, str]):
    async with production_database(servers, os.environ, "doctor") as database:
        own = {**environ, "DATABASE_URL": database.url("janitor")}
        assert wrong(await found_in(own)) == []
        await _done(database.superuser, "REVOKE DELETE ON job_events FROM clipstream_janitor")
        assert wrong(await found_in(own)) == [("database", "rights", "this role may not DELETE job_events")]
        owner = {**own, "DATABASE_URL": database.url("migrations"), "ENVIRONMENT": "production"}
        [(_, _, seen)] = [one for one in wrong(await found_in(owner)) if one[:2] == ("database", "rights")]
        assert seen.startswith("this role may also ")


async def test_message_servers_that_refuse_us_say_why(environ: dict[str, str]):
    for broken, seen in (
        (replaced(environ["NATS_URL"], password=SECRET), "it refuses the login"),
        ("nats://127.0.0.1:9", "it can't be reached"),
        (
            environ["NATS_URL"].replace("nats://", "tls://"),
            "NATS_URL says tls, and the server takes none",
        ),
    ):
        found = await found_in({**environ, "NATS_URL": broken})
        assert wrong(found) == [("messages", "reachable", seen)]
        assert SECRET not in str(found)


async def test_a_stream_that_is_missing_and_a_consumer_that_drifted_are_named(
    servers: dict[str, str], environ: dict[str, str], tmp_path: Path
):
    async with own_nats(servers, tmp_path) as own, connected_bus(own.variables["NATS_URL"]) as bus:
        mine = {**environ, "NATS_URL": own.variables["NATS_URL"]}
        await bootstrap(load(CommonSettings, mine))
        await bus.js.delete_stream("DLQ")
        assert wrong(await found_in(mine)) == [
            ("messages", "streams", "stream DLQ is missing: run python -m libs.common.runtime.bootstrap")
        ]
        await bootstrap(load(CommonSettings, mine))
        seen = [seen for _, _, seen in wrong(await found_in({**mine, "QUEUE_MAX_DELIVER": "33"}))]
        assert seen
        assert all("max_deliver is 20, it must be 33" in one for one in seen)


@contextmanager
def restricted(folder: Path) -> Iterator[str]:
    """A NATS server's configuration where one user may do all but say one thing, and another only look."""
    text = f"""
    listen: "127.0.0.1:-1"
    ports_file_dir: "{folder}"
    jetstream {{ store_dir: "{folder}/data" }}
    authorization {{ users: [
      {{ user: all, password: x }}
      {{ user: some, password: x, permissions {{ publish: {{ deny: ["dlq.asr.done"] }} }} }}
    ] }}
    """
    (folder / "nats.conf").write_text(text)
    process = subprocess.Popen(
        [str(Path(sys.executable).parent / "nats-server"), "--config", str(folder / "nats.conf")], stderr=subprocess.DEVNULL
    )
    try:
        yield str(process.pid)
    finally:
        process.terminate()
        process.wait(10)


async def _address(folder: Path) -> str:
    async with asyncio.timeout(40):
        while not (found := list(folder.glob("*.ports"))) or not found[0].read_text():
            await asyncio.sleep(0.02)
    return str(json.loads(found[0].read_text())["nats"][0])


async def test_a_user_that_may_not_say_what_it_must_and_one_that_may_say_too_much(environ: dict[str, str], tmp_path: Path):
    with restricted(tmp_path):
        address = await _address(tmp_path)
        everything = {**environ, "NATS_URL": address.replace("//", "//all:x@")}
        await bootstrap(load(CommonSettings, everything))
        found = await found_in({**environ, "NATS_URL": address.replace("//", "//some:x@")})
        assert wrong(found) == [("messages", "permissions", "this user may not say dlq.asr.done")]
        found = await found_in({**everything, "ENVIRONMENT": "production"}, CLIPPER)
        [seen] = [seen for _, name, seen in wrong(found) if name == "permissions"]
        assert seen.startswith("this user may also say asr.done")


async def test_a_store_that_refuses_us_says_why(environ: dict[str, str]):
    for change, seen in (
        ({"S3_ENDPOINT_URL": "http://127.0.0.1:9"}, "bucket clipstream-sources: the file store can't be reached"),
        ({"S3_RESULTS_BUCKET": "nowhere"}, "bucket nowhere: there is no such bucket"),
        ({"S3_SECRET_ACCESS_KEY": SECRET}, "bucket clipstream-sources: the secret is wrong"),
    ):
        found = await found_in({**environ, **change, "STORAGE_UPLOAD_ATTEMPTS": "1"})
        assert wrong(found) == [("storage", "reachable", seen)]
        assert SECRET not in str(found)


async def test_an_address_that_clients_can_t_reach_is_told(environ: dict[str, str]):
    found = await found_in({**environ, "S3_PUBLIC_ENDPOINT_URL": "http://127.0.0.1:9"})
    [address] = [finding for finding in found if finding.state in {"warning", "failed"}]
    assert (address.name, address.state) == ("signed addresses", "warning")
    assert next(finding.state for finding in found if finding.name == "browsers") == "skipped"


async def test_scratch_without_room_or_leave_to_write_is_told(environ: dict[str, str], tmp_path: Path):
    (tmp_path / "large").write_bytes(b"x" * (2 << 20))
    change = {"SCRATCH_DIR": str(tmp_path), "SCRATCH_MAX_MB": "1"}
    found = await examined_services([JANITOR], {**environ, **change}, lock="dev", servers=False)
    [(topic, name, seen)] = wrong(found)
    assert (topic, name, "2 used: no work is taken" in seen) == ("machine", "scratch", True)
    for folder in ("/proc/nowhere", str(tmp_path / "large"), str(tmp_path / "large" / "below")):
        found = await examined_services([JANITOR], {**environ, "SCRATCH_DIR": folder}, lock="dev", servers=False)
        assert [one[:2] for one in wrong(found)] == [("machine", "scratch")]


async def test_a_service_alone_reports_by_its_exit_code_with_a_clean_stdout(environ: dict[str, str]):
    for change, code in (({}, 0), ({"NATS_URL": "nats://127.0.0.1:9"}, 1)):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "services.janitor.doctor", "--json"),
            cwd=ROOT,
            env={**os.environ, **environ, **change},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        out, err = await process.communicate()
        told = json.loads(out)
        assert (process.returncode, err, told["counts"]["failed"]) == (code, b"", code)
