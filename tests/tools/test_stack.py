"""The local stack from the command line: real servers, and services that are tiny programs."""

import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

API = """
import http.server, os

class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if os.environ.get("SICK") is None else 503)
        self.end_headers()

    def log_message(self, *_):
        pass

print("the api is up", flush=True)
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Answer).serve_forever()
"""
WORKER = """
import os, signal, sys
signal.signal(signal.SIGTERM, lambda *_: (print("drained", flush=True), sys.exit(0)))
print("health port", int(os.environ["HEALTH_PORT"]), flush=True)
signal.pause()
"""


COMMAND = """
import asyncio, asyncpg, os, sys, urllib.request

async def fact():
    connection = await asyncpg.connect(os.environ["DATABASE_URL"])
    await connection.fetch("select * from fact")

urllib.request.urlopen(os.environ["CLIPSTREAM_URL"])
asyncio.run(fact())
print("in", os.environ["FFMPEG_BIN"], os.environ["FONTS_DIR"], os.environ["SCRATCH_DIR"])
sys.exit(7)
"""


class LocalStack:
    """`python -m tools.stack` on a state folder, a Procfile and migrations of its own."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "home"
        self._options = [
            *("--home", str(self.home)),
            *("--procfile", str(folder / "Procfile")),
            *("--migrations", str(folder / "migrations")),
            *("--bootstrap", "true"),
        ]
        (folder / "api.py").write_text(API)
        (folder / "worker.py").write_text(WORKER)
        (folder / "Procfile").write_text(f"api: python {folder}/api.py\nworker: python {folder}/worker.py\n")
        (folder / "migrations").mkdir()
        (folder / "migrations" / "1_fact.sql").write_text("-- migrate:up\ncreate table fact ();\n-- migrate:down\n")

    def __call__(self, *argv: str, options: tuple[str, ...] = (), **environ: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*options, *argv), cwd=ROOT, env=self.environ(**environ), capture_output=True, text=True, check=False
        )

    def command(self, *argv: str) -> list[str]:
        return [sys.executable, "-m", "tools.stack", *self._options, *argv]

    def environ(self, **more: str) -> dict[str, str]:
        configured = ("PORT", "DATABASE_URL", "NATS_URL", "S3_ENDPOINT_URL", "CLIPSTREAM_HOME")
        return {**{name: value for name, value in os.environ.items() if name not in configured}, "PORT": "0", **more}

    @property
    def log(self) -> str:
        return (self.home / "stack.log").read_text()

    @property
    def processes(self) -> list[int]:
        """The stack's own process, its servers and its services."""
        pid = int((self.home / "lock").read_text())
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text()
        return [pid, *map(int, children.split())]


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[LocalStack]:
    local_stack = LocalStack(tmp_path)
    yield local_stack
    local_stack("stop")


def wait_for_end(pids: list[int], seconds: float = 15) -> None:
    for descriptor in [os.pidfd_open(pid) for pid in pids if Path(f"/proc/{pid}").exists()]:
        ended, _, _ = select.select([descriptor], [], [], seconds)
        os.close(descriptor)
        assert ended


def test_start_prints_the_address_alone_and_stop_leaves_nothing(stack: LocalStack) -> None:
    started = stack("start")
    assert started.returncode == 0, started.stderr
    url = started.stdout.strip()
    assert url.startswith("http://127.0.0.1:")
    assert stack("start").stdout.strip() == stack("status").stdout.strip() == url
    processes = stack.processes
    assert len(processes) == 6
    assert stack("stop").returncode == 0
    wait_for_end(processes, seconds=0)
    assert "worker   | drained" in stack.log


def test_nothing_runs(stack: LocalStack) -> None:
    assert stack("stop").returncode == 0
    assert stack("status").returncode == 3


def test_run_gives_the_command_the_stack_and_returns_its_code(stack: LocalStack) -> None:
    outcome = stack("run", "--", sys.executable, "-c", COMMAND)
    assert outcome.returncode == 7, outcome.stderr
    assert outcome.stdout.startswith("in ")
    assert "worker   | health port" in stack.log
    assert stack("status").returncode == 3


def test_a_sigterm_stops_a_stack_in_the_foreground(stack: LocalStack) -> None:
    process = subprocess.Popen(stack.command("up"), cwd=ROOT, env=stack.environ(), stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if "ready: http" in line:
            process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0
    assert "worker   | drained\n" in lines
    process.stdout.close()


def test_a_killed_stack_leaves_no_process_and_starts_again(stack: LocalStack) -> None:
    stack("start")
    processes = stack.processes
    os.kill(processes[0], signal.SIGKILL)
    wait_for_end(processes)
    assert stack("status").returncode == 3
    assert stack("start").returncode == 0


def test_a_second_stack_on_the_folder_is_refused_and_harms_nothing(stack: LocalStack) -> None:
    stack("start")
    before = stack.log
    refused = stack("run", "--", "true")
    assert refused.returncode == 1
    assert "stop it, or set CLIPSTREAM_HOME" in refused.stderr
    assert stack.log.startswith(before), "the running stack's log is left alone"
    assert stack("status").returncode == 0


def test_an_api_that_is_never_ready_fails_the_start_with_the_log(stack: LocalStack) -> None:
    outcome = stack("start", options=("--ready-seconds", "6"), SICK="yes")
    assert outcome.returncode == 1
    assert outcome.stdout == ""
    assert "not ready within 6 s" in outcome.stderr
    assert "the api is up" in outcome.stderr
    assert stack("status").returncode == 3


def test_a_broken_migration_fails_the_start_in_its_own_words(stack: LocalStack, tmp_path: Path) -> None:
    (tmp_path / "migrations" / "2_typo.sql").write_text("-- migrate:up\ncreate tabel oops ();\n-- migrate:down\n")
    outcome = stack("start")
    assert outcome.returncode == 1
    assert "tabel" in outcome.stderr


def test_a_taken_port_is_refused_when_asked_for(stack: LocalStack) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        outcome = stack("start", PORT=str(taken.getsockname()[1]))
    assert outcome.returncode == 1
    assert "is taken" in outcome.stderr


def test_the_usual_port_taken_means_another(stack: LocalStack) -> None:
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            taken.bind(("127.0.0.1", 8080))
            taken.listen()
        except OSError:
            pass  # taken by another program, which does as well
        url = stack("start", PORT="").stdout.strip()
    assert url.startswith("http://127.0.0.1:")
    assert not url.endswith(":8080")
    assert "8080 is taken" in stack.log


def test_two_stacks_start_at_once(stack: LocalStack, tmp_path: Path) -> None:
    other_folder = tmp_path / "other"
    other_folder.mkdir()
    other = LocalStack(other_folder)
    starts = [
        subprocess.Popen(each.command("start"), cwd=ROOT, env=each.environ(PORT=""), stdout=subprocess.PIPE) for each in (stack, other)
    ]
    urls = [start.communicate(timeout=60)[0] for start in starts]
    other("stop")
    assert len(set(urls)) == 2
    assert all(url.startswith(b"http://") for url in urls)
