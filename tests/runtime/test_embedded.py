"""The local servers, used as the services use them: real clients, real kill -9."""

# ruff: noqa: ASYNC220, ASYNC221 - a test may block its loop

import asyncio
import os
import select
import shutil
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import aioboto3
import aiohttp
import asyncpg
import nats
import pytest
from botocore.config import Config

from libs.common.runtime import embedded_postgres
from libs.common.runtime.embedded import HomeInUse, LocalServers, ServerFailed, embedded_servers, local_servers

ROOT = Path(__file__).resolve().parents[2]
NOTHING: dict[str, str] = {}
NOBODY = 65534


def s3_client(variables: dict[str, str]) -> AbstractAsyncContextManager[Any]:
    return aioboto3.Session().client(
        "s3",
        endpoint_url=variables["S3_ENDPOINT_URL"],
        aws_access_key_id=variables["S3_ACCESS_KEY_ID"],
        aws_secret_access_key=variables["S3_SECRET_ACCESS_KEY"],
        region_name="us-east-1",
        config=Config(s3={"addressing_style": "path"}, signature_version="s3v4", request_checksum_calculation="when_required"),
    )


async def use_postgres(variables: dict[str, str]) -> None:
    connection = await asyncpg.connect(variables["DATABASE_URL"])
    await connection.execute("create table fact (what text); insert into fact values ('kept')")
    await connection.close()


async def use_nats(variables: dict[str, str]) -> None:
    client = await nats.connect(variables["NATS_URL"])
    await client.jetstream().add_stream(name="KEPT", subjects=["kept.>"])
    acknowledged = await client.jetstream().publish("kept.one", b"kept")
    await client.close()
    assert acknowledged.seq == 1


async def use_s3(variables: dict[str, str]) -> None:
    async with s3_client(variables) as client:
        await client.create_bucket(Bucket="kept")
        await client.put_object(Bucket="kept", Key="a/b.bin", Body=b"0123456789")


async def use_all(variables: dict[str, str]) -> None:
    await asyncio.gather(use_postgres(variables), use_nats(variables), use_s3(variables))


async def check_all(variables: dict[str, str]) -> None:
    connection = await asyncpg.connect(variables["DATABASE_URL"])
    assert await connection.fetchval("select what from fact") == "kept"
    await connection.close()
    client = await nats.connect(variables["NATS_URL"])
    assert (await client.jetstream().get_msg("KEPT", 1)).data == b"kept"
    await client.close()
    async with s3_client(variables) as s3:
        answer = await s3.get_object(Bucket="kept", Key="a/b.bin")
        assert await answer["Body"].read() == b"0123456789"


def pids(servers: LocalServers) -> list[int]:
    return [server.pid for server in servers.started.values()]


def wait_for_end(process_ids: list[int], seconds: float = 15) -> None:
    for descriptor in [os.pidfd_open(pid) for pid in process_ids if Path(f"/proc/{pid}").exists()]:
        ended, _, _ = select.select([descriptor], [], [], seconds)
        os.close(descriptor)
        assert ended, "a server outlived its parent"


@pytest.fixture(scope="module")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LocalServers]:
    """All three, with something in them. Whoever ends one starts it again before the test ends."""
    async with embedded_servers(tmp_path_factory.mktemp("stack"), NOTHING) as servers:
        await use_all(servers.variables)
        yield servers


async def test_all_three_start_from_nothing_and_serve(stack: LocalServers) -> None:
    await check_all(stack.variables)


async def test_a_presigned_url_answers_a_range(tmp_path: Path) -> None:
    configured = {"DATABASE_URL": "postgresql://elsewhere", "NATS_URL": "nats://elsewhere"}
    async with local_servers(tmp_path, configured) as variables, s3_client(variables) as client, aiohttp.ClientSession() as http:
        await use_s3(variables)
        url = await client.generate_presigned_url("get_object", Params={"Bucket": "kept", "Key": "a/b.bin"})
        async with http.get(url, headers={"Range": "bytes=2-4"}) as answer:
            assert await answer.read() == b"234"
            assert answer.headers["Content-Range"] == "bytes 2-4/10"
        async with http.get(url.replace("b.bin", "c.bin")) as answer:
            assert answer.status == 403


@pytest.mark.parametrize("name", ["postgres", "nats", "s3"])
async def test_a_killed_server_comes_back_on_its_port_with_its_data(stack: LocalServers, name: str) -> None:
    killed = stack.started[name].pid
    await stack.started[name].kill()
    await stack.started[name].start()
    assert stack.started[name].pid != killed
    await check_all(stack.variables)


async def test_a_later_stack_finds_data_ports_and_keys(tmp_path: Path) -> None:
    async with local_servers(tmp_path, NOTHING) as first:
        await use_all(first)
    async with local_servers(tmp_path, NOTHING) as second:
        await check_all(second)
    assert first == second


async def test_two_stacks_run_at_once(tmp_path: Path) -> None:
    async with local_servers(tmp_path / "one", NOTHING) as one, local_servers(tmp_path / "two", NOTHING) as two:
        await asyncio.gather(use_all(one), use_all(two))
    assert not set(one.values()) & set(two.values())


async def test_a_second_stack_on_one_folder_is_refused(stack: LocalServers) -> None:
    with pytest.raises(HomeInUse, match=f"process {os.getpid()}.*CLIPSTREAM_HOME"):
        await local_servers(stack.postgres.program.folder.parent, NOTHING).__aenter__()
    await check_all(stack.variables)


async def test_what_is_configured_is_not_started(tmp_path: Path) -> None:
    configured = {
        "DATABASE_URL": "postgresql://db.example/clips",
        "NATS_URL": "nats://nats.example",
        "S3_ENDPOINT_URL": "https://s3.example",
        "S3_ACCESS_KEY_ID": "theirs",
        "HOME": "/home/me",
    }
    async with embedded_servers(tmp_path, configured) as servers:
        assert servers.started == {}
        assert servers.variables == {name: value for name, value in configured.items() if name != "HOME"}


async def test_an_empty_variable_is_not_configured(tmp_path: Path) -> None:
    configured = {"DATABASE_URL": "", "NATS_URL": "nats://nats.example", "S3_ENDPOINT_URL": "https://s3.example"}
    async with embedded_servers(tmp_path, configured) as servers:
        assert list(servers.started) == ["postgres"]


HOLD_SERVERS = """
import asyncio, sys
from pathlib import Path
from libs.common.runtime.embedded import embedded_servers

async def main():
    async with embedded_servers(Path(sys.argv[1]), {}) as servers:
        print(*[server.pid for server in servers.started.values()], flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


async def test_a_killed_parent_leaves_no_server_and_a_folder_that_heals(tmp_path: Path) -> None:
    parent = subprocess.Popen([sys.executable, "-c", HOLD_SERVERS, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    servers = [int(pid) for pid in parent.stdout.readline().split()]
    parent.kill()
    parent.wait()
    # At once, while the orphans still end: the next stack waits for them.
    async with local_servers(tmp_path, NOTHING) as variables:
        await use_all(variables)
    wait_for_end(servers)
    assert len(servers) == 3
    parent.stdout.close()


async def test_a_stale_pid_file_does_not_stop_postgres(stack: LocalServers) -> None:
    await stack.postgres.kill()
    # The number of the dead server is another program's by now.
    pid_file = stack.postgres.program.folder / "data" / "postmaster.pid"
    pid_file.write_text(f"{os.getpid()}\n" + "".join(pid_file.read_text().splitlines(keepends=True)[1:]))
    await stack.postgres.start()
    await check_all(stack.variables)


async def test_an_aborted_initialisation_is_done_again(tmp_path: Path) -> None:
    half_made = tmp_path / "postgres" / "data.new"
    half_made.mkdir(parents=True)
    (half_made / "PG_VERSION").write_text("18\n")
    async with local_servers(tmp_path, NOTHING) as variables:
        await use_postgres(variables)


async def test_a_start_cut_short_leaves_no_process(tmp_path: Path) -> None:
    start = asyncio.create_task(local_servers(tmp_path, NOTHING).__aenter__())
    while not (tmp_path / "postgres" / "data.new" / "PG_VERSION").exists():
        await asyncio.sleep(0.001)
    start.cancel()
    with pytest.raises(asyncio.CancelledError):
        await start
    async with asyncio.timeout(20), local_servers(tmp_path, NOTHING) as variables:
        await use_postgres(variables)


async def test_a_server_that_fails_says_so_with_its_log(stack: LocalServers) -> None:
    await stack.postgres.stop()
    configuration = stack.postgres.program.folder / "data" / "postgresql.conf"
    good = configuration.read_text()
    configuration.write_text(f"{good}no_such_setting = 1\n")
    with pytest.raises(ServerFailed, match=r"(?s)postgres server ended at its start.*no_such_setting"):
        await stack.postgres.start()
    configuration.write_text(good)
    await stack.postgres.start()


async def test_secrets_are_private_and_not_in_the_process_list(stack: LocalServers) -> None:
    commands = " ".join(Path(f"/proc/{pid}/cmdline").read_text() for pid in pids(stack))
    for name in ("nats_password", "postgres_password", "s3_access_key_id", "s3_secret_access_key"):
        assert stack.memory.secret(name) not in commands
    for file in ("memory.json", "nats/nats.conf"):
        assert stat.S_IMODE((stack.postgres.program.folder.parent / file).stat().st_mode) == 0o600


async def test_strangers_are_not_let_in(stack: LocalServers) -> None:
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(stack.variables["DATABASE_URL"], password="guess")
    with pytest.raises(nats.errors.Error):
        await nats.connect(stack.variables["NATS_URL"].split("@")[1], allow_reconnect=False, error_cb=_quietly)


async def _quietly(_: Exception) -> None:
    pass


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
async def test_it_runs_without_root() -> None:
    home = Path(f"/tmp/clipstream-{os.getpid()}")  # noqa: S108 - pytest's own folders are closed to nobody
    home.mkdir()
    os.chown(home, NOBODY, NOBODY)
    # The interpreter itself may lie where nobody may not look, so it is left behind only once it is loaded.
    as_nobody = f"import os, encodings.idna; os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY})\n"
    code = HOLD_SERVERS.replace("async def main", as_nobody + "async def main").replace("await asyncio.Event().wait()", "pass")
    try:
        outcome = subprocess.run([sys.executable, "-c", code, str(home)], cwd=ROOT, capture_output=True, text=True, check=False)
    finally:
        shutil.rmtree(home)
    assert len(outcome.stdout.split()) == 3, outcome.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="without root, folders are closed to nobody only")
async def test_root_may_keep_its_state_where_nobody_may_look(tmp_path: Path) -> None:
    closed = tmp_path / "closed" / "deeper"
    closed.mkdir(parents=True)
    (tmp_path / "closed").chmod(0o700)
    async with embedded_servers(closed, NOTHING) as servers:
        await use_postgres(servers.variables)
        assert Path(f"/proc/{servers.postgres.pid}").stat().st_uid == NOBODY
        await servers.postgres.kill()
        await servers.postgres.start()


@pytest.mark.skipif(os.geteuid() != 0, reason="the same")
async def test_root_may_keep_the_programs_where_nobody_may_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    closed, packages = tmp_path / "closed", (programs := embedded_postgres._bin()).parents[2]
    closed.mkdir(mode=0o700)
    for name in ("embedded_postgres", "embedded_postgres.libs"):
        shutil.copytree(packages / name, closed / name)
    monkeypatch.setattr(embedded_postgres, "_bin", lambda: closed / programs.relative_to(packages))
    async with embedded_servers(tmp_path / "home", NOTHING) as servers:
        await use_postgres(servers.variables)
        assert Path(f"/proc/{servers.postgres.pid}/exe").readlink().is_relative_to(closed)


async def test_leaving_stops_every_process_and_no_file_is_open_or_left_elsewhere(tmp_path: Path) -> None:
    shared = ("/tmp", "/dev/shm", "/run/postgresql", str(Path.home() / ".cache"))  # noqa: S108 - it is they that are watched
    before = {path for folder in shared for path in Path(folder).glob("*")}
    async with embedded_servers(tmp_path, NOTHING) as servers:
        await use_all(servers.variables)
        started = pids(servers)
        links = [link for pid in started for link in Path(f"/proc/{pid}/fd").iterdir()]
        opened = {target for link in links if (target := link.readlink()).is_file()}
    assert not [pid for pid in started if Path(f"/proc/{pid}").exists()]
    assert [path for path in opened if not path.is_relative_to(tmp_path) and not path.is_relative_to("/sys")] == []
    left = {path for folder in shared for path in Path(folder).glob("*")} - before
    assert [path for path in left if any(word in path.name.lower() for word in ("rclone", "postgres", "pgsql", "nats"))] == []
