"""Prometheus's programs, where they come from."""

import subprocess
from pathlib import Path

import pytest

from tools.monitoring import programs


@pytest.mark.parametrize("name", ["prometheus", "promtool"])
def test_both_programs_run(name: str) -> None:
    assert subprocess.run([programs.program(name), "--version"], capture_output=True, check=True, timeout=30).stdout.startswith(
        name.encode()
    )


def test_a_machine_without_apt_is_told_which_package_it_needs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(programs, "UNPACKED", tmp_path / "prometheus")
    with pytest.raises(programs.NoPrometheus, match="install the package `prometheus`"):
        programs.program("promtool")
