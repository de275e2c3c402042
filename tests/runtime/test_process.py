"""Programs are run on real processes: what they give, what holds them, and that nothing of them stays."""

import asyncio
import os
import signal
import subprocess
import sys
from asyncio.subprocess import DEVNULL
from pathlib import Path

import pytest

from libs.common.domain.failures import Code, Failure
from libs.common.runtime.process import LINE_BYTES, STDERR_BYTES, Limits, kill_group, run, spawn

LIMITS = Limits(wall=20)


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def is_alive(pid: int) -> bool:
    """A zombie is not: nobody may have reaped a grandchild yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def until_dead(pid: int) -> None:
    async with asyncio.timeout(20):
        while is_alive(pid):
            await asyncio.sleep(0.01)


PARENT = "import subprocess,sys; p=subprocess.Popen(['sleep','60']); print(p.pid, flush=True); p.wait()"


async def test_a_program_gives_its_code_and_its_output():
    ended = await run(python("import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)"), limits=LIMITS)
    assert (ended.code, ended.stdout, ended.stderr) == (3, b"out\n", "err\n")


async def test_stdin_is_empty_unless_given():
    echo = python("import sys; sys.stdout.write(sys.stdin.read().upper())")
    assert (await run(echo, limits=LIMITS)).stdout == b""
    assert (await run(echo, limits=LIMITS, stdin=b"abc" * 100_000)).stdout == b"ABC" * 100_000


async def test_a_program_that_reads_none_of_its_input_is_no_error():
    assert (await run(["true"], limits=LIMITS, stdin=b"x" * 5_000_000)).code == 0


async def test_lines_come_as_they_are_written_and_long_ones_are_cut():
    lines: list[str] = []

    async def keep(line: str) -> None:
        lines.append(line)

    await run(python("print('a'); print('b' * 1_000_000); print('c', end='')"), limits=LIMITS, on_line=keep)
    assert [line[:1] for line in lines] == ["a", "b", "c"]
    assert len(lines[1]) == LINE_BYTES


async def test_only_the_end_of_stderr_is_kept():
    ended = await run(python("import sys; sys.stderr.write('x' * 1_000_000 + 'end')"), limits=LIMITS)
    assert len(ended.stderr) == STDERR_BYTES
    assert ended.stderr.endswith("end")


async def test_secrets_in_our_environment_are_not_passed_on(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("S3_SECRET_ACCESS_KEY", "hunter2")
    ended = await run(["env"], limits=LIMITS)
    assert b"PATH=" in ended.stdout
    assert b"hunter2" not in ended.stdout


async def test_a_late_program_is_killed_with_its_children_and_may_be_tried_again():
    pids: list[int] = []

    async def keep(line: str) -> None:
        pids.append(int(line))

    with pytest.raises(Failure) as late:
        await run(python(PARENT), limits=Limits(wall=0.5), on_line=keep)
    assert late.value.code is Code.RETRYABLE_ERROR
    await until_dead(pids[0])


async def test_cancelling_kills_the_whole_group_at_once():
    started = asyncio.get_running_loop().create_future()

    async def keep(line: str) -> None:
        started.set_result(int(line))

    work = asyncio.create_task(run(python(PARENT), limits=LIMITS, on_line=keep))
    grandchild = await started
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    await until_dead(grandchild)


async def test_a_reader_that_raises_ends_the_program_with_its_own_error():
    async def refuse(line: str) -> None:
        raise KeyError(line)

    began = asyncio.get_running_loop().time()
    with pytest.raises(KeyError):
        await run(python("import time\nwhile True: print('y' * 999)"), limits=LIMITS, on_line=refuse)
    assert asyncio.get_running_loop().time() - began < 10


async def test_many_killed_programs_are_each_reaped_once(caplog: pytest.LogCaptureFixture):
    async def refuse(_: str) -> None:
        raise KeyError

    endless = [run(["yes", "x" * 500], limits=LIMITS, on_line=refuse, stdin=b"y" * 999_999) for _ in range(20)]
    ended = await asyncio.gather(*endless, return_exceptions=True)
    assert all(isinstance(error, KeyError) for error in ended)
    assert caplog.text == ""


async def test_a_timeout_within_the_reader_is_not_taken_for_the_deadline():
    async def late(_: str) -> None:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        await run(["echo", "x"], limits=LIMITS, on_line=late)


async def test_memory_and_files_and_cpu_are_limited(tmp_path: Path):
    greedy = await run(python("x = bytearray(1 << 30)"), limits=Limits(wall=20, memory=256 << 20))
    assert greedy.code != 0
    assert "MemoryError" in greedy.stderr
    large = await run(["head", "-c", "2M", "/dev/zero"], limits=Limits(wall=20, file_size=1))
    assert large.code == 0
    written = await run(["dd", "if=/dev/zero", "of=big", "bs=1M", "count=9"], limits=Limits(wall=20, file_size=1 << 20), cwd=tmp_path)
    assert written.code == -signal.SIGXFSZ
    assert (tmp_path / "big").stat().st_size == 1 << 20
    busy = await run(python("while True: pass"), limits=Limits(wall=20, cpu=1))
    assert busy.code in {-signal.SIGXCPU, -signal.SIGKILL}


async def test_a_program_that_is_missing_is_our_fault():
    with pytest.raises(Failure) as missing:
        await run(["/nowhere/ffmpeg", "secret"], limits=LIMITS)
    assert missing.value.code is Code.INTERNAL
    assert "secret" not in missing.value.message


async def test_a_spawned_program_talks_until_it_is_killed():
    process = await spawn(["cat"], limits=Limits(wall=1), stderr=DEVNULL)
    assert process.stdin
    assert process.stdout
    process.stdin.write(b"hello\n")
    assert await process.stdout.readline() == b"hello\n"
    await kill_group(process)
    assert process.returncode == -signal.SIGKILL
    await kill_group(process)


@pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG is Linux's")
async def test_programs_die_with_us_even_when_we_are_killed():
    code = (
        "import asyncio\nfrom libs.common.runtime.process import spawn\n"
        "async def main():\n p = await spawn(['sleep', '60']); print(p.pid, flush=True); await p.wait()\nasyncio.run(main())"
    )
    worker = subprocess.Popen(python(code), stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": os.getcwd()})  # noqa: ASYNC220, PTH109  a worker of its own, to be killed
    assert worker.stdout
    child = int(worker.stdout.readline())
    assert is_alive(child)
    worker.kill()
    worker.wait()
    worker.stdout.close()
    await until_dead(child)
