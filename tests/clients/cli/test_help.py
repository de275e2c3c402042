"""What the command says of itself."""

import os
import re
import resource
import subprocess
import sys
from pathlib import Path

import click
import pytest

from clipstream.cli.commands import ENTRIES, SECTIONS
from clipstream.cli.exits import MEANINGS
from clipstream.cli.main import clipstream
from tests.clients.cli.typing_in import COMMAND, environ_of

BUDGET = 0.3
"""Seconds until --help has been said."""


def said(*argv: str, home: Path, **variables: str) -> str:
    done = subprocess.run([*COMMAND, *argv], env=environ_of(home, **variables), cwd=home, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done
    return done.stdout


def commands() -> list[tuple[str, ...]]:
    """All of them, those of groups too."""
    context = click.Context(clipstream)
    found = {name: clipstream.get_command(context, name) for name in ENTRIES}
    inner = [(name, each) for name, command in found.items() if isinstance(command, click.Group) for each in command.commands]
    return [(name,) for name in found] + inner


def test_alone_it_shows_the_most_used_commands_first_and_every_exit_code(tmp_path: Path) -> None:
    text = said(home=tmp_path)
    assert text == said("--help", home=tmp_path)
    assert re.findall(r"^  ([a-z]+)  ", text.split("Most used:")[1], re.MULTILINE)[:3] == ["cut", "status", "list"]
    assert [meaning for meaning in MEANINGS.values() if meaning not in text] == []


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_each_command_says_what_it_does_with_examples_of_itself(words: tuple[str, ...]) -> None:
    context, command = click.Context(clipstream, info_name="clipstream"), None
    for word in words:
        command = (context.command if isinstance(context.command, click.Group) else clipstream).get_command(context, word)
        assert command
        context = click.Context(command, info_name=word, parent=context)
    assert command
    text = command.get_help(context)
    assert f"clipstream {' '.join(words)}" in text.split("Examples:")[1]


@pytest.mark.parametrize("section", SECTIONS)
def test_the_table_names_commands_that_there_are(section: str) -> None:
    for name in SECTIONS[section]:
        found = clipstream.get_command(click.Context(clipstream), name)
        assert found
        assert found.name == name


def test_help_is_there_at_once(tmp_path: Path) -> None:
    assert min(seconds_of_help(tmp_path) for _ in range(3)) < BUDGET


def seconds_of_help(home: Path) -> float:
    """Of a processor: what else runs on this machine is not counted."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    said("--help", home=home)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def test_help_loads_neither_http_nor_drawing(tmp_path: Path) -> None:
    script = (
        "import sys; from clipstream.cli.main import main; main(['--help']); print(sorted({'httpx', 'rich', 'msgspec'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], env=environ_of(tmp_path), capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_a_completion_script(shell: str, tmp_path: Path) -> None:
    assert "_CLIPSTREAM_COMPLETE" in said("completion", shell, home=tmp_path)


def test_bash_completes_commands_and_options(tmp_path: Path) -> None:
    bin_folder = tmp_path / "bin"
    bin_folder.mkdir()
    (bin_folder / "clipstream").write_text(f'#!/bin/sh\nexec {sys.executable} -m clipstream.cli "$@"\n')
    (bin_folder / "clipstream").chmod(0o755)
    (tmp_path / "script").write_text(said("completion", "bash", home=tmp_path))
    typed = 'source ./script; COMP_WORDS=(clipstream c); COMP_CWORD=1; _clipstream_completion clipstream; echo "${COMPREPLY[@]}"'
    environ = environ_of(tmp_path, PATH=f"{bin_folder}{os.pathsep}{os.environ['PATH']}")
    done = subprocess.run(["bash", "-c", typed], env=environ, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert sorted(done.stdout.split()) == ["cancel", "completion", "cut"]


def test_the_version_is_said(tmp_path: Path) -> None:
    assert re.fullmatch(r"clipstream \S.*\n", said("--version", home=tmp_path))
