"""prometheus and promtool: those on PATH, else out of Debian's package, unpacked beside .venv. Nothing is installed, no daemon started."""

import fcntl
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tools.setup import ROOT

PACKAGE = "prometheus"
UNPACKED = ROOT / ".venv-tools" / PACKAGE
MISSING = "Neither PATH nor apt-get has Prometheus: install the package `prometheus` (Debian), or put `prometheus` and `promtool` on PATH."


class NoPrometheus(RuntimeError):
    """It can't be had on this machine; the message says what to install."""


def program(name: str) -> str:
    """The path of `prometheus` or `promtool`; fetched at the first call, 19 MB. Raises NoPrometheus."""
    if found := shutil.which(name):
        return found
    unpacked = UNPACKED / "usr" / "bin" / name
    if not unpacked.exists():
        with _alone():
            if not unpacked.exists():
                _unpack()
    return str(unpacked)


@contextmanager
def _alone() -> Iterator[None]:
    """Two test workers may want it at once."""
    UNPACKED.parent.mkdir(parents=True, exist_ok=True)
    with UNPACKED.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _unpack() -> None:
    """Whole or not at all: the folder gets its name when all is in it."""
    with tempfile.TemporaryDirectory(dir=UNPACKED.parent) as folder:
        draft = Path(folder)
        if not _download(draft):
            _ran(["apt-get", "-qq", "-o", "DPkg::Lock::Timeout=300", "update"], draft)
            if not _download(draft):
                raise NoPrometheus(MISSING)
        [package] = draft.glob("*.deb")
        if not _ran(["dpkg-deb", "--extract", str(package), str(draft / "files")], draft):
            raise NoPrometheus(MISSING)
        (draft / "files").rename(UNPACKED)


def _download(into: Path) -> bool:
    return _ran(["apt-get", "-qq", "-o", "APT::Sandbox::User=root", "download", PACKAGE], into)


def _ran(argv: list[str], folder: Path) -> bool:
    try:
        return subprocess.run(argv, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=300).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False
