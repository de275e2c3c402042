"""`clipstream doctor` as it is typed: all is well beside the local stack, and what is broken is found, with what to do."""

import json
import ssl
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from clipstream.cli.asking import clock_seen, identity_seen, readiness_seen
from clipstream.cli.connecting import certificate_seen
from clipstream.cli.findings import Look, Seen, examined, ok
from libs.common.runtime.service import connections
from libs.common.runtime.settings import Secret, load
from services.api.caller import Scope
from services.api.key_store import KeyStore, KeyWish
from services.api.keys import Pepper
from services.api.server import serving as serving_api
from services.api.settings import ApiSettings
from tests.clients.cli.typing_in import Said, Shell, environ_of
from tests.clients.client.servers import says, serving
from tests.own_database import own_database
from tests.whole_stack import ACK_WAIT, System

SECRET = "s" * 32
IDENTITY = {"info": {"title": "Clipstream", "version": "1.0.0"}}
READY = {"status": "ready", "dependencies": {"postgres": {"up": True, "latencyMs": 1}}}


@pytest.fixture
def alone(tmp_path: Path) -> Shell:
    """A computer with nothing set up."""
    folder = tmp_path / "folder"
    folder.mkdir()
    return Shell(folder, environ_of(tmp_path, CLIPSTREAM_HOME=str(tmp_path / "stack")))


def wrong(said: Said) -> list[tuple[str, str, str]]:
    """(name, what was seen, what to do) of all that failed or is a warning."""
    found = json.loads(said.out)["findings"]
    return [(one["name"], one["seen"], one["advice"]) for one in found if one["state"] in {"warning", "failed"}]


def named(said: Said) -> dict[tuple[str, str], dict[str, str]]:
    return {(one["topic"], one["name"]): one for one in json.loads(said.out)["findings"]}


async def test_beside_the_local_stack_all_is_looked_at(alone: Shell, system: System):
    home = system.log.parent
    said = await alone.run("doctor", "--json", CLIPSTREAM_HOME=str(home), QUEUE_ACK_WAIT_SEC=str(ACK_WAIT))
    assert (said.code, wrong(said)) == (0, []), said
    found = named(said)
    assert found["server", "address"]["seen"] == f"{system.stack.url} (the local stack)"
    assert found["server", "uploads"]["seen"].startswith("files go to http://127.0.0.1:")
    assert {topic for topic, _ in found} >= {"this computer", "server", "settings", "database", "messages", "storage", "clipper"}
    assert "dead letters" in {name for _, name in found}


async def test_a_server_elsewhere_is_looked_at_from_outside_alone(shell: Shell):
    said = await shell.run("doctor", "--json")
    assert (said.code, wrong(said)) == (0, [])
    assert {topic for topic, _ in named(said)} == {"this computer", "server", "checkout"}
    assert named(said)["checkout", "services"]["state"] == "skipped"


async def test_nothing_named_and_nothing_running_is_told_with_the_way_out(alone: Shell):
    said = await alone.run("doctor", "--quiet")
    assert said.code == 1
    assert "no server is named, and none runs here" in said.out
    assert "clipstream up starts one here" in said.out
    assert "ok    client" not in said.out


@pytest.mark.parametrize(
    ("address", "name", "seen"),
    [
        ("http://127.0.0.1:9", "connection", "nobody listens at 127.0.0.1 port 9"),
        ("http://no-such-host.invalid", "name", "no-such-host.invalid is not known"),
        ("ftp://127.0.0.1", "address", "that is no server's address"),
    ],
)
async def test_a_server_that_can_t_be_reached_is_told_where_the_way_ends(alone: Shell, address: str, name: str, seen: str):
    said = await alone.run("doctor", "--json", "--server", address)
    [(found_name, found_seen, advice)] = wrong(said)
    assert (said.code, found_name, found_seen, bool(advice)) == (1, name, seen, True)


async def test_something_else_at_the_address_is_no_clipstream(alone: Shell):
    async with serving(healthz=says({"hello": 1})) as other:
        said = await alone.run("doctor", "--json", "--server", other.url)
    assert [one[:2] for one in wrong(said)] == [("Clipstream", "something else answers there")]


@pytest.mark.parametrize(("off", "state"), [(-1200, "failed"), (60, "warning")])
async def test_a_clock_that_is_off_is_told(alone: Shell, off: int, state: str):
    date = formatdate(time.time() + off, usegmt=True)
    paths = {
        "schema_openapi.json": says(IDENTITY),
        "readyz": says(READY),
        "healthz": says({"status": "alive"}, Date=date),
        "api_jobs": says({}),
    }
    async with serving(**paths) as told:
        said = await alone.run("doctor", "--json", "--server", told.url)
    clock = named(said)["server", "clock"]
    assert (clock["state"], "NTP" in clock["advice"]) == (state, True)
    assert int(clock["seen"].split()[0]) == pytest.approx(abs(off), abs=5)


AUTHORITY = """
[ca]
default_ca = own
[own]
database = index.txt
new_certs_dir = .
rand_serial = yes
default_md = sha256
policy = any
x509_extensions = own_extensions
[any]
commonName = supplied
[own_extensions]
subjectAltName = IP:127.0.0.1
basicConstraints = CA:TRUE
"""


def certified(folder: Path, ends: datetime) -> Path:
    """A certificate that is its own authority; `openssl req` can't make one that has expired."""
    (folder / "ca.conf").write_text(AUTHORITY)
    (folder / "index.txt").touch()
    key = "openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=clips -keyout key.pem -out asked.pem"
    signed = "openssl ca -batch -config ca.conf -selfsign -keyfile key.pem -in asked.pem -out certificate.pem -notext"
    dates = ["-startdate", "20200101000000Z", "-enddate", f"{ends:%Y%m%d%H%M%SZ}"]
    for command in (key.split(), [*signed.split(), *dates]):
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return folder / "certificate.pem"


@asynccontextmanager
async def tls_server(folder: Path, ends: datetime) -> AsyncIterator[tuple[str, Path]]:
    certificate = certified(folder, ends)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, folder / "key.pem")
    runner = web.AppRunner(web.Application(), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    try:
        yield f"https://127.0.0.1:{runner.addresses[0][1]}", certificate
    finally:
        await runner.cleanup()


async def test_a_certificate_is_looked_at(alone: Shell, tmp_path: Path):
    async with tls_server(tmp_path, datetime.now(UTC) + timedelta(days=3.1)) as (url, authority):
        untrusted = await alone.run("doctor", "--json", "--server", url)
        trusted = await alone.run("doctor", "--json", "--server", url, SSL_CERT_FILE=str(authority))
    assert wrong(untrusted)[0][:2] == ("certificate", "its certificate is not trusted")
    assert wrong(trusted)[0][:2] == ("certificate", "good for 3 days more")


async def test_a_certificate_that_has_expired_is_told_apart(alone: Shell, tmp_path: Path):
    async with tls_server(tmp_path, datetime.now(UTC) - timedelta(days=1)) as (url, authority):
        said = await alone.run("doctor", "--json", "--server", url, SSL_CERT_FILE=str(authority))
    assert wrong(said)[0][:2] == ("certificate", "its certificate has expired")


@asynccontextmanager
async def api_with_keys(servers: dict[str, str]) -> AsyncIterator[tuple[str, KeyStore]]:
    async with own_database(servers["DATABASE_URL"]) as database:
        more = {"PORT": "0", "API_SECRET": SECRET, "ENABLE_API_KEYS": "true", "ADMIN_ENABLED": "true", "DATABASE_URL": database}
        settings = load(ApiSettings, {**servers, **more})
        async with connections(settings, "tests") as c:
            await c.objects.ensure_buckets()
            await c.health.until_up()
            async with serving_api(settings, c) as url:
                yield url, KeyStore(c.pool, Pepper(Secret(SECRET)))


async def test_a_key_is_told_by_what_it_may_do_and_is_never_shown(alone: Shell, servers: dict[str, str]):
    async def key(**wish: Any) -> str:
        credentials, _ = await store.create(KeyWish(name="ours", **wish))
        return credentials.written.reveal()

    async def looked_at(key: str) -> dict[str, str]:
        said = await alone.run("doctor", "--json", "--server", url, CLIPSTREAM_API_KEY=key)
        assert not key or key not in said.out + said.err
        return named(said)["server", "key"]

    async with api_with_keys(servers) as (url, store):
        everything = await looked_at(await key(scopes=frozenset(Scope)))
        reader = await looked_at(await key(scopes=frozenset({Scope.READ})))
        expired = await looked_at(await key(scopes=frozenset(Scope), expires_at=datetime.now(UTC) - timedelta(days=1)))
        nothing = await looked_at("")
    assert everything["seen"] == "good, for admin, jobs:read, jobs:write"
    assert reader["seen"] == "good, for jobs:read"
    assert (expired["state"], expired["advice"]) == ("failed", "Whoever runs the server makes keys: clipstream keys create.")
    assert nothing["seen"] == "a key is asked for, and none was given"


async def test_a_configuration_that_can_t_be_read_is_told(alone: Shell, tmp_path: Path):
    (tmp_path / ".config/clipstream").mkdir(parents=True)
    (tmp_path / ".config/clipstream/config.toml").write_text("sever = 'http://x'")
    said = await alone.run("doctor", "--json")
    [(name, seen, _)] = wrong(said)
    assert (said.code, name, "config.toml" in seen) == (1, "configuration", True)


async def test_in_a_terminal_of_eighty_columns_no_line_is_longer(shell: Shell):
    async with shell.typed("doctor", COLUMNS="80") as screen:
        assert await screen.ended() == 0
        text = await screen.until("all is well: ok .*skipped [0-9]+")
    assert text
    assert max(len(line) for line in screen.text.splitlines()) <= 80


def test_judgements_are_told_apart():
    assert [clock_seen(1000 + off, 1000, 1000).state for off in (0, 31, -901)] == ["ok", "warning", "failed"]
    assert [certificate_seen(days * 86_400, 0).state for days in (90, 13)] == ["ok", "warning"]
    assert [identity_seen("Clipstream", "1.9.0").state, identity_seen("Clipstream", "2.0.0").state] == ["ok", "warning"]
    assert identity_seen("Other", "1.0.0").state == "failed"
    up = {"s3": False, "postgres": True}
    assert [readiness_seen(status, told, up).state for status, told in ((200, "degraded"), (503, "unready"))] == ["warning", "failed"]
    assert readiness_seen(200, "degraded", up).text == "degraded: no answer from s3"


def test_a_look_that_hangs_or_breaks_costs_the_others_nothing():
    def hangs() -> Seen:
        time.sleep(5)
        return ok("unreachable")

    looks = [
        Look("hangs", hangs),
        Look("breaks", lambda: ok(str(1 / 0))),
        Look("after", lambda: ok(""), "hangs"),
        Look("good", lambda: ok("good")),
    ]
    begun = time.monotonic()
    found = list(examined("things", looks, longest=0.1))
    assert time.monotonic() - begun < 3
    assert [one.seen for one in found] == [
        "no answer within 0.1 s",
        "the look itself broke: ZeroDivisionError",
        "nothing can be told before “hangs” is right",
        "good",
    ]
