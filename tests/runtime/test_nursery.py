"""Children of a nursery, each given a script on its stdin: they end as started programs do, are held to limits, and leave nothing."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path

import pytest
import uvloop

from libs.common.domain.failures import Failure
from libs.common.runtime.nursery import Nursery, open_nursery
from libs.common.runtime.process import Completed, Limits, ended

REARING = "import sys\nfrom libs.common.runtime.nursery import rear\nrear(lambda: exec(sys.stdin.read(), {}))"
COMMAND = (sys.executable, "-c", REARING)
LIMITS = Limits(wall=0, data=256 << 20, file_size=1 << 20)
FOR_EVER = "import time, os\nprint(os.getpid(), flush=True)\ntime.sleep(600)"


@pytest.fixture(scope="module")
async def nursery() -> AsyncIterator[Nursery]:
    async with open_nursery(COMMAND, LIMITS) as opened:
        yield opened


async def outcome(nursery: Nursery, script: str, *, on_line: Callable[[str], None] | None = None, wall: float = 60) -> Completed:
    async def heard(line: str) -> None:
        if on_line:
            on_line(line)

    child = await nursery.child()
    return await ended(child, "the child", wall, child.kill, on_line=heard if on_line else None, stdin=script.encode())


def lives(pid: int) -> bool:
    """A zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


async def gone(pid: int) -> None:
    async with asyncio.timeout(20):
        while lives(pid):
            await asyncio.sleep(0.01)


async def first_line(nursery: Nursery, script: str) -> tuple[asyncio.Task[Completed], str]:
    """The child, still at work, and what it said first."""
    line = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(outcome(nursery, script, on_line=lambda said: line.done() or line.set_result(said)))
    async with asyncio.timeout(40):
        return task, await line


async def test_a_child_reads_its_errand_and_answers(nursery: Nursery) -> None:
    assert await outcome(nursery, "print(6 * 7)\nimport sys\nprint('well', file=sys.stderr)") == Completed(0, b"42\n", "well\n")


@pytest.mark.parametrize(
    ("script", "code", "said"),
    [
        ("raise ValueError('no')", 1, "ValueError: no"),
        ("import os\nos.kill(os.getpid(), 11)", -signal.SIGSEGV, ""),
        ("import os\nos.kill(os.getpid(), 9)", -signal.SIGKILL, ""),
        ("__import__('tempfile').TemporaryFile().write(bytes(2 << 20))", 1, "File too large"),
        ("bytearray(512 << 20)", 1, "MemoryError"),
        ("__import__('ctypes').string_at(0)", -signal.SIGSEGV, ""),
    ],
)
async def test_a_child_that_breaks_ends_as_a_program_does(nursery: Nursery, script: str, code: int, said: str) -> None:
    ended = await outcome(nursery, script)
    assert (ended.code, said in ended.stderr) == (code, True), ended


async def test_a_child_has_three_open_files_a_session_and_no_core(nursery: Nursery) -> None:
    script = """
import os, resource
print(sorted(os.listdir('/proc/self/fd'), key=int)[:-1], os.getsid(0) == os.getpgid(0) == os.getpid())
print(resource.getrlimit(resource.RLIMIT_CORE), resource.getrlimit(resource.RLIMIT_DATA)[0] >> 20)
"""
    assert (await outcome(nursery, script)).stdout.decode().splitlines() == ["['0', '1', '2'] True", "(0, 0) 256"]


async def test_what_a_child_does_to_itself_ends_with_it(nursery: Nursery) -> None:
    spoils = "sys.modules['spoilt'] = sys\nos.environ['SPOILT'] = '1'\nos.chdir('/')\nsys.addaudithook(lambda *_: 1 / 0)"
    await outcome(nursery, f"import sys, os\n{spoils}")
    script = "import sys, os\nprint('spoilt' in sys.modules, 'SPOILT' in os.environ, os.getcwd() == '/')"
    assert (await outcome(nursery, script)).stdout == b"False False False\n"


async def test_many_are_at_work_at_once_and_each_hears_its_own(nursery: Nursery) -> None:
    script = "import time\ntime.sleep(0.2)\nprint({})"
    assert [(await task).stdout for task in [asyncio.create_task(outcome(nursery, script.format(n))) for n in range(20)]] == [
        b"%d\n" % n for n in range(20)
    ]


async def test_with_a_child_all_that_it_started_ends(nursery: Nursery) -> None:
    script = "import subprocess, sys\nprint(subprocess.Popen(['sleep', '600']).pid, flush=True)\n{}"
    over = await outcome(nursery, script.format(""))
    assert over.code == 0
    await gone(int(over.stdout))
    task, sleeper = await first_line(nursery, script.format("import time\ntime.sleep(600)"))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await gone(int(sleeper))


async def test_a_child_that_is_given_up_is_gone_when_the_call_returns(nursery: Nursery) -> None:
    task, pid = await first_line(nursery, FOR_EVER)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not lives(int(pid))
    seen = list[str]()
    with pytest.raises(Failure, match="took longer than 1 s"):
        await outcome(nursery, FOR_EVER, on_line=seen.append, wall=1)
    assert not lives(int(seen[0]))


async def test_a_child_that_was_only_stopped_goes_on(nursery: Nursery) -> None:
    task, pid = await first_line(nursery, "import os, sys\nprint(os.getpid(), flush=True)\nos.kill(os.getpid(), 19)\nprint('back')\n")
    async with asyncio.timeout(20):
        while Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "T":
            await asyncio.sleep(0.01)
    os.kill(int(pid), signal.SIGCONT)
    assert (await task).code == 0


async def test_a_nursery_that_was_killed_takes_its_children_along_and_another_is_started() -> None:
    async with open_nursery(COMMAND, LIMITS) as nursery:
        task, pid = await first_line(nursery, FOR_EVER)
        assert nursery._running
        first = nursery._running[0]
        first.kill()
        assert (await task).code == -signal.SIGKILL
        await gone(int(pid))
        assert (await outcome(nursery, "print(1)")).stdout == b"1\n"
        assert nursery._running[0].pid != first.pid
        last = nursery._running[0]
    assert last.returncode is not None


async def test_one_that_can_not_be_started_is_a_failure() -> None:
    async with open_nursery(("/no/such/program",), LIMITS) as nursery:
        with pytest.raises(Failure, match="can't be started"):
            await nursery.child()


async def test_a_nursery_that_breaks_at_its_start_ends_its_children_and_no_other() -> None:
    async with open_nursery((sys.executable, "-c", "raise SystemExit(3)"), LIMITS) as nursery:
        with suppress(Failure):
            assert (await outcome(nursery, "")).code == -signal.SIGKILL


async def test_with_the_process_that_asked_all_of_it_ends() -> None:
    script = f"""
import asyncio
from libs.common.runtime.nursery import open_nursery
from libs.common.runtime.process import Limits
async def main():
    async with open_nursery({COMMAND!r}, Limits(wall=0)) as nursery:
        child = await nursery.child()
        child.stdin.write({FOR_EVER!r}.encode())
        child.stdin.write_eof()
        print((await child.stdout.readline()).decode().strip(), nursery._running[0].pid, flush=True)
        await asyncio.sleep(600)
asyncio.run(main())
"""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", script, stdout=asyncio.subprocess.PIPE)
    assert process.stdout
    pids = [int(pid) for pid in (await process.stdout.readline()).split()]
    assert [lives(pid) for pid in pids] == [True, True]
    process.kill()
    await process.wait()
    for pid in pids:
        await gone(pid)


async def test_the_loop_that_the_services_run_on_holds_all_this_too() -> None:
    async def again() -> None:
        async with open_nursery(COMMAND, LIMITS) as nursery:
            await test_a_child_reads_its_errand_and_answers(nursery)
            await test_many_are_at_work_at_once_and_each_hears_its_own(nursery)
            await test_with_a_child_all_that_it_started_ends(nursery)
            await test_a_child_that_is_given_up_is_gone_when_the_call_returns(nursery)
        await test_a_nursery_that_was_killed_takes_its_children_along_and_another_is_started()

    await asyncio.to_thread(uvloop.run, again())
