"""Where the command runs: pipes that nobody reads, encodings without the letters, disks that are full, files that are none."""

import asyncio
import errno
import os
import subprocess
from pathlib import Path

import pytest

from clipstream.cli.complaints import complain
from clipstream.cli.exits import Exit
from tests.clients.cli.typing_in import COMMAND, Shell


@pytest.mark.parametrize("words", ["list", "doctor --server nonsense"])
async def test_a_reader_that_went_away_is_no_error(shell: Shell, words: str) -> None:
    """`| head -1`, where head was faster."""
    ours, theirs = os.pipe()
    os.close(ours)
    process = await asyncio.create_subprocess_exec(*COMMAND, *words.split(), env=shell.environ, stdout=theirs, stderr=subprocess.PIPE)
    os.close(theirs)
    _, err = await process.communicate()
    assert (process.returncode, err) == (Exit.NOBODY_READS, b"")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8:strict"])
async def test_a_name_that_the_terminal_can_t_write_stops_nothing(shell: Shell, small: Path, encoding: str) -> None:
    (shell.folder / "größe 🎬\udcff.mp4").write_bytes(small.read_bytes())
    said = await shell.run("cut", "größe 🎬\udcff.mp4", "1", "2", "--json", PYTHONIOENCODING=encoding)
    plain = await shell.run("download", said.out.partition('"id": "')[2][:36], "--name", "größe 🎬", PYTHONIOENCODING=encoding)
    assert (said.code, plain.code) == (0, 0), said.err + plain.err
    assert (shell.folder / "größe 🎬.mp4").stat().st_size > 0


def test_a_full_disk_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert complain(OSError(errno.ENOSPC, "No space left on device"), as_json=False) is Exit.USAGE
    assert "error: No space left on device" in capsys.readouterr().err


async def test_files_that_can_t_be_fetched_are_found_again(shell: Shell, small: Path) -> None:
    said = await shell.run("cut", str(small), "1", "2", "-o", "/proc/nowhere")
    job_id = said.err.partition("clipstream download ")[2][:36]
    assert (said.code, (await shell.run("download", job_id)).code) == (2, 0)


@pytest.mark.parametrize(
    ("video", "words"), [("folder.mp4", "a folder"), ("/dev/null", "no ordinary file"), ("none.mp4", "no file none.mp4")]
)
async def test_what_is_no_file_is_told_apart(shell: Shell, video: str, words: str) -> None:
    (shell.folder / "folder.mp4").mkdir()
    said = await shell.run("cut", video, "1", "2")
    assert said.code == 2
    assert words in said.err


async def test_a_file_that_looks_like_an_option_is_explained(shell: Shell) -> None:
    assert "written ./-name" in (await shell.run("cut", "-talk.mp4", "1", "2")).err
