"""How much memory is in use where this process runs, and how much there may be: by its control group, else by its machine (Linux)."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

KIB = 1024


@dataclass(frozen=True, slots=True)
class MemoryUse:
    """Bytes. A limit of 0: nobody can say."""

    used: int
    limit: int

    @property
    def ratio(self) -> float:
        return self.used / self.limit if self.limit else 0.0


@dataclass(frozen=True, slots=True)
class _Version:
    """Of control groups: where they lie, and what their files are called."""

    folder: str
    limit: str
    used: str
    reclaimable: str


_VERSIONS = (
    _Version("", "memory.max", "memory.current", "inactive_file"),
    _Version("memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)


def memory_use(proc: Path = Path("/proc"), groups: Path = Path("/sys/fs/cgroup")) -> MemoryUse:
    """Of the control group that is nearest to its limit; where none has one, of this process and its children on the machine."""
    machine = _kib(proc / "meminfo", "MemTotal")
    limited = [use for use in _of_groups(proc, groups) if use.limit < machine or not machine]
    return max(limited, key=lambda use: use.ratio, default=None) or MemoryUse(_of_tree(proc), machine)


def _of_groups(proc: Path, groups: Path) -> Iterator[MemoryUse]:
    """From our own up to the root; within a container only the last may be seen. v1 has a limit beyond all machines for none."""
    for line in _text(proc / "self" / "cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        version = _VERSIONS[0] if not controllers else _VERSIONS[1] if "memory" in controllers.split(",") else None
        if version is None:
            continue
        ours = Path(path.lstrip("/"))
        for group in (ours, *ours.parents):
            with suppress(OSError, ValueError):
                yield _of_group(groups / version.folder / group, version)


def _of_group(group: Path, version: _Version) -> MemoryUse:
    """Less what the kernel gives back before it kills anybody. ValueError where there is no limit ("max")."""
    limit = int((group / version.limit).read_text())
    used = int((group / version.used).read_text())
    return MemoryUse(max(0, used - _number(group / "memory.stat", version.reclaimable)), limit)


def _of_tree(proc: Path, process: str = "self") -> int:
    """What a process and its children have for themselves; pages that a fork shares count twice."""
    own = sum(_kib(proc / process / "status", name) for name in ("RssAnon", "RssShmem"))
    return own + sum(_of_tree(proc, child) for task in _tasks(proc / process) for child in _text(task / "children").split())


def _tasks(process: Path) -> list[Path]:
    with suppress(OSError):
        return list((process / "task").iterdir())
    return []


def _kib(file: Path, name: str) -> int:
    return _number(file, f"{name}:") * KIB


def _number(file: Path, name: str) -> int:
    """Of the line that begins with this name; 0 where there is none."""
    found = (line.split() for line in _text(file).splitlines())
    return next((int(words[1]) for words in found if words and words[0] == name), 0)


def _text(file: Path) -> str:
    with suppress(OSError):
        return file.read_text(errors="replace")
    return ""
