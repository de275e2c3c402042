"""Every exit code, and what is said with it."""

import json
from pathlib import Path
from uuid import uuid4

import pytest

from clipstream.cli.exits import MEANINGS, Exit, exit_of
from clipstream.errors import Conflict, Gone, Unavailable, WaitTimeout
from tests.clients.cli.typing_in import Shell, at_rest
from tests.whole_stack import System

SECRET = f"ck_1915cf7d-01f1-4ab0-82cc-f6b870fdfe23_{'s' * 32}"


async def test_a_job_that_there_is_not_is_4(shell: Shell) -> None:
    for job_id in (str(uuid4()), "nonsense"):
        said = await shell.run("status", job_id)
        assert (said.code, said.out) == (4, "")
        assert "hint: Check the identifier." in said.err


async def test_a_server_that_is_away_is_6_and_named(shell: Shell) -> None:
    said = await shell.run("list", "--server", "http://127.0.0.1:9", "--json")
    error = json.loads(said.err)["error"]
    assert (said.code, error["code"], error["retryable"]) == (6, "UNREACHABLE", True)
    assert "127.0.0.1:9" in error["message"]


async def test_a_job_that_is_not_done_is_6_to_fetch_and_a_cancelled_one_3(shell: Shell, small: Path, system: System) -> None:
    with at_rest(system, "clipper"):
        job_id = (await shell.run("cut", str(small), "1", "2", "--detach")).out.strip()
        assert (await shell.run("download", job_id)).code == 6
        assert (await shell.run("cancel", job_id)).code == 0
        assert (await shell.run("status", job_id, "--watch")).code == 3
        assert (await shell.run("download", job_id)).code == 3
        assert (await shell.run("status", job_id)).code == 0


async def test_what_can_t_be_done_as_things_stand_is_2(shell: Shell, small: Path) -> None:
    job_id = json.loads((await shell.run("cut", str(small), "1", "2", "--json")).out)["clips"][0]["job"]["id"]
    for command in ("cancel", "retry"):
        said = await shell.run(command, job_id)
        assert (said.code, "error: " in said.err, "hint: " in said.err) == (2, True, True), said
    assert (await shell.run("delete", job_id)).code == 0
    assert (await shell.run("download", job_id)).code == 4


async def test_what_does_not_belong_to_this_server_is_not_taken_for_it(shell: Shell) -> None:
    said = await shell.run("list", "--nonsense", "--json")
    assert (said.code, json.loads(said.err)["error"]["code"]) == (2, "USAGE")
    assert said.out == ""


def test_the_meanings_are_told_apart() -> None:
    assert [
        exit_of(error) for error in (Conflict("CONFLICT", ""), Gone("GONE", ""), Unavailable("BACKPRESSURE", ""), WaitTimeout("", 1))
    ] == [*(Exit.USAGE, Exit.MISSING, Exit.UNAVAILABLE, Exit.UNAVAILABLE)]
    assert len(set(MEANINGS.values())) == len(MEANINGS)


@pytest.mark.parametrize("text", [SECRET, f"X-API-Key: {SECRET}\n", f"  {SECRET}\r\n"])
async def test_a_key_file_is_read_and_its_key_is_never_said(shell: Shell, text: str) -> None:
    (shell.folder / "key").write_text(text)
    said = await shell.run("list", "--key-file", "key", CLIPSTREAM_URL="http://clips.example.com")
    assert said.code == 2, said
    assert "in the clear" in said.err
    assert "sss" not in said.err + said.out


@pytest.mark.parametrize(
    ("text", "wrong"), [(None, "can't be read"), ("", "holds no API key"), ("hunter2", "holds no API key"), ("ck_a\x1bb", "holds no")]
)
async def test_a_key_file_that_holds_none_is_2(shell: Shell, text: str | None, wrong: str) -> None:
    if text is not None:
        (shell.folder / "key").write_text(text)
    said = await shell.run("list", "--key-file", "key")
    assert (said.code, wrong in said.err, "hunter2" in said.err) == (2, True, False), said


@pytest.mark.parametrize("text", ["server = 5", "sever = 'http://x'", "no toml"])
async def test_a_wrong_configuration_is_named(shell: Shell, tmp_path: Path, text: str) -> None:
    (tmp_path / ".config/clipstream").mkdir(parents=True)
    (tmp_path / ".config/clipstream/config.toml").write_text(text)
    said = await shell.run("list")
    assert said.code == 2
    assert "config.toml" in said.err


async def test_the_configuration_says_where_the_server_is_and_where_files_go(shell: Shell, tmp_path: Path, small: Path) -> None:
    (tmp_path / "xdg/clipstream").mkdir(parents=True)
    settings = f'server = "{shell.environ["CLIPSTREAM_URL"]}"\noutput = "{tmp_path}/clips"\n'
    (tmp_path / "xdg/clipstream/config.toml").write_text(settings)
    said = await shell.run("cut", str(small), "1", "2", CLIPSTREAM_URL="", XDG_CONFIG_HOME=str(tmp_path / "xdg"))
    assert said.out.splitlines()[0] == f"{tmp_path}/clips/small-1s-2s.mp4", said
