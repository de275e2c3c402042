"""The set-up's choices, with programs that only pretend; and the Makefile's own list."""

import json
import subprocess
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


def test_a_bare_make_lists_every_command() -> None:
    listed = subprocess.run(["/usr/bin/env", "make", "-C", str(ROOT)], capture_output=True, text=True, check=True).stdout
    for target in ("setup", "demo", "test", "check", "up", "start", "stop", "lock", "clean"):
        assert f"make {target} " in listed
