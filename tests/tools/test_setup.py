"""The set-up's choices, with programs that only pretend; and the Makefile's own list."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tools import setup

ROOT = Path(__file__).resolve().parents[2]
FIT = "#!/bin/sh\necho ' libx264 subtitles '\n"
WITHOUT_LIBASS = "#!/bin/sh\necho ' libx264 '\n"


def program(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder on PATH; the wheels, should they be asked for, are in another."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(setup, "VENV", tmp_path / "venv")
    monkeypatch.setattr(setup, "_install", lambda _: wheels(tmp_path / "venv"))
    (tmp_path / "venv" / "bin").mkdir(parents=True)
    return tmp_path / "bin"


def wheels(venv: Path) -> None:
    for name in ("ffmpeg", "ffprobe"):
        program(venv / "lib/python3.11/site-packages" / f"{name}8_binaries" / "binaries/linux/x86_64" / name, FIT)


def apt_get(path: Path, *, root: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """An apt-get that installs a fit ffmpeg."""
    monkeypatch.setattr("os.geteuid", lambda: 0 if root else 1000)
    install = "; ".join(
        f"printf '{FIT.encode('unicode_escape').decode()}' > {path}/{name}; /bin/chmod 755 {path}/{name}" for name in ("ffmpeg", "ffprobe")
    )
    program(path / "apt-get", "#!/bin/sh\n" + install.replace("' libx264 subtitles '", '" libx264 subtitles "') + "\n")


def test_ffmpeg_on_the_path_is_taken(path: Path) -> None:
    program(path / "ffmpeg", FIT)
    program(path / "ffprobe", FIT)
    assert setup._media_programs() == {"ffmpeg": str(path / "ffmpeg"), "ffprobe": str(path / "ffprobe")}


def test_an_ffmpeg_that_cannot_burn_is_not(path: Path) -> None:
    program(path / "ffmpeg", WITHOUT_LIBASS)
    program(path / "ffprobe", FIT)
    assert setup._media_programs()["ffmpeg"] == str(setup.VENV / "bin" / "ffmpeg")


def test_ffmpeg_without_ffprobe_is_not(path: Path) -> None:
    program(path / "ffmpeg", FIT)
    assert setup._media_programs()["ffprobe"] == str(setup.VENV / "bin" / "ffprobe")


def test_root_installs_the_systems(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    apt_get(path, root=True, monkeypatch=monkeypatch)
    assert setup._media_programs()["ffmpeg"] == str(path / "ffmpeg")


def test_others_take_the_wheels(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    apt_get(path, root=False, monkeypatch=monkeypatch)
    assert setup._media_programs()["ffmpeg"] == str(setup.VENV / "bin" / "ffmpeg")
    assert not (path / "ffmpeg").exists()


class Installs:
    """Counts what `setup` would install, and can be cut short."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.done: list[str] = []
        self.aborts = False
        monkeypatch.setattr(setup, "_make_venv", self.venv)
        monkeypatch.setattr(setup, "_install", self.packages)

    def venv(self) -> None:
        self.done.append("venv")
        program(setup.VENV / "bin" / "python", "")
        (setup.VENV / "lib" / "python3.11" / "site-packages").mkdir(parents=True)

    def packages(self, lock_file: Path) -> None:
        self.done.append(lock_file.name)
        if self.aborts:
            raise KeyboardInterrupt
        if lock_file.name == "ffmpeg.txt":
            wheels(setup.VENV)


@pytest.fixture
def installs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Installs:
    program(path / "ffmpeg", FIT)
    program(path / "ffprobe", FIT)
    monkeypatch.setattr(setup, "REQUIREMENTS", tmp_path)
    (tmp_path / "dev.txt").write_text("one==1\n")
    return Installs(monkeypatch)


def test_a_second_set_up_does_nothing(installs: Installs) -> None:
    assert setup.main() == 0
    assert setup.main() == 0
    assert installs.done == ["venv", "dev.txt"]


def test_another_lock_file_is_installed_over_the_old_one(installs: Installs, tmp_path: Path) -> None:
    setup.main()
    (tmp_path / "dev.txt").write_text("one==2\n")
    setup.main()
    assert installs.done == ["venv", "dev.txt", "dev.txt"]


def test_an_aborted_install_begins_from_nothing(installs: Installs) -> None:
    installs.aborts = True
    with pytest.raises(KeyboardInterrupt):
        setup.main()
    installs.aborts = False
    assert setup.main() == 0
    assert installs.done == ["venv", "dev.txt", "venv", "dev.txt"]


def test_another_python_gets_a_new_environment(installs: Installs, monkeypatch: pytest.MonkeyPatch) -> None:
    setup.main()
    monkeypatch.setattr(setup, "_python_key", lambda: "another")
    setup.main()
    assert installs.done == ["venv", "dev.txt"] * 2


@pytest.mark.usefixtures("installs")
def test_a_vanished_ffmpeg_is_found_anew(path: Path) -> None:
    setup.main()
    (path / "ffmpeg").rename(path / "ffmpeg.old")
    setup.main()
    assert json.loads((setup.VENV / setup.STAMP).read_text())["ffmpeg"] == str(setup.VENV / "bin" / "ffmpeg")


def command_of(checkout: Path) -> Path:
    return checkout / ".venv" / "bin" / "clipstream"


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One whose path has spaces, with the real client and an environment that has what it needs; its set-up is done."""
    checkout = tmp_path / "my own $HOME"
    scripts, packages = checkout / ".venv" / "bin", checkout / ".venv" / "lib" / "python3.11" / "site-packages"
    for folder in (scripts, packages):
        folder.mkdir(parents=True)
    (checkout / "clients").symlink_to(ROOT / "clients")
    program(scripts / "python", f'#!/bin/sh\nPYTHONPATH={ROOT / "clients"} exec {sys.executable} "$@"\n')
    monkeypatch.setattr(setup, "ROOT", checkout)
    monkeypatch.setattr(setup, "VENV", checkout / ".venv")
    setup._link_client()
    return checkout


def test_the_command_runs_from_any_folder_and_through_a_link(checkout: Path, tmp_path: Path) -> None:
    (tmp_path / "linked").symlink_to(command_of(checkout))
    for command in (command_of(checkout), tmp_path / "linked"):
        ran = subprocess.run([command, "cut", "--help"], cwd="/", capture_output=True, text=True, check=True)
        assert ran.stdout.startswith("Usage: clipstream cut")


def test_the_client_is_the_checkouts_own(checkout: Path) -> None:
    [pth] = (checkout / ".venv").glob("lib/python*/site-packages/clipstream.pth")
    assert pth.read_text() == f"{checkout / 'clients'}\n"


def test_a_command_that_is_there_is_left_alone_and_a_broken_one_made_again(checkout: Path) -> None:
    """Another process may be starting it: it is never half there."""
    command = command_of(checkout)
    before = command.stat().st_ino
    setup._link_client()
    assert command.stat().st_ino == before
    whole = command.read_text()
    command.write_text("#!/bin/sh\n")
    setup._link_client()
    assert command.read_text() == whole
    command.chmod(0o644)
    setup._link_client()
    assert os.access(command, os.X_OK)
    assert [path.name for path in command.parent.iterdir() if path.suffix == ".new"] == []


def test_a_checkout_that_was_moved_is_linked_anew(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    moved = checkout.rename(checkout.with_name("moved"))
    monkeypatch.setattr(setup, "ROOT", moved)
    monkeypatch.setattr(setup, "VENV", moved / ".venv")
    setup._link_client()
    assert str(checkout) not in command_of(moved).read_text()
    assert str(moved) in command_of(moved).read_text()


@pytest.mark.parametrize("words", [("-C", "."), ("-f", "Makefile")])
def test_make_works_in_a_folder_with_spaces_from_wherever_it_is_called(words: tuple[str, str], tmp_path: Path) -> None:
    folder = tmp_path / "my own checkout"
    folder.mkdir()
    (folder / "Makefile").write_text((ROOT / "Makefile").read_text() + 'where:\n\t@cd "$(ROOT)" && pwd\n')
    option, name = words
    ran = subprocess.run(["/usr/bin/env", "make", option, str(folder / name), "where"], cwd="/", capture_output=True, text=True, check=True)
    assert str(folder) in ran.stdout.splitlines()
    assert ran.stderr == ""


def test_a_bare_make_lists_every_command() -> None:
    listed = subprocess.run(["/usr/bin/env", "make", "-C", str(ROOT)], capture_output=True, text=True, check=True).stdout
    for target in ("setup", "demo", "test", "check", "up", "start", "stop", "lock", "clean"):
        assert f"make {target} " in listed
