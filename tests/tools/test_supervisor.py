"""The supervisor, on tiny real programs."""

import asyncio
import os
import select
import shlex
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from tools import supervisor
from tools.supervisor import Service, parse_procfile, supervise


def service(name: str, code: str, **environ: str) -> Service:
    return Service(name, shlex.join([sys.executable, "-u", "-c", code]), {**os.environ, **environ})


class Output:
    """What the services said; `until` waits for a line that holds some text."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._news = asyncio.Condition()

    def write(self, name: str, line: str) -> None:
        self.lines.append(f"{name} {line}")
        self._told = asyncio.ensure_future(self._tell())

    async def until(self, text: str, times: int = 1) -> str:
        async with self._news:
            await self._news.wait_for(lambda: len(self._with(text)) >= times)
        return self._with(text)[-1]

    def _with(self, text: str) -> list[str]:
        return [line for line in self.lines if text in line]

    async def _tell(self) -> None:
        async with self._news:
            self._news.notify_all()


@asynccontextmanager
async def supervised(*services: Service) -> AsyncIterator[Output]:
    output = Output()
    task = asyncio.create_task(supervise(list(services), output.write))
    try:
        yield output
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@pytest.fixture(autouse=True)
def short_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "FIRST_BACKOFF_SECONDS", 0.01)
    monkeypatch.setattr(supervisor, "DRAIN_SECONDS", 1.0)


WAIT = "import time; time.sleep(60)"
DRAIN = f"import signal, sys; signal.signal(signal.SIGTERM, lambda *_: (print('drained'), sys.exit(0))); print('up'); {WAIT}"
DEAF = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up'); {WAIT}"


async def test_a_service_that_dies_is_started_again_and_the_others_go_on() -> None:
    async with supervised(service("dies", "print('hello'); raise SystemExit(3)"), service("lives", f"print('up'); {WAIT}")) as output:
        await output.until("dies hello", times=3)
        assert "exited with code 3; starting it again in" in await output.until("dies exited")
        assert output.lines.count("lives up") == 1


async def test_a_killed_service_says_by_what() -> None:
    async with supervised(service("shot", "import os; os.kill(os.getpid(), 9)")) as output:
        assert "killed by SIGKILL" in await output.until("shot killed")


async def test_the_back_off_grows() -> None:
    async with supervised(service("dies", "")) as output:
        await output.until("in 0.01 s")
        await output.until("in 0.02 s")
        await output.until("in 0.04 s")


async def test_a_command_that_is_not_there_is_tried_again() -> None:
    async with supervised(Service("typo", "no-such-program", {"PATH": "/usr/bin"})) as output:
        await output.until("typo cannot start", times=2)


async def test_stopping_lets_a_service_drain() -> None:
    async with supervised(service("worker", DRAIN)) as output:
        await output.until("up")
    assert output.lines == ["worker up", "worker drained"]


async def test_a_service_deaf_to_sigterm_is_killed() -> None:
    async with supervised(service("deaf", f"import os; print('pid', os.getpid()); {DEAF}")) as output:
        pid = (await output.until("pid")).split()[-1]
        await output.until("up")
    assert not Path(f"/proc/{pid}").exists()


async def test_what_a_dead_service_leaves_behind_is_killed() -> None:
    leaves = f"import subprocess, sys; print('child', subprocess.Popen([sys.executable, '-c', '{WAIT}']).pid)"
    async with supervised(service("leaves", leaves)) as output:
        pid = (await output.until("child")).split()[-1]
        await output.until("exited with code 0")
        descriptor = os.pidfd_open(int(pid)) if Path(f"/proc/{pid}").exists() else None
        assert descriptor is None or select.select([descriptor], [], [], 10)[0]


async def test_each_service_has_its_own_environment() -> None:
    say = f"import os; print(os.environ['WHO']); {WAIT}"
    async with supervised(service("one", say, WHO="first"), service("two", say, WHO="second")) as output:
        await output.until("one first")
        await output.until("two second")


def test_a_procfile_is_names_and_commands() -> None:
    assert parse_procfile("# the stack\napi: python -m api --at=1:2\n\n  worker :run  \n") == {
        "api": "python -m api --at=1:2",
        "worker": "run",
    }


@pytest.mark.parametrize("line", ["api", "api:", ": run"])
def test_a_line_that_is_none_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match="Procfile"):
        parse_procfile(line)
