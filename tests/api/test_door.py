"""Who gets in where: every method of every route that there is, by the routes themselves, so that a new one is tried at once."""

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx
import pytest
from litestar import Litestar, get
from litestar.routes import HTTPRoute

from libs.common.runtime.settings import load
from services.api.app import routed
from services.api.assembly import assembled
from services.api.caller import Scope
from services.api.settings import ApiSettings
from tests.api.conftest import UNLIMITED, Running, running
from tests.api.keyed import KEYED, client, expired, keyed, revoked, somewhere
from tests.api.test_jobs import code_of
from tests.builders import burned, history, ready, requested, transcribed, uploaded
from tests.thorough import IS_THOROUGH

FULL = (requested(with_subtitles=True, burn_subtitles=True), ready(), uploaded(), transcribed(), burned())
OPEN = {"/healthz", "/readyz", "/schema", "/schema/openapi.json", "/schema/asyncapi.json", "/", "/operator"}
PARTS = re.compile(r"/web/[a-z_]+\.(js|css|svg)")
"""What is open to all, and what its pages are made of. A new one is a decision, to be made here too."""


@dataclass(frozen=True)
class Call:
    method: str
    path: str
    template: str
    needs: Scope | None

    def __str__(self) -> str:
        return f"{self.method} {self.template}"


def calls(app: Litestar) -> list[Call]:
    """Each with ids of its own in the path."""
    found = []
    for route in (route for route in app.routes if isinstance(route, HTTPRoute)):
        path = re.sub(r"{\w+}", lambda _: str(uuid4()), route.path_format)
        for method, (handler, _) in route.route_handler_map.items():
            said = handler.opt.get("described")
            needs = Scope.ADMIN if handler.opt.get("guarded_with_keys") else said.scope if said else None
            found.append(Call(method, path, route.path_format, needs))
    return found


@dataclass(frozen=True)
class Place:
    http: httpx.AsyncClient
    api: Running
    calls: list[Call]

    async def status(self, call: Call, headers: dict[str, str]) -> tuple[int, Any]:
        """The body only of a refusal: an answer may have no end (events)."""
        async with self.http.stream(call.method, call.path, headers={**somewhere(), **headers}) as answer:
            if answer.status_code < 400:
                return answer.status_code, None
            await answer.aread()
            body = answer.json()["error"]
            assert body.pop("correlationId") == answer.headers["x-correlation-id"]
            return answer.status_code, body


@pytest.fixture(scope="module")
async def place(api: Running) -> AsyncIterator[Place]:
    settings = load(ApiSettings, {**api.environ, **UNLIMITED, **KEYED, "PORT": "0"})
    async with assembled(settings, api.to) as parts, keyed(api) as (http, _):
        yield Place(http, api, calls(routed(parts)))


async def test_there_are_routes_of_every_kind(place: Place) -> None:
    assert {call.needs for call in place.calls} == {None, *Scope}
    assert len(place.calls) > 30
    free = {call.template for call in place.calls if call.needs is None and call.method != "OPTIONS"}
    assert {path for path in free if not PARTS.fullmatch(path)} == OPEN


async def test_without_a_good_key_no_route_answers_and_all_say_the_same(place: Place) -> None:
    pool = place.api.to.pool
    good = await client(pool)
    bad = {
        "no key": {},
        "wrong secret": {"x-api-key": good.written[:-4] + "AAAA"},
        "revoked": (await revoked(pool)).headers,
        "expired": (await expired(pool)).headers,
    }
    asked = [call for call in place.calls if call.needs]
    tried = [(call, why) for turn, call in enumerate(asked) for why in (bad if IS_THOROUGH else ("no key", [*bad][1 + turn % 3]))]
    answers = [(call, why, *await place.status(call, bad[why])) for call, why in tried]
    assert [(str(call), why) for call, why, status, _ in answers if status != 401] == []
    assert len({repr(body) for *_, body in answers}) == 1


async def test_whatever_is_wrong_with_a_key_the_answer_is_the_same(place: Place) -> None:
    good = await client(place.api.to.pool)
    bad = {
        "no key": {},
        "an empty one": {"x-api-key": ""},
        "no bearer": {"authorization": "Bearer"},
        "another scheme": {"authorization": f"Basic {good.written}"},
        "malformed": {"x-api-key": good.written[:-1]},
        "trailing": {"x-api-key": f"{good.written}x"},
        "unknown": {"x-api-key": good.written.replace(str(good.key.id), str(uuid4()))},
        "wrong before right": {"authorization": "Bearer x", "x-api-key": good.written},
    }
    call = Call("GET", "/api/jobs/x", "/api/jobs/{job_id}", Scope.READ)
    answers = {why: await place.status(call, headers) for why, headers in bad.items()}
    assert {why for why, (status, _) in answers.items() if status != 401} == set()
    assert len({repr(body) for _, body in answers.values()}) == 1


async def test_a_key_without_the_scope_is_told_which_one_is_needed(place: Place) -> None:
    for needed in Scope:
        other = await client(place.api.to.pool, *(set(Scope) - {needed}))
        for call in (call for call in place.calls if call.needs is needed):
            status, body = await place.status(call, other.headers)
            assert (status, body["code"]) == (403, "FORBIDDEN"), call
            assert needed in body["message"]


async def test_a_key_with_just_the_scope_is_let_in(place: Place) -> None:
    for needed in Scope:
        fitting = await client(place.api.to.pool, needed)
        for call in (call for call in place.calls if call.needs is needed):
            assert (await place.status(call, fitting.headers))[0] not in {401, 403}, call


async def test_what_is_open_to_all_asks_for_nothing(place: Place) -> None:
    for call in (call for call in place.calls if call.needs is None):
        assert (await place.status(call, {"x-api-key": "nonsense"}))[0] in {200, 204}, call


async def test_head_is_for_pages_alone_and_options_tells_only_the_methods(place: Place) -> None:
    pages = {call.path for call in place.calls if call.method == "HEAD"}
    assert pages > {"/", "/operator"}
    for path in {call.path for call in place.calls}:
        head = await place.http.head(path)
        options = await place.http.options(path)
        assert head.status_code == (200 if path in pages else 405), path
        assert (options.status_code, options.content) == (204, b""), path
        assert "OPTIONS" in options.headers["allow"]


async def test_a_foreign_job_is_answered_like_an_unknown_one_on_every_route(place: Place) -> None:
    [ours, theirs] = [await client(place.api.to.pool, tenant=tenant) for tenant in ("ours", "theirs")]
    job_id = await place.api.knows(*history(requested(tenant="theirs", with_subtitles=True, burn_subtitles=True), *FULL[1:]))
    tried = [call for call in place.calls if "{job_id}" in call.template and call.method != "OPTIONS"]
    assert len(tried) >= 4
    for call in tried:
        paths = [call.template.replace("{job_id}", str(asked)) for asked in (job_id, uuid4())]
        paths = [re.sub(r"{\w+}", str(uuid4()), path) for path in paths]
        foreign, unknown = [await place.status(Call(call.method, path, call.template, call.needs), ours.headers) for path in paths]
        assert foreign == unknown, call
        assert (foreign[0], foreign[1]["code"]) == (404, "NOT_FOUND"), call
    assert (await place.http.get(f"/api/jobs/{job_id}", headers=theirs.headers)).status_code == 200


async def test_a_route_that_does_not_say_whom_it_is_for_is_refused(api: Running) -> None:
    @get("/forgotten")
    async def forgotten() -> str:
        return "open"

    for changes in ({}, KEYED):
        settings = load(ApiSettings, {**api.environ, **UNLIMITED, **changes, "PORT": "0"})
        async with assembled(settings, api.to) as parts:
            app = routed(parts)
            app.register(forgotten)
            transport = httpx.ASGITransport(_with_state(app))
            async with httpx.AsyncClient(transport=transport, base_url="http://x") as http:
                assert code_of(await http.get("/forgotten")) == (403, "FORBIDDEN", None)


def _with_state(app: Litestar) -> Any:
    async def stated(scope: Any, receive: Any, send: Any) -> None:
        await app({**scope, "state": {"correlation_id": "c"}}, receive, send)

    return stated


async def test_without_keys_everybody_works_in_one_tenant_and_nobody_operates(api: Running) -> None:
    async with running(api.environ, ADMIN_ENABLED="true", API_SECRET=KEYED["API_SECRET"]) as (http, to):
        assert (await http.get(f"/api/jobs/{await api.knows(*history(*FULL))}")).status_code == 200
        assert (await http.get("/metrics")).status_code == 200
        assert code_of(await http.get("/api/admin/keys")) == (401, "UNAUTHORIZED", None)
        stranger, operator = await client(to.pool, Scope.WRITE), await client(to.pool, Scope.ADMIN)
        assert code_of(await http.get("/api/admin/keys", headers=stranger.headers)) == (403, "FORBIDDEN", None)
        assert (await http.get("/api/admin/keys", headers=operator.headers)).status_code == 200


GUESSES = 12


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The address of somebody who may guess so often, and once a second from then on."""
    monkeypatch.setattr("services.api.guesses.MOST_GUESSES", GUESSES)
    monkeypatch.setattr("services.api.guesses.GUESSES_PER_SECOND", 1.0)
    return somewhere()


async def test_guessing_ends_before_it_costs_the_database_anything(place: Place, few: dict[str, str]) -> None:
    known = {**(await client(place.api.to.pool)).headers, **few}
    assert (await place.http.get("/api/jobs/x", headers=known)).status_code == 404
    before = await _lookups(place.http, known)
    answers = await _guessed(place.http, few, 2 * GUESSES)
    refused = [answer for answer in answers if answer.status_code != 401]
    assert len(answers) - len(refused) == pytest.approx(GUESSES, abs=GUESSES / 2)
    assert {code_of(answer) for answer in refused} == {(429, "RATE_LIMITED", None)}
    assert {answer.headers["retry-after"] for answer in refused} == {"1"}
    looked_up = await _lookups(place.http, known) - before
    assert looked_up == pytest.approx(len(answers) - len(refused), abs=2)  # and our own key's, every 5 s
    assert (await place.http.get("/api/jobs/x", headers=known)).status_code == 404  # whom we know goes on


async def test_a_good_key_gets_in_from_an_address_that_others_guess_at(place: Place, few: dict[str, str]) -> None:
    assert 429 in {answer.status_code for answer in await _guessed(place.http, few, 2 * GUESSES)}
    late = {**(await client(place.api.to.pool)).headers, **few}
    for _ in range(3):  # whoever waits as long as Retry-After says
        answer = await place.http.get("/api/jobs/x", headers=late)
        if answer.status_code == 404:
            break
        await asyncio.sleep(int(answer.headers["retry-after"]))
    assert answer.status_code == 404
    await _guessed(place.http, few, 2 * GUESSES)
    assert (await place.http.get("/api/jobs/x", headers=late)).status_code == 404


async def test_keys_that_were_good_are_no_guesses_however_many_ask_with_them(place: Place, few: dict[str, str]) -> None:
    pool = place.api.to.pool
    for bad in (await revoked(pool), await expired(pool)):
        answers = [await place.http.get("/api/jobs/x", headers={**bad.headers, **few}) for _ in range(2 * GUESSES)]
        assert {answer.status_code for answer in answers} == {401}
    others = [await client(pool) for _ in range(2 * GUESSES)]  # all of them for the first time, as after a restart
    assert {(await place.http.get("/api/jobs/x", headers={**other.headers, **few})).status_code for other in others} == {404}


async def test_a_wrong_secret_is_a_guess(place: Place, few: dict[str, str]) -> None:
    good = await client(place.api.to.pool)
    assert 429 in {answer.status_code for answer in await _guessed(place.http, few, 2 * GUESSES, good.written[:-4] + "AAAA")}


async def _guessed(http: httpx.AsyncClient, address: dict[str, str], count: int, key: str = "") -> list[httpx.Response]:
    """All at once."""
    keys = [key or f"ck_{uuid4()}_{'A' * 32}" for _ in range(count)]
    return await asyncio.gather(*(http.get("/api/jobs/x", headers={**address, "x-api-key": key}) for key in keys))


async def _lookups(http: httpx.AsyncClient, headers: dict[str, str]) -> float:
    text = (await http.get("/metrics", headers=headers)).text
    found = re.search(r'clip_dependency_seconds_count{dependency="postgres",operation="find_key"} ([\d.]+)', text)
    return float(found[1]) if found else 0.0
