"""Whole jobs through the five services in production mode: each with its own NATS user and Postgres role, on three NATS servers."""

import asyncio
import json
import os
import re
import shlex
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import nats
import pytest

from libs.common.runtime.embedded_home import PortClaims
from tests.asr.recordings import BECKETT
from tests.deploy.database import ROOT, SERVICES, Database, production_database
from tests.deploy.message_servers import MessageServers, production_nats
from tests.e2e.test_subtitles import filmed
from tests.uploading import submitted
from tools.local_stack import Plan, service_environ
from tools.supervisor import Service, parse_procfile, supervised

pytestmark = pytest.mark.timeout(300)
APART = ("resolver", "clipper", "asr")
ROUNDS = 3
LEASES = 5 * ROUNDS
"""More than the janitor's sweeps that run alone, so that each has run."""
SWEEPS = ("RECONCILE_EVERY_SEC", "ADVISORIES_EVERY_SEC", "QUEUE_METRICS_EVERY_SEC", "RETENTION_EVERY_SEC")


@dataclass(frozen=True)
class Production:
    http: aiohttp.ClientSession
    database: Database
    messages: MessageServers
    log: Path
    janitor: str

    async def count(self, operation: str) -> int:
        """Calls that the janitor has made to what it depends on."""
        async with aiohttp.ClientSession() as http, http.get(f"{self.janitor}/metrics") as answer:
            counted = re.findall(rf'clip_dependency_seconds_count{{.*operation="{operation}".*}} (\S+)', await answer.text())
        return int(sum(map(float, counted)))

    async def submit(self, file: Path, **fields: Any) -> str:
        return await submitted(self.http, file, **fields)

    async def until(self, job_id: str, *statuses: str) -> dict[str, Any]:
        async with asyncio.timeout(120):
            while True:
                async with self.http.get(f"/api/jobs/{job_id}") as answer:
                    body: dict[str, Any] = await answer.json()
                if body["job"]["status"] in statuses:
                    return body
                assert body["job"]["status"] in {"queued", "processing"}, f"{body}\n{self.log.read_text()[-3000:]}"
                await asyncio.sleep(0.1)

    async def publishes_by_hand(self, seq: int) -> None:
        """As the operator with the `nats` command: the letter's body where it came from, without an id."""
        client = await nats.connect(self.messages.url("operator").split(","), tls=self.messages.trust)
        letter = await client.jetstream().get_msg("DLQ", seq)
        await client.jetstream().publish(str(letter.subject).removeprefix("dlq."), letter.data or b"")
        await client.close()

    async def asks(self, user: str, subject: str, **request: Any) -> dict[str, Any]:
        client = await nats.connect(self.messages.url(user).split(","), tls=self.messages.trust, inbox_prefix=f"_INBOX_{user}")
        try:
            answer = await client.request(subject, json.dumps(request).encode(), timeout=10)
        finally:
            await client.close()
        told: dict[str, Any] = json.loads(answer.data)
        return told


def environ_of(service: str, database: Database, messages: MessageServers, common: Mapping[str, str], port: int) -> dict[str, str]:
    """What docs/security.md tells the operator to set for this service."""
    prefix = {"NATS_API_PREFIX": "CLIPSTREAM.API"} if service in APART else {}
    listens = {"PORT": str(port)} if service == "api" else {"HEALTH_PORT": str(port)}
    return {**common, "DATABASE_URL": database.url(service), "NATS_URL": messages.url(service), **prefix, **listens}


@pytest.fixture(scope="module")
async def production(servers: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Production]:
    home = tmp_path_factory.mktemp("production")
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(production_database(servers, os.environ, "production"))
        messages = await stack.enter_async_context(production_nats(home))
        claims = PortClaims()
        stack.callback(claims.close)
        ports = {service: claims.claim_any() for service in SERVICES}
        common = common_environ(home, servers, messages)
        await bootstrapped({**common, "DATABASE_URL": database.url("api"), "NATS_URL": messages.url("operator")})
        commands = parse_procfile((ROOT / "Procfile").read_text())
        services = [Service(name, commands[name], environ_of(name, database, messages, common, ports[name])) for name in SERVICES]
        log = stack.enter_context((home / "services.log").open("w", buffering=1))
        await stack.enter_async_context(supervised(services, lambda name, line: print(f"{name}: {line}", file=log)))
        http = await stack.enter_async_context(aiohttp.ClientSession(f"http://127.0.0.1:{ports['api']}"))
        for port in ports.values():
            await until_ready(port, home / "services.log", path="/readyz")
        yield Production(http, database, messages, home / "services.log", f"http://127.0.0.1:{ports['janitor']}")


def common_environ(home: Path, servers: Mapping[str, str], messages: MessageServers) -> dict[str, str]:
    (home / "scratch").mkdir()
    s3 = {name: value for name, value in servers.items() if name.startswith("S3_")}
    own = {
        "ENVIRONMENT": "production",
        "STREAM_REPLICAS": "3",
        "NATS_MONITOR_URLS": ",".join(messages.monitors),
        "SSL_CERT_FILE": str(messages.certificate),
        "RATE_LIMIT_MAX": "0",
        **dict.fromkeys(SWEEPS, "1"),
    }
    return {**service_environ(Plan(home, os.environ), s3), **own}


async def bootstrapped(environ: Mapping[str, str]) -> None:
    process = await asyncio.create_subprocess_exec(*shlex.split("python -m libs.common.runtime.bootstrap"), cwd=ROOT, env=environ)
    assert await process.wait() == 0


async def until_ready(port: int, log: Path, *, path: str) -> None:
    async with aiohttp.ClientSession() as http:
        try:
            async with asyncio.timeout(60):
                while not await _answers(http, f"http://127.0.0.1:{port}{path}"):
                    await asyncio.sleep(0.1)
        except TimeoutError:
            raise AssertionError(f"not ready:\n{log.read_text()[-5000:]}") from None


async def _answers(http: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with http.get(url) as answer:
            return answer.status == 200
    except aiohttp.ClientError:
        return False


async def test_a_job_with_burned_subtitles_goes_through_all_stages(production: Production, tmp_path: Path):
    film = filmed(BECKETT, tmp_path / "film.mp4")
    job_id = await production.submit(film, start=0, end=9, withSubtitles=True, burnSubtitles=True, subtitleLang="en")
    done = await production.until(job_id, "done")
    assert done["job"].get("warnings", []) == []
    async with production.http.get(f"/api/jobs/{job_id}/result") as answer:
        assert {"video", "srt", "burnedVideo"} <= (await answer.json())["result"].keys()


async def test_a_dead_letter_is_replayed_by_the_api_s_user_and_by_the_operator_s_hand(production: Production, tmp_path: Path):
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(filmed(BECKETT, tmp_path / "film.mp4").read_bytes()[:2000])
    job_id = await production.submit(broken, start=0, end=2)
    await production.until(job_id, "failed")
    [letter] = await letters_of(production, job_id)
    replayed = await production.asks("api", "clipstream.dlq.replay", seq=letter["seq"])
    assert [each["run"] for each in replayed["replayed"]] == [2]
    again = await letter_after(production, job_id, letter["seq"])
    await production.publishes_by_hand(again["seq"])
    last = await letter_after(production, job_id, again["seq"])
    assert (await production.asks("operator", "clipstream.dlq.discard", seq=last["seq"]))["discarded"]


async def letter_after(production: Production, job_id: str, seq: int) -> dict[str, Any]:
    async with asyncio.timeout(60):
        while not (found := [letter for letter in await letters_of(production, job_id) if letter["seq"] > seq]):
            await asyncio.sleep(0.1)
    return found[0]


async def letters_of(production: Production, job_id: str) -> list[dict[str, Any]]:
    letters: list[dict[str, Any]] = (await production.asks("api", "clipstream.dlq.list", jobId=job_id))["letters"]
    return letters


async def test_the_api_asks_the_resolver_what_a_source_holds(production: Production):
    answer = await production.asks("api", "clipstream.sources.probe", source={"uploadKey": "uploads/none.mp4"})
    assert answer["type"] in {"failed", "answer"} or answer.get("refusal")


async def test_nothing_that_a_service_needs_was_refused(production: Production):
    """After the jobs above, and sweeps of the janitor every second."""
    async with asyncio.timeout(90):
        while await production.count("take") < LEASES or await production.count("consumers_info") < ROUNDS:
            await asyncio.sleep(0.1)
    log = production.log.read_text()
    refused = [line for line in log.splitlines() if "permission" in line.lower() or "complains" in line or "task broke" in line]
    assert refused == []


async def test_the_roles_of_the_services_held(production: Production):
    async with production.database.connected("clipper") as clipper:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await clipper.execute("DELETE FROM job_events")
