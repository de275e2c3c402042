"""Logs: one JSON line an event, whoever says it, and nothing that is said can break the work that says it."""

import asyncio
import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from structlog.contextvars import bound_contextvars

from libs.common.domain.version import VERSION
from libs.common.runtime import logs
from libs.common.runtime.child_words import ChildWords
from libs.common.runtime.logs import logger, set_up_logs
from libs.common.runtime.process import kill_group, spawn
from tools.setup import ROOT

SECRET = "hunter2hunter2"


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    said = capsys.readouterr()
    assert said.err == ""
    return [json.loads(line) for line in said.out.splitlines()]


def test_a_line_says_who_when_and_whose(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logs("test", "INFO", worker="host:1")
    with bound_contextvars(job_id="j", correlation_id="c", stage="clipper", attempt=1):
        logger("ours").warning("could not reach it", url=f"http://u:{SECRET}@h/", bytes_read=2)
        logging.getLogger("theirs").error("failed: %s", "why", extra={"tries": 3})
    ours, theirs = lines(capsys)
    common = {"level": "warning", "service": "test", "worker": "host:1", "version": VERSION}
    whose = {"jobId": "j", "correlationId": "c", "stage": "clipper", "attempt": 1}
    assert ours.pop("timestamp").endswith("Z")
    assert ours == {**common, **whose, "event": "could not reach it", "logger": "ours", "url": "http://u:***@h/", "bytesRead": 2}
    assert theirs.pop("timestamp").endswith("Z")
    assert theirs == {**common, **whose, "level": "error", "event": "failed: why", "logger": "theirs", "tries": 3}


def test_secrets_are_in_no_part_of_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logs("test", "DEBUG", secrets=[f"postgresql://clip:{SECRET}@db/x"])
    logger("ours").info(f"said {SECRET}", **{SECRET: SECRET}, nested=[{"x": SECRET}])
    logging.getLogger("theirs").info("asked with %s", {"token": "another"}, extra={"password": "another"})
    try:
        int(SECRET)
    except ValueError as error:
        error.add_note(f"Authorization: Bearer {SECRET}")
        logger("ours").exception("broke")
        logging.getLogger("theirs").exception("broke")
    said = lines(capsys)
    assert "ValueError" in said[2]["exception"]
    assert "ValueError" in said[3]["exception"]
    assert not any(word in str(said) for word in (SECRET, "another"))


def test_what_a_caller_says_never_takes_the_place_of_what_we_say(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logs("test", "INFO")
    logging.getLogger("theirs").info("x", extra={"service": "forged", "level": "critical", "logger": "forged", "timestamp": "never"})
    [line] = lines(capsys)
    assert (line["service"], line["level"], line["logger"]) == ("test", "info", "theirs")
    assert line["timestamp"] != "never"


def test_wrong_arguments_of_a_library_do_not_lose_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logs("test", "INFO")
    logging.getLogger("theirs").error("%d things", "many")
    assert lines(capsys)[0]["event"] == "%d things"


@pytest.mark.parametrize(
    "value",
    [b"\xff", "\ud800", float("nan"), "a\nb\r\x1b[31m\u2028\x9b", "x" * 1_000_000],
    ids=["bytes", "surrogate", "nan", "control", "huge"],
)
def test_a_value_that_no_line_can_hold_makes_a_line_all_the_same(capsys: pytest.CaptureFixture[str], value: object) -> None:
    set_up_logs("test", "INFO")
    logger("ours").info("odd", value=value)
    assert lines(capsys)[0]["event"] == "odd"


class Broken(dict[str, int]):
    def items(self) -> Any:
        raise RuntimeError(SECRET)


def test_what_fails_while_a_line_is_made_is_told_in_its_place(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logs("test", "INFO")
    logger("ours").info("odd", value=Broken(x=1))
    [line] = lines(capsys)
    assert (line["event"], line["service"]) == ("a line of the log can't be written", "test")


def test_lines_say_what_others_know_of_the_moment(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "EXTRA", [lambda: {"traceId": "t"}])
    set_up_logs("test", "INFO")
    logger("ours").info("x")
    logging.getLogger("theirs").info("x")
    assert [line["traceId"] for line in lines(capsys)] == ["t", "t"]


def run(code: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """In a process of its own, its logs set up."""
    head = "from libs.common.runtime.logs import *\nset_up_logs('test', 'DEBUG', secrets=['hunter2hunter2'])\n"
    return subprocess.run([sys.executable, "-c", head + code], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60, **options)


@pytest.mark.parametrize(
    ("code", "level"),
    [
        ("raise ValueError('hunter2hunter2\\nand more')", "critical"),
        ("import threading\nthreading.Thread(target=lambda: 1 / 0).start()", "error"),
        ("class Bad:\n  def __del__(self): raise ValueError('hunter2hunter2')\nBad()", "error"),
        ("import warnings\nwarnings.warn('hunter2hunter2')", "warning"),
        (
            "import asyncio\nasync def f(): asyncio.create_task(g()); await asyncio.sleep(0)\nasync def g(): 1 / 0\nasyncio.run(f())",
            "error",
        ),
        (
            "import asyncio\nasync def f(): asyncio.get_running_loop().call_soon(lambda: 1 / 0); await asyncio.sleep(0)\nasyncio.run(f())",
            "error",
        ),
    ],
    ids=["main", "thread", "finaliser", "warning", "task", "callback"],
)
def test_what_nobody_caught_is_a_line_too(code: str, level: str) -> None:
    ended = run(code)
    said = [json.loads(line) for line in ended.stdout.splitlines()]
    assert (level in {line["level"] for line in said}, ended.stderr) == (True, "")
    assert SECRET not in ended.stdout


def test_a_stdout_that_is_gone_costs_the_lines_and_not_the_work(tmp_path: Path) -> None:
    code = f"import os\nos.close(1)\nfor _ in range(3): logger('x').info('said')\nopen({str(tmp_path / 'done')!r}, 'w')\nos._exit(0)"
    assert (run(code).returncode, (tmp_path / "done").exists()) == (0, True)


def test_a_full_disk_beneath_stdout_costs_the_lines_and_not_the_work(tmp_path: Path) -> None:
    opened = f"open({str(tmp_path / 'done')!r}, 'w')"
    code = f"import sys, os\nsys.stdout = open('/dev/full', 'w')\nlogger('x').info('said')\n{opened}\nos._exit(0)"
    assert (run(code).returncode, (tmp_path / "done").exists()) == (0, True)


def test_a_process_that_was_started_without_stdout_works_all_the_same(tmp_path: Path) -> None:
    code = f"import sys\nassert sys.stdout is None\nlogger('x').info('said')\nopen({str(tmp_path / 'done')!r}, 'w')"
    assert (run(code, preexec_fn=lambda: os.close(1)).returncode, (tmp_path / "done").exists()) == (0, True)


REENTRANT = """
import faulthandler, io, logging, sys
faulthandler.dump_traceback_later(20, exit=True)
class Interrupted(io.FileIO):
    again = True
    def write(self, said):
        if self.again:
            self.again = False
            logging.getLogger('finaliser').error('said in the middle of a write')
        return super().write(said)
class Between:
    again = True
    def __getattr__(self, name):
        if self.again:
            self.again = False
            logging.getLogger('finaliser').error('said between two steps')
        return getattr(sys.__stdout__.buffer, name)
class Out: buffer = Between()
sys.stdout = Out()
logger('x').info('first')
Out.buffer = io.BufferedWriter(Interrupted(1, "w", closefd=False))
logger('x').info('second')
logger('x').info('third')
sys.stdout = sys.__stdout__
"""


def test_a_line_from_the_middle_of_another_does_not_wait_for_it_for_ever() -> None:
    """As a finaliser's complaint comes that the collector of garbage runs just then."""
    ended = run(REENTRANT)
    said = [json.loads(line)["event"] for line in ended.stdout.splitlines()]
    assert (ended.returncode, ended.stderr, said) == (0, "", ["said between two steps", "first", "second", "third"])


async def test_what_a_lasting_child_says_is_a_line_of_the_job_it_works_on(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logs("test", "INFO", secrets=[SECRET])
    code = f"import sys\nfor line in sys.stdin: sys.stderr.write('Traceback: ' + line + '{SECRET}\\n'); sys.stderr.flush()"
    child = await spawn([sys.executable, "-c", code], stderr=asyncio.subprocess.PIPE)
    words = ChildWords(child, "services.some.child")
    for job in ("j1", "j2"):
        with bound_contextvars(job_id=job):
            words.are_now()
        assert child.stdin
        child.stdin.write(b"broken\n")
        await until_said(capsys, job)
    await kill_group(child)


async def until_said(capsys: pytest.CaptureFixture[str], job: str) -> None:
    """Other words may come between: what earlier tests left behind is collected, and complains, whenever it likes."""
    async with asyncio.timeout(40):
        while not (said := [line for line in lines(capsys) if line["event"] == "a child process complains"]):
            await asyncio.sleep(0.01)
    [line] = said
    assert (line["jobId"], line["program"], line["said"]) == (job, "services.some.child", "Traceback: broken\n***")
