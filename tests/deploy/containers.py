"""Containers without an engine: a target's own files, read only, its lock file's packages and nothing else, its entry, as its user.

Not its base image: the Python, ffmpeg and psql of this machine stand in for Debian's.
"""

import os
import shlex
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp

from tests.deploy import recipe
from tests.deploy.environments import can_be_another, environment
from tools.setup import REQUIREMENTS, read_stamp

BEYOND_PYTHON = ("ffmpeg", "postgresql-client")
"""Packages whose programs a target finds beside its environment's own."""


@dataclass(frozen=True)
class Container:
    """`root` is what the working directory is; only `scratch` and `temporary` can be written to."""

    target: str
    root: Path
    scratch: Path
    temporary: Path
    environ: Mapping[str, str]

    def command(self, *words: str) -> str:
        """What the entry runs after its init, or other words; as the image's user where we may choose."""
        user = recipe.last(self.target, "USER").partition(":")[0]
        as_user = [_program("setpriv"), f"--reuid={user}", f"--regid={user}", "--clear-groups", "--pdeathsig=TERM", "--no-new-privs"]
        inside = [_program("env"), f"--chdir={self.root}", *(words or recipe.entry(self.target)[2:] or recipe.command(self.target))]
        return shlex.join([*as_user, *inside] if can_be_another() else inside)

    def written(self) -> list[Path]:
        """Files that lie where a container's root would refuse them, or would forget them."""
        given = {self.root / to for to in recipe.files(self.target).values()}
        return [path for path in (*self.root.rglob("*"), *self.temporary.rglob("*")) if path.is_file() and path not in given]


def _program(name: str) -> str:
    found = shutil.which(name)
    assert found, f"{name} is not on PATH"
    return found


@contextmanager
def container(target: str, servers: Mapping[str, str]) -> Iterator[Container]:
    """Its files are gone at the end. In a folder of its own: pytest's are closed to other users."""
    home = Path(mkdtemp(prefix=f"clipstream-{target}-"))
    home.chmod(0o755)
    try:
        root, scratch, temporary = (_folder(home / name) for name in ("app", "scratch", "tmp"))
        for path, to in recipe.files(target).items():
            (root / to).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, root / to)
        _closed(root)
        for folder in (scratch, temporary):
            folder.chmod(0o777)
        yield Container(target, root, scratch, temporary, _environ(target, scratch, temporary) | servers)
    finally:
        _opened(home)
        shutil.rmtree(home)


def _folder(path: Path) -> Path:
    path.mkdir()
    return path


def _closed(root: Path) -> None:
    for path in (root, *root.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)


def _opened(home: Path) -> None:
    for path in home.rglob("*"):
        if path.is_dir():
            path.chmod(0o755)


def _environ(target: str, scratch: Path, temporary: Path) -> dict[str, str]:
    """The image's own variables and no other, but for what this machine has elsewhere."""
    places = {"HOME": str(temporary), "TMPDIR": str(temporary), "XDG_CACHE_HOME": str(temporary / ".cache"), "SCRATCH_DIR": str(scratch)}
    path = os.pathsep.join([str(packages(target) / "bin"), *_beside(target)])
    return {**recipe.pairs(target, "ENV"), **places, **_model(target), "PATH": path, "HOST": "127.0.0.1", "HEALTH_HOST": "127.0.0.1"}


def packages(target: str) -> Path:
    lock = recipe.lock_file(target)
    return environment(lock.stem, lock)


def _beside(target: str) -> list[str]:
    """Folders of the programs that the target installs with apt-get; others find nothing but Python's."""
    installed = " ".join(text for stage in recipe.chain(target) for text in stage.all("RUN"))
    programs = {"ffmpeg": read_stamp(Path(sys.prefix)).get("ffmpeg") or shutil.which("ffmpeg"), "postgresql-client": shutil.which("env")}
    return [str(Path(programs[name] or "").parent) for name in BEYOND_PYTHON if name in installed]


def _model(target: str) -> dict[str, str]:
    if "PYTHONPATH" not in recipe.pairs(target, "ENV"):
        return {}
    [folder] = environment("model", REQUIREMENTS / "model.txt").glob("lib/python*/site-packages")
    return {"PYTHONPATH": str(folder)}
