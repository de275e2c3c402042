"""Secrets are planted in every setting and every input, things go well and badly, and then nothing that anybody may read holds one."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import aiohttp
import pytest

from libs.common.runtime.embedded import LocalServers, embedded_servers
from libs.common.runtime.embedded_home import write_private
from tests.asr.fake_groq import WORDS, FakeGroq, fake_groq
from tests.e2e.planted import Caller, Garden, rude_receiver, see_database, see_files, see_messages, watched_processes
from tests.resolver.visiting import allowing
from tests.sites.films import short_film
from tests.sites.packagings import packaged
from tests.sites.site import Site
from tests.whole_stack import OPEN, System, running
from tools.local_stack import Plan
from tools.setup import ROOT

pytestmark = pytest.mark.timeout(300)

SERVERS = ("postgres_password", "nats_password", "s3_access_key_id", "s3_secret_access_key")
SOURCE = "it is the address that the source is fetched from"
CALLBACK = "it is the address that the webhook is sent to"
MAY_HOLD = {
    ("API answers", "s3_access_key_id"): "a signed URL names the key that signed it; only the secret key is secret",
    ("the client's files", "subtitle"): "that is what the client asked for",
    ("message bodies", "source_query"): SOURCE,
    ("message bodies", "callback_query"): CALLBACK,
    ("table job_events", "source_query"): SOURCE,
    ("table job_events", "callback_query"): CALLBACK,
    ("table webhook_deliveries", "callback_query"): CALLBACK,
    ("table idempotency_keys", "idempotency_key"): "the table is that of the keys; the client chose it to be known again",
    ("table source_fetches", "subtitle"): "transcripts are kept for a while: the same sound is not paid for twice",
    ("what receivers were sent", "callback_query"): CALLBACK,
    ("what sites were asked", "source_query"): SOURCE,
    ("what the provider was sent", "groq_key"): "it is who the key is for",
}
"""All places that hold a planted value, with the reason. What is not in here is found nowhere."""


@pytest.fixture(scope="module")
async def garden(tmp_path_factory: pytest.TempPathFactory, site: Site, small: Path) -> Garden:
    """After all that happened."""
    garden, home = Garden(), tmp_path_factory.mktemp("planted")
    for folder in ("servers", "stack"):
        (home / folder).mkdir()
    write_private(home / "servers" / "memory.json", json.dumps({name: garden.plant(name) for name in SERVERS}))
    async with fake_groq() as groq, rude_receiver(garden) as receiver, embedded_servers(home / "servers", {}) as servers:
        allowed = allowing(site.port, int(receiver.rpartition(":")[2]))
        own = {
            "LOG_LEVEL": "DEBUG",
            "ENABLE_API_KEYS": "true",
            "API_SECRET": garden.plant("api_secret") * 2,
            "ASR_PROVIDER": "groq",
            "ASR_BASE_URL": groq.url,
            "GROQ_API_KEY": f"gsk_{garden.plant('groq_key')}",
            "RECONCILE_EVERY_SEC": "1",
            "RECONCILE_QUEUED_SEC": "2",
            "QUEUE_RETRY_BACKOFF_MS_BASE": "50",
            "QUEUE_ACK_WAIT_SEC": "6",
        }
        plan = Plan(home / "stack", {**os.environ, **OPEN, **allowed, **servers.variables, **own})
        async with running(plan) as system, watched_processes(garden):
            caller = await with_key(garden, system)
            await Day(garden, system, servers, groq, site, receiver, caller).passes(small)
        see_files(garden, "output of all processes", [system.log])
        garden.saw("what the provider was sent", *(request.authorization for request in groq.requests))
        garden.saw("what sites were asked", *(request.query for request in site.requests))
        await see_database(garden, servers.variables["DATABASE_URL"])
        await see_messages(garden, servers.variables["NATS_URL"])
    see_files(garden, "scratch", (home / "stack" / "scratch").rglob("*"))
    see_files(garden, "output of the local servers", (home / "servers").glob("*/*.log"))
    return garden


async def with_key(garden: Garden, system: System) -> Caller:
    """One that the command line made."""
    scopes = [word for scope in ("admin", "jobs:write", "jobs:read") for word in ("--scope", scope)]
    making = [sys.executable, "-m", "services.api.keys_command", "create", "--name", "test", *scopes]
    made = await asyncio.to_thread(
        subprocess.run, making, env=dict(system.stack.environ), cwd=ROOT, check=True, capture_output=True, text=True
    )
    key = made.stdout.strip()
    garden.secrets["api_key"] = key.split("_", 2)[2]
    garden.saw("output of the keys command", made.stderr)
    return Caller(system.http, garden, {"Authorization": f"Bearer {key}", "Cookie": f"session={garden.plant('cookie')}"})


@dataclass
class Day:
    """Things go well and badly."""

    garden: Garden
    system: System
    servers: LocalServers
    groq: FakeGroq
    site: Site
    receiver: str
    caller: Caller

    async def passes(self, small: Path) -> None:
        self.groq.hears = self.hears
        await self.make_webhook_secret()
        await self.bad_requests()
        jobs = [await self.upload(small, start=1, end=2)]
        self.provider_fails(401)
        jobs.append(await self.upload(small, start=2, end=3, withSubtitles="true"))
        jobs += await self.by_url()
        await self.direct_upload(small)
        await self.away("s3", small)
        self.provider_fails(500)
        last = await self.upload(small, start=3, end=5, withSubtitles="true")
        await self.away("postgres", small)
        os.kill(self.system.pid("clipper"), signal.SIGTERM)
        os.kill(self.system.pid("resolver"), signal.SIGKILL)
        for job_id in (*jobs, last):
            await self.caller.ended(job_id)
        await self.see_result(last)
        await self.operate(jobs[0])

    async def hears(self, _: object) -> Mapping[str, Any]:
        word = self.garden.plant("subtitle")
        said = f" {word} there. Good bye."
        first, *others = WORDS["words"]
        return {**WORDS, "text": said, "words": [{**first, "word": word}, *others], "segments": [{**WORDS["segments"][0], "text": said}]}

    def provider_fails(self, status: int) -> None:
        """It says the key in its errors, as providers have done."""
        said = f"Invalid API Key gsk_{self.garden.secrets['groq_key']}"
        self.groq.says(status, {"error": {"message": said, "type": "invalid_request_error", "code": "invalid_api_key"}})

    async def make_webhook_secret(self) -> None:
        made = await self.caller.ask("POST", "/api/webhooks/secrets", keep=False)
        self.garden.secrets["webhook_secret"] = made["secret"]["secret"].removeprefix("whsec_")
        await self.caller.ask("GET", "/api/webhooks/secrets")

    async def bad_requests(self) -> None:
        wrong, ask = self.garden.plant("wrong_key"), self.caller.ask
        for scheme in ("Bearer", "Basic"):
            await ask("GET", "/api/jobs", headers={"Authorization": f"{scheme} {wrong}"})
        await ask("GET", "/api/jobs", headers={"Authorization": "", "X-Api-Key": f"ck_{uuid4()}_{wrong}"})
        await ask("GET", f"/nothing?token={self.garden.plant('query_token')}&X-Amz-Signature={self.garden.plant('query_signature')}")
        await ask(
            "POST", "/api/jobs", data=f'{{"youtubeUrl": "{self.garden.plant("broken_body")}', headers={"Content-Type": "application/json"}
        )
        login = f"user:{self.garden.plant('url_password')}"
        await ask("POST", "/api/jobs", json=self.wish(f"http://{login}@127.0.0.1:{self.site.port}/film.mp4"))
        await ask("POST", "/api/probe", json={"sourceType": "youtube", "youtubeUrl": f"http://{login}@127.0.0.1:{self.site.port}/film.mp4"})
        await ask("POST", "/api/jobs", json=self.wish("http://127.0.0.1/f.mp4", callbackUrl=f"http://{login}@{self.receiver}/hook"))

    def wish(self, url: str, **more: Any) -> dict[str, Any]:
        return {"sourceType": "youtube", "youtubeUrl": url, "start": 8.4, "end": 10.4, **more}

    @property
    def callback(self) -> str:
        return f"http://{self.receiver}/hook?token={self.garden.plant('callback_query')}"

    async def upload(self, file: Path, **fields: Any) -> str:
        form = aiohttp.FormData({**{name: str(value) for name, value in fields.items()}, "callbackUrl": self.callback})
        form.add_field("file", file.read_bytes(), filename="small.mp4")
        key = {"Idempotency-Key": self.garden.plant("idempotency_key") + str(fields["start"])}
        return str((await self.caller.ask("POST", "/api/jobs/upload", data=form, headers=key))["job"]["id"])

    async def by_url(self) -> list[str]:
        query = self.garden.plant("source_query")
        film = self.site.file(packaged(short_film(self.site.folder), "faststart"), **{"X-Amz-Signature": query, "expire": "1"})
        urls = [film, *(self.site.url(f"/status/{status}/film", sig=query, token=query) for status in (403, 404, 500))]
        await self.caller.ask("POST", "/api/probe", json={"sourceType": "youtube", "youtubeUrl": urls[1]})
        return [(await self.caller.ask("POST", "/api/jobs", json=self.wish(url, callbackUrl=self.callback)))["job"]["id"] for url in urls]

    async def direct_upload(self, file: Path) -> None:
        """Signed, tried with a wrong signature, and completed too early."""
        signed = await self.caller.ask("POST", "/api/uploads", json={"size": file.stat().st_size, "filename": "a.mp4"}, keep=False)
        url, upload_id = signed["url"], signed["uploadKey"].split("/")[1]
        self.garden.secrets["upload_signature"] = parse_qs(urlsplit(url).query)["X-Amz-Signature"][0]
        async with aiohttp.ClientSession() as http, http.put(f"{url}0", data=b"x") as answer:
            assert answer.status >= 400
        await self.caller.ask("POST", f"/api/uploads/{upload_id}/complete")

    async def away(self, server: str, small: Path) -> None:
        """For a moment, in which the API is asked for what it can't give."""
        await self.servers.started[server].kill()
        try:
            form = aiohttp.FormData({"start": "1", "end": "2"})
            form.add_field("file", small.read_bytes(), filename="small.mp4")
            await self.caller.ask("POST", "/api/jobs/upload", data=form)
            await self.caller.ask("GET", "/readyz")
        finally:
            await self.servers.started[server].start()
        await self.system.until_ready()

    async def see_result(self, job_id: str) -> None:
        result = (await self.caller.ask("GET", f"/api/jobs/{job_id}/result"))["result"]
        async with aiohttp.ClientSession() as http, http.get(result["srt"]["url"]) as answer:
            self.garden.saw("the client's files", await answer.text())

    async def operate(self, job_id: str) -> None:
        for path in ("/api/admin/dlq", "/api/admin/keys", "/api/admin/overview", "/api/jobs", f"/api/jobs/{job_id}/webhooks", "/readyz"):
            await self.caller.ask("GET", path)
        said = [line.partition(": ")[2] for line in self.system.log.read_text().splitlines() if "internal port open" in line]
        for port in {json.loads(line)["port"] for line in said}:
            with suppress(aiohttp.ClientError):  # of a process that was stopped
                async with self.system.http.get(f"http://127.0.0.1:{port}/metrics") as answer:
                    self.garden.saw("metrics", await answer.text())


PLACES = (
    *("API answers", "output of all processes", "metrics", "process arguments", "environments of children", "message headers"),
    *("message bodies", "table job_events", "table webhook_deliveries", "table idempotency_keys", "output of the local servers"),
    *(
        "output of the keys command",
        "what receivers were sent",
        "what sites were asked",
        "what the provider was sent",
        "the client's files",
    ),
)


async def test_a_planted_secret_is_found_only_where_it_must_be(garden: Garden) -> None:
    assert garden.found() == set(MAY_HOLD)


@pytest.mark.parametrize("place", PLACES)
async def test_every_place_was_looked_at(garden: Garden, place: str) -> None:
    assert any(garden.places[place]), place


async def test_whatever_a_process_says_is_a_line_of_json(garden: Garden) -> None:
    said = "\n".join(garden.places["output of all processes"]).splitlines()
    ours = [line.partition(": ")[2] for line in said if "starting it again" not in line and not line.startswith("stack: ")]
    assert [line for line in ours if not line.startswith('{"timestamp":')] == []


async def test_every_line_of_a_stages_work_says_whose_it_is(garden: Garden) -> None:
    lines = [json.loads(line.partition(": ")[2]) for line in garden.places["output of all processes"][0].splitlines() if '{"time' in line]
    at_work = [line for line in lines if line.get("stage") or line["logger"].startswith(("services.clipper", "services.asr"))]
    assert {line["service"] for line in at_work} >= {"resolver", "clipper", "asr"}
    whose = ("jobId", "correlationId", "stage", "worker", "version")
    assert [line for line in at_work if not all(line.get(name) for name in whose)] == []
    begun = [line for line in at_work if line["event"] in {"stage started", "stage answered", "cut", "attempt failed"}]
    assert [line for line in begun if not line["attempt"]] == []
