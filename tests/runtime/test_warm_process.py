"""Real workers with real children: what they answer, what holds them, and that nothing of one request is left for the next."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from libs.common.domain.failures import Code, Failure
from libs.common.runtime.process import Limits
from libs.common.runtime.warm_process import ROOT, Warm, open_warm
from tests.runtime.test_process import is_alive, until_dead

MODULE = "tests.runtime.warm_work"
LIMITS = Limits(wall=20)


@pytest.fixture(scope="module")
async def warm() -> AsyncIterator[Warm]:
    async with open_warm(MODULE, workers=1) as opened:
        yield opened


async def ask(warm: Warm, request: str, limits: Limits = LIMITS) -> str:
    return (await warm.ask(request.encode(), limits)).decode()


async def pids(warm: Warm) -> tuple[int, int]:
    """Of a child, and of its worker."""
    child, worker = (await ask(warm, "pids")).split()
    return int(child), int(worker)


async def written(path: Path) -> list[int]:
    """The numbers in a file that a child is about to write."""
    async with asyncio.timeout(40):
        while not path.exists() or not path.read_text():
            await asyncio.sleep(0.01)
    return [int(word) for word in path.read_text().split()]


async def test_each_request_has_a_child_of_its_own_and_they_share_a_worker(warm: Warm):
    first, second = await pids(warm), await pids(warm)
    assert first[0] != second[0]
    assert first[1] == second[1]
    assert not is_alive(first[0])


async def test_nothing_of_a_request_is_left_for_the_next(warm: Warm):
    assert [await ask(warm, "seen") for _ in range(3)] == ["1", "1", "1"]


async def test_an_answer_may_be_large_and_hold_line_breaks(warm: Warm):
    assert await warm.ask(b"large 3000000", LIMITS) == b"\n" * 3_000_000


async def test_what_a_child_prints_does_not_mix_with_its_answer_and_its_stdin_is_empty(warm: Warm):
    assert await ask(warm, "chatter") == ""
    assert await ask(warm, "seen") == "1"


async def test_no_worker_starts_before_it_is_needed():
    children = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children")
    before = children.read_text()
    async with open_warm(MODULE, workers=2) as warm:
        assert children.read_text() == before
        _, worker = await pids(warm)
        assert (await pids(warm))[1] == worker
        assert len(children.read_text().split()) == len(before.split()) + 1


async def test_two_workers_answer_two_requests_at_once(tmp_path: Path):
    here, there = tmp_path / "here", tmp_path / "there"
    async with open_warm(MODULE, workers=2) as warm:
        answers = await asyncio.gather(ask(warm, f"meet {here} {there}"), ask(warm, f"meet {there} {here}"))
    assert answers == ["met", "met"]


async def test_requests_wait_for_a_free_worker(warm: Warm):
    assert await asyncio.gather(*(ask(warm, "seen") for _ in range(5))) == ["1"] * 5


@pytest.mark.parametrize(
    ("request_", "limits", "told"),
    [
        ("crash", LIMITS, "signal 11"),
        ("spin", Limits(wall=20, cpu=1), "signal"),
        ("hoard", Limits(wall=20, memory=512 << 20), "memory"),
        ("sleep {}", Limits(wall=0.5), "longer"),
    ],
)
async def test_a_child_that_breaks_its_limits_may_be_tried_again(warm: Warm, tmp_path: Path, request_: str, limits: Limits, told: str):
    with pytest.raises(Failure, match=told) as broken:
        await ask(warm, request_.format(tmp_path / "pids"), limits)
    assert broken.value.code is Code.RETRYABLE_ERROR
    assert await ask(warm, "seen") == "1"


async def test_a_late_child_is_killed(warm: Warm, tmp_path: Path):
    await pids(warm)
    with pytest.raises(Failure):
        await ask(warm, f"sleep {tmp_path / 'pids'}", Limits(wall=1))
    for pid in await written(tmp_path / "pids"):
        await until_dead(pid)


async def test_work_that_raises_is_our_fault_and_its_traceback_goes_no_farther_than_the_cause(warm: Warm):
    with pytest.raises(Failure) as broken:
        await ask(warm, "fail secret")
    assert broken.value.code is Code.INTERNAL
    assert "secret" not in broken.value.message
    assert "ValueError: secret" in str(broken.value.__cause__)


async def test_a_module_that_is_missing_is_told():
    async with open_warm("tests.runtime.no_such_module", workers=1) as warm:
        with pytest.raises(Failure, match="lost"):
            await ask(warm, "seen")


async def test_cancelling_kills_the_worker_and_its_child_at_once(warm: Warm, tmp_path: Path):
    work = asyncio.create_task(ask(warm, f"sleep {tmp_path / 'pids'}"))
    child, worker = await written(tmp_path / "pids")
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    await until_dead(child)
    await until_dead(worker)
    assert await ask(warm, "seen") == "1"


async def test_a_worker_killed_while_idle_is_replaced(warm: Warm):
    _, worker = await pids(warm)
    os.kill(worker, signal.SIGKILL)
    assert (await pids(warm))[1] != worker


async def test_a_request_whose_worker_is_killed_is_asked_once_more_and_the_child_dies_with_its_worker(warm: Warm, tmp_path: Path):
    work = asyncio.create_task(ask(warm, f"sleep_once {tmp_path / 'pids'}"))
    child, worker = await written(tmp_path / "pids")
    os.kill(worker, signal.SIGKILL)
    assert await work == "done"
    await until_dead(child)


async def test_a_request_that_loses_two_workers_may_be_tried_again(warm: Warm, tmp_path: Path):
    work = asyncio.create_task(ask(warm, f"sleep {tmp_path / 'pids'}"))
    for _ in range(2):
        _, worker = await written(tmp_path / "pids")
        (tmp_path / "pids").unlink()
        os.kill(worker, signal.SIGKILL)
    with pytest.raises(Failure, match="lost") as lost:
        await work
    assert lost.value.code is Code.RETRYABLE_ERROR


async def test_no_worker_is_left_at_the_end():
    async with open_warm(MODULE, workers=1) as warm:
        _, worker = await pids(warm)
        assert is_alive(worker)
    await until_dead(worker)


async def test_fifty_requests_leave_no_descriptor_open(warm: Warm):
    _, worker = await pids(warm)
    folders = [Path(f"/proc/{pid}/fd") for pid in (os.getpid(), worker)]
    before = [len(list(folder.iterdir())) for folder in folders]
    for _ in range(50):
        await ask(warm, "seen")
    assert [len(list(folder.iterdir())) for folder in folders] == before


async def test_lost_workers_leave_no_descriptor_open(warm: Warm):
    await pids(warm)
    descriptors = Path("/proc/self/fd")
    before = len(list(descriptors.iterdir()))
    for _ in range(5):
        os.kill((await pids(warm))[1], signal.SIGKILL)
    await pids(warm)
    assert len(list(descriptors.iterdir())) == before


@pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG is Linux's")
async def test_workers_and_children_die_with_us_even_when_we_are_killed(tmp_path: Path):
    code = (
        "import asyncio, sys\nfrom libs.common.runtime.process import Limits\nfrom libs.common.runtime.warm_process import open_warm\n"
        f"async def main():\n async with open_warm('{MODULE}', workers=1) as warm:\n"
        "  await warm.ask(('sleep_once ' + sys.argv[1]).encode(), Limits(wall=60))\nasyncio.run(main())"
    )
    asker = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "pids")], cwd=ROOT)  # noqa: ASYNC220  an asker of its own, to be killed
    child, worker = await written(tmp_path / "pids")
    asker.kill()
    asker.wait()
    await until_dead(worker)
    await until_dead(child)
