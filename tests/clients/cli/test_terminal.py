"""What moves in a terminal, and what Ctrl-C does there and elsewhere."""

import asyncio
import json
import re
import signal
from pathlib import Path

from tests.clients.cli.typing_in import COMMAND, PATIENCE, Shell, at_rest
from tests.whole_stack import System

CTRL_C = "\x03"


async def test_a_bar_moves_through_the_upload_and_the_stages(shell: Shell, sample: Path) -> None:
    async with shell.typed("cut", str(sample), "0:31", "+8", "--subs", "--burn") as screen:
        assert await screen.ended() == 0, screen.text
    shown = screen.text
    assert "uploading two_cities.mp4 ━" in shown
    assert re.search(r"[0-9.]+ MB/s", shown)
    assert len(set(re.findall(r"([0-9]+) %", shown))) >= 4, shown
    for words in ("cutting ━", "transcribing ━", "burning in the subtitles ━", "downloading ━"):
        assert words in shown
    files = ["mp4", "subbed.mp4", "srt", "vtt", "txt", "json", "jpg"]
    assert [line for line in shown.splitlines() if line.startswith("two_cities-31s-39s.")] == [f"two_cities-31s-39s.{end}" for end in files]
    assert screen.written.rstrip().endswith(b".jpg")


async def test_without_colours_lines_take_the_place_of_bars(shell: Shell, small: Path) -> None:
    async with shell.typed("cut", str(small), "1", "2", NO_COLOR="1") as screen:
        assert await screen.ended() == 0
    assert "━" not in screen.text
    assert "\x1b" not in screen.written.decode()
    assert "\r\ndone\r\n" in screen.text


async def test_ctrl_c_asks_and_a_yes_cancels_the_job(shell: Shell, small: Path, system: System) -> None:
    with at_rest(system, "clipper"):
        async with shell.typed("cut", str(small), "1", "2") as screen:
            await screen.until("cutting|1st in the queue|looking at the source")
            screen.press(CTRL_C)
            await screen.until(r"cancel the job\? \[y/N\]")
            screen.press("y\n")
            job_id = (await screen.until(r"[0-9a-f-]{36}: cancelled"))[:36]
            assert await screen.ended() == 130
    assert (await system.job(job_id))["status"] == "cancelled"


async def test_ctrl_c_and_no_leaves_the_job_and_says_how_to_come_back(shell: Shell, small: Path, system: System) -> None:
    with at_rest(system, "clipper"):
        async with shell.typed("cut", str(small), "1", "2") as screen:
            await screen.until("cutting|1st in the queue|looking at the source")
            screen.press(CTRL_C)
            await screen.until("cancel the job")
            screen.press("\n")
            assert await screen.ended() == 130
    job_id = (await screen.until(r"clipstream download [0-9a-f-]{36}"))[-36:]
    assert f"clipstream status {job_id} --watch" in screen.text
    await system.until(job_id, status="done")


async def test_a_second_ctrl_c_ends_at_once(shell: Shell, small: Path, system: System) -> None:
    with at_rest(system, "clipper"):
        async with shell.typed("cut", str(small), "1", "2") as screen:
            await screen.until("cutting|1st in the queue|looking at the source")
            screen.press(CTRL_C)
            await screen.until("cancel the job")
            screen.press(CTRL_C)
            assert await screen.ended() == 130
    assert "Traceback" not in screen.text


async def test_where_nobody_can_be_asked_an_interrupt_leaves_the_job(shell: Shell, small: Path, system: System) -> None:
    with at_rest(system, "clipper"):
        process = await asyncio.create_subprocess_exec(
            *(*COMMAND, "cut", str(small), "1", "2", "--json"),
            env=shell.environ,
            cwd=shell.folder,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        assert process.stderr
        async with asyncio.timeout(PATIENCE):
            while not re.search(b"queued|looking at|cutting", line := await process.stderr.readline()):
                assert line
        process.send_signal(signal.SIGINT)
        out, err = await process.communicate()
    assert (process.returncode, out) == (130, b"")
    assert "left the job running:" in err.decode()
    assert "clipstream download " in err.decode()


async def test_what_is_told_to_end_leaves_the_terminal_as_it_was(shell: Shell, small: Path, system: System) -> None:
    with at_rest(system, "clipper"):
        async with shell.typed("cut", str(small), "1", "2") as screen:
            await screen.until("cutting|1st in the queue|looking at the source")
            screen.process.terminate()
            assert await screen.ended() == 143
            await screen.until("$")
    assert "Traceback" not in screen.text
    assert screen.written.rfind(b"\x1b[?25h") > screen.written.rfind(b"\x1b[?25l")


async def test_in_forty_columns_an_id_is_still_whole(shell: Shell) -> None:
    listed = json.loads((await shell.run("list", "--limit", "1", "--json")).out)["id"]
    async with shell.typed("list", "--limit", "1", COLUMNS="40") as screen:
        assert await screen.ended() == 0
        await screen.until(listed)


async def test_an_interrupted_upload_says_that_it_goes_on(shell: Shell) -> None:
    with (shell.folder / "large.mp4").open("wb") as file:
        file.truncate(1_000_000_000)
    async with shell.typed("cut", "large.mp4", "1", "2") as screen:
        await screen.until("uploading large.mp4 ━.*MB/s")
        screen.press(CTRL_C)
        assert await screen.ended() == 130
    assert "the same command again goes on where it stopped" in screen.text
