"""Environments that hold one lock file's packages and nothing else, in .venv-deploy: made once, again when the lock file changes."""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from tools.lock import TOOLS, install_uv
from tools.setup import ROOT

FOLDER = ROOT / ".venv-deploy"
STAMP = "made-from"
OPEN_TO_ALL = 0o005
COMPILED_BY_IMPORTING = """
import importlib, pkgutil, sys
package = importlib.import_module(sys.argv[1])
for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
"""
"""The bytecode of what the service of that name imports: to compile all packages takes five times as long. Others may not write it."""


def environment(name: str, lock_file: Path) -> Path:
    """The environment's folder, with the lock file's packages by their hashes. Any user may run its programs."""
    folder = FOLDER / name
    with _alone(name):
        key = hashlib.sha256(lock_file.read_bytes() + interpreter().encode()).hexdigest()
        if not (folder / STAMP).exists() or (folder / STAMP).read_text() != key:
            _make(folder, lock_file)
            (folder / STAMP).write_text(key)
    return folder


@cache
def interpreter() -> str:
    """Our own Python, or the system's where ours lies in a folder that is closed to other users."""
    base = str(getattr(sys, "_base_executable", sys.executable))
    usual = (shutil.which(f"python3.{minor}", path="/usr/local/bin:/usr/bin") for minor in (11, 12, 13))
    return next((python for python in (base, *usual) if python and _is_open(Path(python).resolve())), base)


def can_be_another() -> bool:
    """Whether we may run a service as another user: as root, where that user may look at the checkout and at Python."""
    return os.geteuid() == 0 and _is_open(FOLDER) and _is_open(Path(interpreter()).resolve())


def _is_open(program: Path) -> bool:
    return all(path.stat().st_mode & OPEN_TO_ALL == OPEN_TO_ALL for path in (program, *program.parents))


@contextmanager
def _alone(name: str) -> Iterator[None]:
    """Two test workers may want it at once."""
    FOLDER.mkdir(exist_ok=True)
    with (FOLDER / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _make(folder: Path, lock_file: Path) -> None:
    """From nothing, so that no package of an earlier lock file stays."""
    shutil.rmtree(folder, ignore_errors=True)
    _uv("venv", "--python", interpreter(), str(folder))
    _uv(
        "pip",
        "install",
        "--python",
        str(folder / "bin" / "python"),
        "--require-hashes",
        "--requirement",
        str(lock_file),
    )
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    command = [str(folder / "bin" / "python"), "-c", COMPILED_BY_IMPORTING, f"services.{folder.name}"]
    subprocess.run(command, cwd=ROOT, env=environ, stderr=subprocess.DEVNULL, check=False, timeout=600)


def _uv(*arguments: str) -> None:
    """Packages are hard links into uv's cache in .venv-tools, so that five environments take the room of one."""
    options = ("--quiet", "--no-config", "--cache-dir", str((TOOLS / "cache").resolve()))
    subprocess.run([_program(), *options, *arguments], stdin=subprocess.DEVNULL, check=True, timeout=600)


def _program() -> str:
    own = TOOLS / "bin" / "uv"
    if found := shutil.which("uv"):
        return found
    with _alone("uv"):
        if not own.exists():
            install_uv()
    return str(own)
