"""The guard over a real resolver and a name server that lies, and an aiohttp client that goes only where the guard lets it."""

import asyncio
from contextlib import asynccontextmanager

import aiohttp
import pytest

from libs.common.domain.failures import Code, Failure
from libs.common.runtime.egress import Guard, guarded_connector
from tests.dns_stub import NXDOMAIN, SERVFAIL, SILENCE
from tests.runtime.outside import INSIDE, OUTSIDE, Site, answering, guarding, silent, site

PUBLIC = ["93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c"]


async def refused(guard: Guard, host: str, port: int = 443) -> Code:
    with pytest.raises(Failure) as caught:
        await guard.addresses(host, port)
    return caught.value.code


async def test_a_public_name_gives_all_its_addresses_after_one_look_up() -> None:
    async with guarding(answers={"video.test": [PUBLIC]}, networks="") as (guard, stub):
        assert set(await guard.addresses("video.test", 443)) == set(PUBLIC)
        assert sorted(stub.queries) == [("video.test", "A"), ("video.test", "AAAA")]


@pytest.mark.parametrize(
    "answer",
    [["127.0.0.1"], ["::1"], [*PUBLIC, "10.0.0.1"], [*PUBLIC, "fd00::1"], ["169.254.169.254"], ["64:ff9b::a9fe:a9fe"], ["::ffff:10.0.0.1"]],
)
async def test_one_address_inside_blocks_the_whole_name(answer: list[str]) -> None:
    async with guarding(answers={"video.test": [answer]}, networks="") as (guard, _):
        assert await refused(guard, "video.test") == Code.SSRF_BLOCKED


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "[::1]", "::1", "2130706433", "localhost", "kubernetes.default.svc.cluster.local", "intranet"]
)
async def test_what_leads_inside_by_the_look_of_it_is_not_even_looked_up(host: str) -> None:
    async with guarding(networks="") as (guard, stub):
        assert await refused(guard, host) == Code.SSRF_BLOCKED
        assert stub.queries == []


async def test_a_port_that_is_not_allowed_is_blocked_before_any_look_up() -> None:
    async with guarding(answers={"video.test": [PUBLIC]}, networks="") as (guard, stub):
        assert await refused(guard, "video.test", 22) == Code.SSRF_BLOCKED
        assert stub.queries == []


async def test_an_address_needs_no_look_up() -> None:
    async with guarding(networks="") as (guard, stub):
        assert await guard.addresses("8.8.8.8", 443) == ("8.8.8.8",)
        assert await guard.addresses("[2606:4700::1111]", 443) == ("2606:4700::1111",)
        assert stub.queries == []


@pytest.mark.parametrize(
    ("answer", "code"),
    [(NXDOMAIN, Code.SOURCE_UNREADABLE), ([], Code.SOURCE_UNREADABLE), (SERVFAIL, Code.RETRYABLE_ERROR), (SILENCE, Code.RETRYABLE_ERROR)],
)
async def test_a_name_without_an_address_is_gone_or_may_come_back(answer: list[str] | str, code: Code) -> None:
    async with guarding(answers={"video.test": [answer]}, networks="", lookup_seconds=0.6) as (guard, _):
        async with asyncio.timeout(10):
            assert await refused(guard, "video.test") == code


async def test_a_look_up_that_is_cancelled_leaves_the_guard_usable() -> None:
    async with guarding(answers={"slow.test": [SILENCE], "video.test": [PUBLIC]}, networks="") as (guard, _):
        waiting = asyncio.create_task(guard.addresses("slow.test", 443))
        await guard.addresses("video.test", 443)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert await guard.addresses("video.test", 443)


async def test_a_name_is_never_completed_with_a_search_domain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCALDOMAIN", "svc.cluster.test")
    async with guarding(answers={"db.svc.cluster.test": [PUBLIC], "db.prod.svc.cluster.test": [PUBLIC]}) as (guard, stub):
        assert await refused(guard, "db") == Code.SOURCE_UNREADABLE
        assert await refused(guard, "db.prod") == Code.SOURCE_UNREADABLE
        assert {name for name, _ in stub.queries} <= {"db", "db.prod"}


@asynccontextmanager
async def client(guard: Guard):
    async with aiohttp.ClientSession(connector=guarded_connector(guard), timeout=aiohttp.ClientTimeout(total=10)) as session:
        yield session


async def test_a_guarded_client_reaches_what_is_allowed() -> None:
    async with site(answering(b"hello")) as there, guarding(there, answers={"hook.test": [[OUTSIDE]]}) as (guard, stub):
        async with client(guard) as session, session.post(f"http://hook.test:{there.port}/", data=b"x") as answer:
            assert await answer.read() == b"hello"
        assert stub.lookups("hook.test") == 1


@pytest.mark.parametrize("host", [INSIDE, "[::ffff:127.0.0.1]", "[::1]", "inside.test", "mixed.test"])
async def test_a_guarded_client_makes_no_connection_inside_by_name_or_literal(host: str) -> None:
    answers = {"inside.test": [[INSIDE]], "mixed.test": [[OUTSIDE, INSIDE]]}
    async with site(silent, INSIDE) as canary, guarding(canary, answers=answers) as (guard, _):
        async with client(guard) as session:
            with pytest.raises(Failure) as caught:
                await session.post(f"http://{host}:{canary.port}/")
        assert caught.value.code == Code.SSRF_BLOCKED
        assert canary.connections == 0


@pytest.mark.parametrize("host", [INSIDE, "inside.test"])
async def test_a_redirect_leads_a_guarded_client_nowhere_inside(host: str) -> None:
    async with site(silent, INSIDE) as canary:
        redirect = answering(b"", f"Location: http://{host}:{canary.port}/", status="307 Temporary Redirect")
        answers = {"inside.test": [[INSIDE]], "hook.test": [[OUTSIDE]]}
        async with site(redirect) as there, guarding(there, canary, answers=answers) as (guard, _):
            async with client(guard) as session:
                with pytest.raises(Failure) as caught:
                    await session.get(f"http://hook.test:{there.port}/")
            assert (caught.value.code, there.connections, canary.connections) == (Code.SSRF_BLOCKED, 1, 0)


async def test_an_answer_that_changes_between_look_ups_leads_a_guarded_client_nowhere_inside() -> None:
    async with (
        site(answering(b"hello", "Connection: close")) as there,
        guarding(there, answers={"hook.test": [[OUTSIDE], [INSIDE]]}) as (
            guard,
            stub,
        ),
    ):
        async with client(guard) as session:
            async with session.get(f"http://hook.test:{there.port}/") as answer:
                assert await answer.read() == b"hello"
            assert stub.lookups("hook.test") == 1
            with pytest.raises(Failure) as caught:
                await session.get(f"http://hook.test:{there.port}/")
        assert caught.value.code == Code.SSRF_BLOCKED


async def test_the_socket_itself_is_guarded_whatever_led_there() -> None:
    async with guarding(Site(port=8443)) as (guard, _):
        guard.check(OUTSIDE, 8443)
        for address, port in ((INSIDE, 8443), ("fe80::1%lo", 8443), (OUTSIDE, 22)):
            with pytest.raises(Failure):
                guard.check(address, port)
