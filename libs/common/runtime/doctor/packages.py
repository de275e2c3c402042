"""The Python packages that are installed, held to the lock file that the service was tested with. Pure but for the reading."""

import re
import sys
from collections.abc import Mapping
from importlib.metadata import distributions
from pathlib import Path

from libs.common.runtime.doctor.findings import Seen, failed, ok, skipped, warning

REQUIREMENTS = Path(__file__).parents[4] / "requirements"
LEAST_PYTHON = (3, 11)
_LOCKED = re.compile(r"^([A-Za-z0-9._-]+)==(\S+)( ;)?", re.MULTILINE)
_SHOWN = 3


def python_seen(version: tuple[int, int] = sys.version_info[:2]) -> Seen:
    text = f"Python {'.'.join(map(str, version))}"
    return ok(text) if version >= LEAST_PYTHON else failed(f"{text} is too old", "Use Python 3.11 or later.")


def packages_seen(service: str) -> Seen:
    lock = REQUIREMENTS / f"{service}.txt"
    if not lock.is_file():
        return skipped(f"requirements/{service}.txt is not here")
    installed = {canonical(each.metadata["Name"]): each.version for each in distributions()}
    return held_to(lock.read_text(), installed, lock.name)


def held_to(lock: str, installed: Mapping[str, str], name: str) -> Seen:
    """A package may be locked at several versions, or only for other machines: by markers, which are not read."""
    versions: dict[str, set[str]] = {}
    everywhere = set()
    for package, version, marker in _LOCKED.findall(lock):
        versions.setdefault(canonical(package), set()).add(version)
        everywhere |= set() if marker else {canonical(package)}
    others = sorted(p for p, locked in versions.items() if p in installed and installed[p] not in locked)
    if missing := sorted(everywhere - installed.keys()):
        return failed(f"not installed: {_some(missing)}", f"pip install --require-hashes -r requirements/{name}")
    if others:
        return warning(f"not the locked version: {_some(others)}", f"pip install --require-hashes -r requirements/{name}")
    return ok(f"{len(versions.keys() & installed.keys())} at the versions of requirements/{name}")


def canonical(name: str) -> str:
    """PEP 503."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _some(names: list[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
