"""compose.yaml as Docker would read it, with the variables of a new .env filled in."""

import re
import subprocess
from collections.abc import Mapping
from functools import cache
from typing import Any

import yaml

from tools.setup import ROOT

FILE = ROOT / "compose.yaml"
NEW_ENV = ROOT / "deploy" / "compose" / "new-env.sh"
_VARIABLE = re.compile(r"\$\{(\w+)(?::([-?])([^}]*))?\}")


def new_env() -> dict[str, str]:
    """What new-env.sh prints, as Docker reads an .env file."""
    printed = subprocess.run(["sh", str(NEW_ENV)], capture_output=True, text=True, check=True, timeout=10).stdout
    lines = [line for line in printed.splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


@cache
def composed() -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load(filled(FILE.read_text(), new_env()))
    return read


def filled(text: str, env: Mapping[str, str]) -> str:
    """KeyError for a variable that must be set and is not."""

    def value(found: re.Match[str]) -> str:
        name, mode, otherwise = found.groups()
        return env.get(name) or otherwise if mode == "-" else env[name]

    return _VARIABLE.sub(value, text)


def services() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = composed()["services"]
    return found


def environ(name: str) -> dict[str, str]:
    return {variable: str(value) for variable, value in services()[name].get("environment", {}).items()}


def mounts(name: str) -> dict[str, str]:
    """From the path in the container to that in the checkout: what is mounted read only."""
    volumes = (volume.split(":") for volume in services()[name].get("volumes", []))
    return {parts[1]: parts[0] for parts in volumes if len(parts) == 3 and parts[2] == "ro"}


def required() -> set[str]:
    """Variables without which Docker refuses to begin."""
    return {name for name, mode, _ in _VARIABLE.findall(FILE.read_text()) if mode != "-"}
