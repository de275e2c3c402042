"""The commands of docs/logs.md, on lines as services write them."""

import os
import subprocess
from pathlib import Path

import pytest

from libs.common.runtime.log_fields import Fields, line
from tests.documents.blocks import blocks_of

FOLLOWED, COUNTED = blocks_of("docs/logs.md", "bash")


@pytest.fixture
def log(tmp_path: Path) -> Path:
    common = {"timestamp": "2026-11-21T10:00:00Z", "service": "clipper", "correlation_id": "c"}
    ours = {**common, "level": "info", "job_id": "j-1", "stage": "clipper"}
    lines = [
        {**ours, "attempt": None, "event": "message ignored"},
        {**ours, "attempt": 1, "event": "stage started"},
        {**ours, "attempt": 1, "event": "attempt failed", "level": "error", "error": "no space"},
        {**ours, "job_id": "j-2", "event": "stage started"},
        {**common, "level": "critical", "event": "the process ends"},
    ]
    path = tmp_path / "log"
    path.write_bytes(b"not a line of ours\n" + b"\n".join(line(Fields().plain(each)) for each in lines) + b"\n")
    return path


def printed(command: str, log: Path) -> list[str]:
    environ = {**os.environ, "JOB": "j-1", "LOG": str(log)}
    return subprocess.run(["bash", "-c", command], env=environ, check=True, capture_output=True, text=True).stdout.splitlines()


def test_one_job_is_followed(log: Path) -> None:
    at = "2026-11-21T10:00:00Z\tclipper\tclipper"
    assert [words.rstrip() for words in printed(FOLLOWED.text, log)] == [
        f"{at}\t-\tmessage ignored",
        f"{at}\t1\tstage started",
        f"{at}\t1\tattempt failed\tno space",
    ]


def test_errors_are_counted_by_what_happened(log: Path) -> None:
    found = [words.split(maxsplit=1)[1] for words in printed(COUNTED.text, log)]
    assert sorted(found) == [
        "clipper: attempt failed",
        "clipper: the process ends",
    ]
