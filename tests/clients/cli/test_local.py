"""A laptop with nothing set up: `cut` starts the local stack, every command finds it, operators operate it, `down` stops it."""

import json
import os
import shutil
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.clients.cli.typing_in import Said, Shell, environ_of, run

ROOT = Path(__file__).parents[3]


@dataclass(frozen=True)
class Laptop:
    """`first` is what the first command ever said there; `key` is the operator's, in a file."""

    shell: Shell
    first: Said
    key: Path


@pytest.fixture(scope="module")
async def laptop(tmp_path_factory: pytest.TempPathFactory, small: Path) -> AsyncIterator[Laptop]:
    home, folder = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("folder")
    shell = Shell(folder, environ_of(home, CLIPSTREAM_HOME=str(home / "stack"), PORT="0", ADMIN_ENABLED="true"))
    try:
        first = await shell.run("cut", str(small), "1", "2")
        yield Laptop(shell, first, await operators_key(shell))
    finally:
        assert (await shell.run("down")).code == 0


async def operators_key(shell: Shell) -> Path:
    script = ["exec", "--", sys.executable, "-m", "services.api.keys_command", "create", "--name", "ops", "--scope", "admin"]
    made = await run(*script, environ=shell.environ, folder=ROOT, command=(sys.executable, "-m", "tools.stack"))
    assert made.code == 0, made
    (shell.folder / "ops").write_text(made.out)
    return shell.folder / "ops"


async def test_cut_starts_the_local_stack_where_there_is_none_and_says_so(laptop: Laptop) -> None:
    assert (laptop.first.code, laptop.first.out.split()[0]) == (0, "small-1s-2s.mp4"), laptop.first
    assert "no server is configured: starting the local one … (`clipstream down` stops it)" in laptop.first.err


async def test_what_runs_is_found_and_up_says_where_it_is(laptop: Laptop) -> None:
    up = await laptop.shell.run("up", "--json")
    assert json.loads(up.out)["url"].startswith("http://127.0.0.1:"), up
    listed = await laptop.shell.run("list", "--json")
    assert [json.loads(line)["status"] for line in listed.out.splitlines()] == ["done"], listed


async def test_up_does_not_pretend_to_change_a_stack_that_runs(laptop: Laptop) -> None:
    said = await laptop.shell.run("up", "--urls")
    assert (said.code, "`clipstream down` first" in said.err) == (6, True)


async def test_a_url_is_refused_with_the_server_s_own_hint(laptop: Laptop) -> None:
    said = await laptop.shell.run("cut", "https://example.com/watch/17", "1", "2")
    assert said.code == 5
    assert "hint: This service takes uploads only" in said.err


async def test_keys_are_made_listed_rotated_and_revoked(laptop: Laptop) -> None:
    ops = ("--key-file", str(laptop.key))
    made = await laptop.shell.run("keys", "create", "acme", "--scope", "jobs:read", *ops)
    key, key_id = made.out.strip(), made.err.strip()[-36:]
    assert key.startswith(f"ck_{key_id}_"), made
    rotated = json.loads((await laptop.shell.run("keys", "rotate", key_id, "--json", *ops)).out)
    assert rotated["key"]["name"] == "acme"
    assert (await laptop.shell.run("keys", "revoke", rotated["key"]["id"], *ops)).code == 0
    listed = (await laptop.shell.run("keys", "list", *ops)).out
    assert [line.split()[1] for line in listed.splitlines()] == ["NAME", "acme", "acme", "ops"]
    assert "revoked" in listed
    assert key not in listed


async def test_the_operator_s_commands_want_a_key(laptop: Laptop) -> None:
    for command in (("keys", "list"), ("dlq", "list"), ("overview",)):
        said = await laptop.shell.run(*command)
        assert (said.code, "hint: Send a valid API key" in said.err) == (5, True), said


async def test_a_dead_letter_is_listed_shown_replayed_and_discarded(laptop: Laptop) -> None:
    ops = ("--key-file", str(laptop.key))
    (laptop.shell.folder / "no.mp4").write_bytes(os.urandom(4096))
    failed = await laptop.shell.run("cut", "no.mp4", "1", "2")
    assert failed.code == 3, failed
    letters = [json.loads(line) for line in (await laptop.shell.run("dlq", "list", "--json", *ops)).out.splitlines()]
    [letter] = [each for each in letters if each["code"] == "SOURCE_UNREADABLE"]
    seq = str(letter["seq"])
    assert letter["jobId"] in (await laptop.shell.run("dlq", "show", seq, *ops)).out
    asked = await laptop.shell.run("dlq", "replay", "--all", *ops)
    assert (asked.code, "add --yes" in asked.err) == (2, True)
    replayed = await laptop.shell.run("dlq", "replay", seq, *ops)
    assert (replayed.code, replayed.out) == (0, f"{seq}: job {letter['jobId']} runs again at resolver\n"), replayed
    assert (await laptop.shell.run("status", letter["jobId"], "--watch")).code == 3
    [again] = [json.loads(line)["seq"] for line in (await laptop.shell.run("dlq", "list", "--json", *ops)).out.splitlines()]
    discarded = await laptop.shell.run("dlq", "discard", str(again), "--yes", *ops)
    assert (discarded.code, discarded.err) == (0, f"the letter {again} is deleted\n")
    assert (await laptop.shell.run("dlq", "list", *ops)).out.splitlines()[1:] == []
    assert (await laptop.shell.run("dlq", "show", "999999", *ops)).code == 4


async def test_the_overview_has_the_operator_s_numbers(laptop: Laptop) -> None:
    said = await laptop.shell.run("overview", "--key-file", str(laptop.key))
    assert said.code == 0, said
    assert "dead letters" in said.out
    assert "STAGE" in said.out


async def test_without_a_server_or_a_checkout_two_lines_say_what_to_do(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "clients/clipstream", tmp_path / "site/clipstream", ignore=shutil.ignore_patterns("__pycache__"))
    shell = Shell(tmp_path, environ_of(tmp_path, PYTHONPATH=str(tmp_path / "site")))
    nothing = await shell.run("list")
    assert (nothing.code, "`clipstream up` starts one" in nothing.err) == (6, True), nothing
    said = await shell.run("up")
    assert said.code == 6
    assert "There is no checkout of Clipstream here" in said.err
    assert "--server URL" in said.err
