"""The operator's routes of keys, and the command that makes the first one."""

import asyncio
import io
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch
from uuid import UUID

import httpx
import pytest

from services.api import keys_command
from services.api.caller import Scope
from tests.api.conftest import Running
from tests.api.keyed import KEYED, client, keyed, somewhere
from tests.api.test_jobs import code_of
from tests.api.test_process import started

NEW = {"name": "acme's uploader", "scopes": ["jobs:write", "jobs:read"]}


@dataclass(frozen=True)
class Office:
    """The operator's place, with a key in hand."""

    http: httpx.AsyncClient
    api: Running

    async def made(self, **fields: Any) -> dict[str, Any]:
        answer = await self.http.post("/api/admin/keys", json={**NEW, **fields})
        assert answer.status_code == 201, answer.text
        return answer.json()

    async def opens(self, key: str) -> int:
        return (await self.http.get("/api/jobs/x", headers={"authorization": f"Bearer {key}", **somewhere()})).status_code


@pytest.fixture(scope="module")
async def open_office(api: Running) -> AsyncIterator[Office]:
    async with keyed(api) as (http, _):
        yield Office(http, api)


@pytest.fixture
async def office(open_office: Office) -> Office:
    """With a key that nobody has used yet."""
    open_office.http.headers["x-api-key"] = (await client(open_office.api.to.pool, Scope.ADMIN, name="ops")).written
    return open_office


async def test_a_new_key_is_shown_once_and_opens_what_it_may(office: Office) -> None:
    made = await office.made(expiresDays=7, rateLimit=5, maxActiveJobs=2)
    told = made["key"]
    assert made["apiKey"].startswith(f"ck_{told['id']}_")
    assert (told["tenant"], told["scopes"], told["rateLimit"], told["maxActiveJobs"]) == (told["id"], ["jobs:read", "jobs:write"], 5, 2)
    lives = datetime.fromisoformat(told["expiresAt"]) - datetime.now(UTC)
    assert timedelta(days=6.9) < lives <= timedelta(days=7)
    assert await office.opens(made["apiKey"]) == 404
    secret = made["apiKey"].rpartition(told["id"])[2]
    listed = await office.http.get("/api/admin/keys")
    assert told["id"] in listed.text
    assert secret not in listed.text
    assert "hash" not in listed.text


async def test_keys_are_listed_newest_first_by_pages(office: Office) -> None:
    ids = [(await office.made(name=f"n{number}"))["key"]["id"] for number in range(3)]
    first = (await office.http.get("/api/admin/keys?limit=2")).json()
    assert [key["id"] for key in first["keys"]] == ids[:0:-1]
    await office.made()
    second = (await office.http.get("/api/admin/keys", params={"limit": 1, "cursor": first["nextCursor"]})).json()
    assert [key["id"] for key in second["keys"]] == ids[:1]


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "cursor=x", "page=2"])
async def test_a_wrong_query_names_its_field(office: Office, query: str) -> None:
    assert code_of(await office.http.get(f"/api/admin/keys?{query}")) == (400, "VALIDATION_FAILED", query.partition("=")[0])


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": " "}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"name": "x" * 41}, "name"),
        ({"scopes": []}, "scopes"),
        ({"scopes": ["root"]}, "scopes"),
        ({"tenant": ""}, "tenant"),
        ({"tenant": "a b"}, "tenant"),
        ({"tenant": "a\n"}, "tenant"),
        ({"expiresDays": 0}, "expiresDays"),
        ({"rateLimit": -1}, "rateLimit"),
        ({"hash": "x"}, "hash"),
    ],
)
async def test_a_wrong_key_is_refused_with_the_field(office: Office, fields: dict[str, Any], field: str) -> None:
    assert code_of(await office.http.post("/api/admin/keys", json={**NEW, **fields})) == (400, "VALIDATION_FAILED", field)


async def test_revoking_is_final_and_may_be_repeated(office: Office) -> None:
    made = await office.made()
    first, second = [(await office.http.delete(f"/api/admin/keys/{made['key']['id']}")).json()["key"] for _ in range(2)]
    assert first == second
    assert first["revokedAt"]
    assert await office.opens(made["apiKey"]) == 401
    again = await office.http.post(f"/api/admin/keys/{made['key']['id']}/rotate")
    assert code_of(again) == (409, "INVALID_STATE", None)


async def test_a_rotated_key_goes_on_for_its_grace_and_its_successor_is_of_the_same_tenant(office: Office) -> None:
    old = await office.made(rateLimit=7)
    new = (await office.http.post(f"/api/admin/keys/{old['key']['id']}/rotate", json={"graceHours": 2})).json()
    same = ("name", "tenant", "scopes", "rateLimit")
    assert [new["key"][name] for name in same] == [old["key"][name] for name in same]
    assert "expiresAt" not in new["key"]
    assert [await office.opens(made["apiKey"]) for made in (old, new)] == [404, 404]
    [listed] = [key for key in (await office.http.get("/api/admin/keys")).json()["keys"] if key["id"] == old["key"]["id"]]
    assert timedelta(hours=1.9) < datetime.fromisoformat(listed["expiresAt"]) - datetime.now(UTC) <= timedelta(hours=2)


async def test_rotating_never_lengthens_a_life_unasked(office: Office) -> None:
    old = await office.made(expiresDays=1)
    new = (await office.http.post(f"/api/admin/keys/{old['key']['id']}/rotate", json={"graceHours": 720})).json()
    [listed] = [key for key in (await office.http.get("/api/admin/keys")).json()["keys"] if key["id"] == old["key"]["id"]]
    assert new["key"]["expiresAt"] == listed["expiresAt"] == old["key"]["expiresAt"]
    without_grace = (await office.http.post(f"/api/admin/keys/{new['key']['id']}/rotate", json={"graceHours": 0})).json()
    assert [await office.opens(made["apiKey"]) for made in (new, without_grace)] == [401, 404]


async def test_a_key_is_rotated_once_and_its_successor_inherits_no_grace(office: Office) -> None:
    old = await office.made()
    new = (await office.http.post(f"/api/admin/keys/{old['key']['id']}/rotate", json={"graceHours": 2})).json()["key"]
    again = await office.http.post(f"/api/admin/keys/{old['key']['id']}/rotate")
    assert code_of(again) == (409, "INVALID_STATE", None)
    assert new["id"] in again.json()["error"]["details"]["hint"]
    assert await office.opens(old["apiKey"]) == 404
    assert "expiresAt" not in (await office.http.post(f"/api/admin/keys/{new['id']}/rotate")).json()["key"]


NOBODY = UUID("6e2b8a52-6c1c-4b0e-9c0b-6a3f6f0d9a11")


@pytest.mark.parametrize("key_id", [str(NOBODY), "x", "1", NOBODY.hex, "%00"])
async def test_a_key_that_is_not_there_is_not_found(office: Office, key_id: str) -> None:
    for method, path in (("DELETE", ""), ("POST", "/rotate")):
        assert code_of(await office.http.request(method, f"/api/admin/keys/{key_id}{path}")) == (404, "NOT_FOUND", None)


async def test_no_secret_of_a_key_gets_into_the_logs(api: Running) -> None:
    operator = await client(api.to.pool, Scope.ADMIN)
    secrets = [operator.written[-32:]]
    async with started(api, **KEYED, LOG_LEVEL="DEBUG") as (process, http):
        made = (await http.post("/api/admin/keys", json=NEW, headers=operator.headers)).json()["apiKey"]
        rotated = await http.post(f"/api/admin/keys/{made.split('_')[1]}/rotate", headers=operator.headers)
        secrets += [made[-32:], rotated.json()["apiKey"][-32:]]
        for key in (made, f"{made}x", made.replace("ck_", "sk_"), made[:-1]):
            await http.get(f"/api/jobs/{made}?key={made}", headers={"x-api-key": key, **somewhere()})
        await http.get("/last")
        while (await process.logged("request"))["path"] != "/last":
            pass
    assert len(process.lines) > 6
    assert [line for line in process.lines if any(secret in str(line) for secret in secrets)] == []


async def ran(api: Running, *argv: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "services.api.keys_command", *argv),
        env={"PATH": os.environ["PATH"], **api.environ, **KEYED},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


async def called(api: Running, *argv: str, **environ: str) -> tuple[int, str, str]:
    """The command in this process."""
    given = {"PATH": os.environ["PATH"], **api.environ, **KEYED, **environ}
    with (
        patch.dict(os.environ, given, clear=True),
        patch("sys.argv", ["keys_command", *argv]),
        redirect_stdout(io.StringIO()) as out,
        redirect_stderr(io.StringIO()) as err,
    ):
        code = await asyncio.to_thread(keys_command.main)
    return code, out.getvalue(), err.getvalue()


async def test_the_first_key_is_made_and_taken_back_by_a_command(office: Office) -> None:
    code, key, said = await ran(office.api, "create", "--name", "ops", "--scope", "admin", "--tenant", "us", "--expires-days", "30")
    assert code == 0
    assert key.count("\n") == 1
    assert key.strip() not in said
    answer = await office.http.get("/api/admin/keys", headers={"x-api-key": key.strip(), **somewhere()})
    assert answer.status_code == 200
    key_id = key.split("_")[1]
    _, lines, _ = await called(office.api, "list")
    [listed] = [line for line in map(json.loads, lines.splitlines()) if line["id"] == key_id]
    assert (listed["name"], listed["tenant"], listed["scopes"]) == ("ops", "us", ["admin"])
    assert await called(office.api, "revoke", key_id) == (0, "", f"{key_id} is revoked; every replica refuses it within 10 s\n")


@pytest.mark.parametrize(
    ("argv", "changes", "complaint"),
    [
        (["create", "--name", "a\nb", "--scope", "admin"], {}, "name must be plain text"),
        (["revoke", str(NOBODY)], {}, "there is no such key"),
        (["list"], {"DATABASE_URL": "postgresql://x:x@127.0.0.1:9/x"}, "the database can't be reached"),
        (["list"], {"API_SECRET": "", "ADMIN_ENABLED": "", "ENABLE_API_KEYS": ""}, "API_SECRET is not set"),
    ],
)
async def test_a_command_that_can_not_be_done_says_why(api: Running, argv: list[str], changes: dict[str, str], complaint: str) -> None:
    code, out, said = await called(api, *argv, **changes)
    assert (code, out) == (1, "")
    assert complaint in said
    assert "Traceback" not in said
