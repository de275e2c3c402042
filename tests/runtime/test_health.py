"""Readiness, as the operator and the load balancer read it on the internal port."""

from collections.abc import Mapping
from itertools import islice

import aiohttp
import pytest

from libs.common.domain.failures import Code, Failure
from libs.common.runtime.health import Health, again
from libs.common.runtime.health_port import health_port
from libs.common.runtime.settings import CommonSettings, Secret
from tests.fakes import Switch

SETTINGS = CommonSettings(database_url=Secret(""), nats_url=Secret(""))


def switches() -> dict[str, Switch]:
    return {name: Switch(lambda: Failure(Code.RETRYABLE_ERROR, "away")) for name in ("postgres", "nats")}


def health_of(dependencies: Mapping[str, Switch], **options: object) -> Health:
    return Health({name: switch.ping for name, switch in dependencies.items()}, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("off", "needed", "readiness", "status"),
    [
        ([], None, "ready", 200),
        (["nats"], None, "unready", 503),
        (["nats"], ["postgres"], "degraded", 200),
        (["postgres"], ["postgres"], "unready", 503),
    ],
)
async def test_readiness_follows_what_is_needed(off: list[str], needed: list[str] | None, readiness: str, status: int) -> None:
    dependencies = switches()
    for name in off:
        dependencies[name].is_on = False
    health = health_of(dependencies, needed=needed)
    await health.check_all()
    async with health_port(SETTINGS, health) as port, aiohttp.ClientSession(f"http://127.0.0.1:{port}") as http:
        async with http.get("/readyz") as answer:
            body = await answer.json()
            assert (answer.status, body["status"]) == (status, readiness)
            assert {name: d["up"] for name, d in body["dependencies"].items()} == {n: n not in off for n in dependencies}
        async with http.get("/healthz") as answer:
            assert answer.status == 200, "an outage of what we depend on must not restart us"
        async with http.get("/metrics") as answer:
            assert "clip_dependency_up" in await answer.text()


async def test_who_was_never_asked_is_not_ready() -> None:
    assert health_of(switches()).readiness == "unready"


async def test_waiting_ends_when_all_answer_and_says_whether_anything_was_away() -> None:
    dependencies = switches()
    health = health_of(dependencies)
    assert await health.until_up() is False
    dependencies["nats"].returns_when_asked()
    assert await health.until_up(suspect="nats") is True
    assert health.is_up


async def test_a_ping_that_breaks_is_a_dependency_that_is_down_and_is_asked_again() -> None:
    breaks = True

    async def ping() -> None:
        if breaks:
            raise ValueError("password authentication failed")

    health = Health({"postgres": ping})
    assert not await health.check_all()
    assert health.readiness == "unready"
    breaks = False
    assert await health.check_all()


def test_who_does_not_answer_is_asked_again_soon_and_then_ever_later() -> None:
    assert list(islice(again(), 7)) == [0.05, 0.1, 0.2, 0.4, 0.8, 1.0, 1.0]
