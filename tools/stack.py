"""The local stack from the command line: `python -m tools.stack up|start|stop|status|run -- COMMAND|exec -- COMMAND`.

Its state lies in CLIPSTREAM_HOME (default .clipstream in the checkout). stdout of `start` and `status` is the address alone.
"""

import argparse
import asyncio
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Coroutine
from contextlib import suppress
from pathlib import Path
from typing import TextIO

from libs.common.runtime.embedded import HomeInUse, ServerFailed
from libs.common.runtime.embedded_home import owner_of
from libs.common.runtime.embedded_process import tail, tied_to_parent
from tools.local_stack import Plan, Stack, StackFailed, ready_environ, ready_url, running_stack, until_ready
from tools.migrations import MigrationFailed
from tools.setup import ROOT
from tools.supervisor import Write

STOP_SECONDS = 40.0
POLL_SECONDS = 0.05
NOT_RUNNING = 3  # as `systemctl status` has it


def main(argv: list[str] | None = None) -> int:
    options = _parser().parse_args(argv)
    plan = _plan(options)
    try:
        match options.command:
            case "up":
                return min(_until_signalled(_up(plan)), 0)
            case "run":
                return _until_signalled(_run(plan, options.argv))
            case "start":
                return _start(plan)
            case "stop":
                return _stop(plan)
            case "exec":
                return _exec(plan, options.argv)
            case _:
                return _status(plan)
    except (HomeInUse, ServerFailed, StackFailed, MigrationFailed) as error:
        _say(str(error))
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="stack", description="The local stack: servers and services.")
    parser.add_argument("--home", type=Path, help="state folder (CLIPSTREAM_HOME, else .clipstream)")
    parser.add_argument("--procfile", type=Path)
    parser.add_argument("--migrations", type=Path)
    parser.add_argument("--bootstrap", help="command that makes streams and buckets")
    parser.add_argument("--ready-seconds", type=float, help="how long the API may take to be ready")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("up", help="in the foreground, until Ctrl-C")
    commands.add_parser("start", help="in the background; prints the address when it is ready")
    commands.add_parser("stop", help="stop it and wait")
    commands.add_parser("status", help="print the address, or exit with 3")
    run = commands.add_parser("run", help="start it, run a command with CLIPSTREAM_URL set, stop it")
    within = commands.add_parser("exec", help="run a command with the variables of the stack that runs in the background")
    for command in (run, within):
        command.add_argument("argv", nargs="+", metavar="COMMAND")
    return parser


def _plan(options: argparse.Namespace) -> Plan:
    home = options.home or Path(os.environ.get("CLIPSTREAM_HOME") or ROOT / ".clipstream")
    chosen = {name: getattr(options, name) for name in ("procfile", "migrations", "bootstrap", "ready_seconds")}
    return Plan(home=home.absolute(), environ=dict(os.environ), **{name: value for name, value in chosen.items() if value is not None})


def _until_signalled(work: Coroutine[object, object, int]) -> int:
    """The first Ctrl-C, SIGTERM or hang-up lets everything drain; a second one cuts the draining short."""

    async def run() -> int:
        task = asyncio.ensure_future(work)
        received: list[int] = []

        def on_signal(number: int) -> None:
            received.append(number)
            task.cancel()

        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, on_signal, number)
        try:
            return await task
        except asyncio.CancelledError:
            return 128 + received[0]

    return asyncio.run(run())


async def _up(plan: Plan) -> int:
    _print_line("stack", f"starting on {plan.home}; Ctrl-C stops it")
    async with running_stack(plan, _print_line) as stack:
        try:
            await until_ready(plan, stack)
            _print_line("stack", f"ready: {stack.url}")
        except StackFailed as error:
            _print_line("stack", f"{error}; still trying")
        await asyncio.Event().wait()
    return 0


async def _run(plan: Plan, argv: list[str]) -> int:
    with _fresh_log(plan) as log:
        async with running_stack(plan, _writing_to(log)) as stack:
            try:
                await until_ready(plan, stack)
            except StackFailed as error:
                raise StackFailed(f"{error}; the end of {plan.log}:\n{tail(plan.log)}") from None
            return await _run_command(argv, stack)


async def _run_command(argv: list[str], stack: Stack) -> int:
    """In our own session, so that Ctrl-C reaches it too."""
    environ = {**stack.environ, "CLIPSTREAM_URL": stack.url}
    process = await asyncio.create_subprocess_exec(*argv, env=environ, preexec_fn=tied_to_parent(signal.SIGTERM))
    try:
        code = await process.wait()
    except asyncio.CancelledError:
        with suppress(ProcessLookupError):
            process.terminate()
        with suppress(TimeoutError):
            async with asyncio.timeout(5):
                await process.wait()
        with suppress(ProcessLookupError):
            process.kill()
        raise
    return code if code >= 0 else 128 - code


def _start(plan: Plan) -> int:
    owner = owner_of(plan.home)
    process = None if owner else _spawn_in_background(plan)
    pid = process.pid if process else owner or 0
    try:
        url = _await_url(plan, pid, process)
    except BaseException:
        if process:
            _end(process)
        raise
    _say(f"the stack runs in the background (process {pid}, log {plan.log}); `make stop` ends it")
    print(url)
    return 0


def _spawn_in_background(plan: Plan) -> subprocess.Popen[bytes]:
    options = ["--home", plan.home, "--procfile", plan.procfile, "--migrations", plan.migrations, "--bootstrap", plan.bootstrap]
    argv = [sys.executable, "-m", "tools.stack", *map(str, options), "--ready-seconds", str(plan.ready_seconds), "up"]
    with _fresh_log(plan) as log:
        return subprocess.Popen(argv, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)


def _await_url(plan: Plan, pid: int, process: subprocess.Popen[bytes] | None) -> str:
    deadline = time.monotonic() + plan.ready_seconds
    while time.monotonic() < deadline:
        if url := ready_url(plan.home, pid):
            return url
        if process.poll() is not None if process else owner_of(plan.home) != pid:
            raise StackFailed(f"the stack ended; the end of {plan.log}:\n{tail(plan.log)}")
        time.sleep(POLL_SECONDS)
    raise StackFailed(f"the stack was not ready within {plan.ready_seconds:g} s; the end of {plan.log}:\n{tail(plan.log)}")


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()


def _stop(plan: Plan) -> int:
    pid = owner_of(plan.home)
    if pid is None:
        _say(f"nothing runs on {plan.home}")
        return 0
    process = os.pidfd_open(pid)
    signal.pidfd_send_signal(process, signal.SIGTERM)
    if not _ends(process):
        _say(f"process {pid} does not stop: killing it")
        signal.pidfd_send_signal(process, signal.SIGKILL)
        _ends(process)
    _say("stopped")
    return 0


def _ends(process: int) -> bool:
    return bool(select.select([process], [], [], STOP_SECONDS)[0])


def _status(plan: Plan) -> int:
    pid = owner_of(plan.home)
    url = ready_url(plan.home, pid) if pid else None
    if url:
        print(url)
        return 0
    _say(f"process {pid} is not ready yet" if pid else f"nothing runs on {plan.home}")
    return NOT_RUNNING


def _exec(plan: Plan, argv: list[str]) -> int:
    pid = owner_of(plan.home)
    environ = ready_environ(plan.home, pid) if pid else None
    if environ is None:
        _say(f"nothing that is ready runs on {plan.home}")
        return NOT_RUNNING
    os.execvpe(argv[0], argv, {**os.environ, **environ})  # noqa: S606  becomes the command that was asked for


def _fresh_log(plan: Plan) -> TextIO:
    """Emptied, unless a stack that runs there is writing to it."""
    plan.home.mkdir(parents=True, exist_ok=True)
    if owner_of(plan.home) is None:
        plan.log.unlink(missing_ok=True)
    return plan.log.open("a")


def _print_line(name: str, line: str) -> None:
    _write_line(sys.stdout, name, line)


def _writing_to(log: TextIO) -> Write:
    return lambda name, line: _write_line(log, name, line)


def _write_line(stream: TextIO, name: str, line: str) -> None:
    stream.write(f"{name:<9}| {line}\n")
    stream.flush()


def _say(text: str) -> None:
    print(f"stack: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
