"""The programs that check what we deploy: kubectl, hadolint, and a Python that has kubernetes-validate."""

from pathlib import Path

from tests.deploy.environments import environment
from tools.lock import REQUIREMENTS


def program(name: str) -> Path:
    """The path of `kubectl`, `hadolint`, `kubernetes-validate` or `python` of the environment of requirements/deploy.txt."""
    return environment("programs", REQUIREMENTS / "deploy.txt") / "bin" / name
