"""What holds in production mode, however the services are run: each with its own NATS user and Postgres role, on three NATS servers."""

import asyncio
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import nats
import pytest

from tests.asr.recordings import BECKETT
from tests.deploy.database import Database
from tests.deploy.message_servers import MessageServers
from tests.e2e.test_subtitles import filmed
from tests.uploading import submitted

ROUNDS = 3
LEASES = 5 * ROUNDS
"""More than the janitor's sweeps that run alone, so that each has run."""
SWEEPS = dict.fromkeys(("RECONCILE_EVERY_SEC", "ADVISORIES_EVERY_SEC", "QUEUE_METRICS_EVERY_SEC", "RETENTION_EVERY_SEC"), "1")
"""What the services are run with, so that they come soon."""


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


async def letter_after(production: Production, job_id: str, seq: int) -> dict[str, Any]:
    async with asyncio.timeout(60):
        while not (found := [letter for letter in await letters_of(production, job_id) if letter["seq"] > seq]):
            await asyncio.sleep(0.1)
    return found[0]


async def letters_of(production: Production, job_id: str) -> list[dict[str, Any]]:
    letters: list[dict[str, Any]] = (await production.asks("api", "clipstream.dlq.list", jobId=job_id))["letters"]
    return letters


class WholeJobs:
    """Tests, in their order, of a fixture `production`."""

    async def test_a_job_with_burned_subtitles_goes_through_all_stages(self, production: Production, tmp_path: Path):
        film = filmed(BECKETT, tmp_path / "film.mp4")
        job_id = await production.submit(film, start=0, end=9, withSubtitles=True, burnSubtitles=True, subtitleLang="en")
        done = await production.until(job_id, "done")
        assert done["job"].get("warnings", []) == []
        async with production.http.get(f"/api/jobs/{job_id}/result") as answer:
            assert {"video", "srt", "burnedVideo"} <= (await answer.json())["result"].keys()

    async def test_a_dead_letter_is_replayed_by_the_api_s_user_and_by_the_operator_s_hand(self, production: Production, tmp_path: Path):
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

    async def test_the_api_asks_the_resolver_what_a_source_holds(self, production: Production):
        answer = await production.asks("api", "clipstream.sources.probe", source={"uploadKey": "uploads/none.mp4"})
        assert answer["type"] in {"failed", "answer"} or answer.get("refusal")

    async def test_nothing_that_a_service_needs_was_refused(self, production: Production):
        """After the jobs above, and sweeps of the janitor every second."""
        async with asyncio.timeout(90):
            while await production.count("take") < LEASES or await production.count("consumers_info") < ROUNDS:
                await asyncio.sleep(0.1)
        log = production.log.read_text()
        refused = [line for line in log.splitlines() if "permission" in line.lower() or "complains" in line or "task broke" in line]
        assert refused == []

    async def test_the_roles_of_the_services_held(self, production: Production):
        async with production.database.connected("clipper") as clipper:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await clipper.execute("DELETE FROM job_events")
