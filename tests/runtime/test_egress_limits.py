"""What one job's egress proxy lets in: a budget, a rate, no stalls, few bytes read ahead, and nothing left over. On both event loops."""

import asyncio
import os
from contextlib import AsyncExitStack, suppress

import pytest
import uvloop

from libs.common.domain.failures import Code
from libs.common.runtime.egress import Guard
from libs.common.runtime.egress_proxy import MOST_HEADS, Allowance, egress_proxy
from tests.runtime.outside import OUTSIDE, Handler, Site, answering, endless, guarding, silent, site
from tests.runtime.proxying import MIB, PLENTY, proxying, told, tunnel


async def slow_loris(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A byte every now and then, for ever."""
    await reader.read(1)
    writer.write(b"HTTP/1.1 200 OK\r\nX: ")
    while True:
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.02)


@pytest.mark.parametrize("handler", [silent, slow_loris])
async def test_a_site_that_stalls_or_drips_is_cut(handler: Handler) -> None:
    async with site(handler) as there, proxying(there, allowance=Allowance(MIB, stall_seconds=0.3)) as proxy:
        async with asyncio.timeout(10):
            with pytest.raises(ConnectionError):
                await told(proxy, f"GET http://video.test:{there.port}/ HTTP/1.1")
            async with tunnel(proxy, there.port) as (reader, writer):
                writer.write(b"GET / HTTP/1.1\r\n\r\n")
                with pytest.raises(ConnectionError):
                    await reader.read()
        assert proxy.failure is None


async def test_a_site_that_never_comes_to_its_answer_is_refused() -> None:
    async def interim(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        while True:
            writer.write(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 100)
            await writer.drain()

    async with site(interim) as there, proxying(there) as proxy:
        said = await told(proxy, f"GET http://video.test:{there.port}/ HTTP/1.1")
    assert said.count(b"HTTP/1.1 103 ") == MOST_HEADS
    assert b"HTTP/1.1 502 SOURCE_UNREADABLE\r\n" in said


async def test_a_site_that_is_slow_but_sends_is_not_cut_nor_for_a_reader_that_pauses() -> None:
    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        for _ in range(8):
            writer.write(bytes(MIB))
            await writer.drain()
            await asyncio.sleep(0.1)

    patient = Allowance(64 * MIB, stall_seconds=0.4)
    async with site(slow) as there, proxying(there, allowance=patient) as proxy, tunnel(proxy, there.port) as (reader, writer):
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(0.8)  # what is tested is time itself: a reader that pauses for longer than a stall
        assert len(await reader.read()) == 8 * MIB


async def test_no_more_than_the_budget_comes_in_and_then_everything_is_cut() -> None:
    async with site(endless) as there, proxying(there, allowance=Allowance(4 * MIB)) as proxy:
        async with tunnel(proxy, there.port) as (idle, _):
            with pytest.raises(ConnectionError):
                await told(proxy, f"GET http://video.test:{there.port}/ HTTP/1.1")
            with pytest.raises(ConnectionError):
                await idle.read()
        assert proxy.failure
        assert proxy.failure.code == Code.INPUT_TOO_LARGE
        assert 4 * MIB < proxy.received <= 4 * MIB + 65536
        assert (await told(proxy, f"CONNECT video.test:{there.port} HTTP/1.1")).startswith(b"HTTP/1.1 403 INPUT_TOO_LARGE")


async def test_all_of_a_jobs_connections_share_its_rate() -> None:
    body = bytes(MIB // 2)
    started = asyncio.get_running_loop().time()
    async with site(answering(body)) as there, proxying(there, allowance=Allowance(8 * MIB, bytes_per_second=2 * MIB)) as proxy:
        line = f"GET http://video.test:{there.port}/ HTTP/1.1"
        answers = await asyncio.gather(told(proxy, line), told(proxy, line), told(proxy, line), told(proxy, line))
        assert all(answer.endswith(body) for answer in answers)
        assert 0.9 < asyncio.get_running_loop().time() - started < 2.5


async def test_little_is_read_ahead_of_a_reader_that_stops_and_the_outside_is_left_when_it_goes() -> None:
    done = asyncio.Event()

    async def watched(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await endless(reader, writer)
        finally:
            done.set()

    async with site(watched) as there, proxying(there) as proxy:
        async with tunnel(proxy, there.port) as (reader, writer):
            writer.write(b"GET / HTTP/1.1\r\n\r\n")
            await reader.readuntil(b"\r\n\r\n")
            writer.transport.pause_reading()
            before = -1
            while before != proxy.received:
                before = proxy.received
                await asyncio.sleep(0.1)  # until the flow has come to rest
            assert proxy.received < 8 * MIB
        async with asyncio.timeout(10):
            await done.wait()


async def test_a_child_that_goes_takes_the_outside_with_it_though_nothing_is_said() -> None:
    async with site(silent) as there, proxying(there) as proxy:
        async with tunnel(proxy, there.port):
            assert there.is_open == 1
        await all_closed(there)


async def all_closed(there: Site) -> None:
    async with asyncio.timeout(10):
        while there.is_open:
            await asyncio.sleep(0.01)


async def test_a_job_has_no_more_than_64_connections_and_none_is_left_after_it() -> None:
    tasks, sockets = asyncio.all_tasks(), open_sockets()
    async with site(silent) as there, guarding(there, answers={"video.test": [[OUTSIDE]]}) as (guard, _):
        await exhausted(guard, there)
        await all_closed(there)
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == tasks
    assert open_sockets() <= sockets


async def exhausted(guard: Guard, there: Site) -> None:
    async with AsyncExitStack() as stack:
        async with egress_proxy(guard, PLENTY) as proxy:
            held = [await stack.enter_async_context(tunnel(proxy, there.port)) for _ in range(64)]
            assert (await told(proxy, f"CONNECT video.test:{there.port} HTTP/1.1")).startswith(b"HTTP/1.1 503 ")
        for reader, _ in held:
            with pytest.raises(ConnectionError):
                await reader.read()


def open_sockets() -> set[str]:
    """Of the whole process; one that goes while we look is none."""
    found = set()
    for entry in os.listdir("/proc/self/fd"):  # noqa: PTH208  numbers, not paths
        with suppress(FileNotFoundError):
            found.add(os.readlink(f"/proc/self/fd/{entry}"))  # noqa: PTH115  a socket is no path
    return {target for target in found if target.startswith("socket:")}


async def test_the_loop_that_the_services_run_on_holds_all_this_too() -> None:
    async def again() -> None:
        for handler in (silent, slow_loris):
            await test_a_site_that_stalls_or_drips_is_cut(handler)
        await test_no_more_than_the_budget_comes_in_and_then_everything_is_cut()
        await test_little_is_read_ahead_of_a_reader_that_stops_and_the_outside_is_left_when_it_goes()
        await test_a_job_has_no_more_than_64_connections_and_none_is_left_after_it()

    await asyncio.to_thread(uvloop.run, again())
