"""The command without its start: a process that has imported it already forks for each time that it is typed."""

import os
import pkgutil
import signal
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Mapping
from functools import cache
from importlib import import_module

import msgspec

LONGEST = 1 << 20


class Typed(msgspec.Struct):
    """Beside it go what are stdin, stdout and stderr, and where to the exit code is written."""

    argv: list[str]
    environ: dict[str, str]
    folder: str


def is_alike(environ: Mapping[str, str]) -> bool:
    """Whether an interpreter that was started with these variables would be as this one."""
    return not any(environ.get(name) != os.environ.get(name) for name in {*environ, *os.environ} if name.startswith(("PYTHON", "LC_")))


def typed(typed: Typed, files: tuple[int, int, int]) -> int:
    """The exit code."""
    ours, theirs = os.pipe()
    try:
        with _LOCK:
            socket.send_fds(_forker(), [msgspec.json.encode(typed)], [*files, theirs])
        os.close(theirs)
        return int(os.read(ours, 8))
    finally:
        os.close(ours)


_LOCK = threading.Lock()


@cache
def _forker() -> socket.socket:
    """Ends when this process does: nobody has the other end then."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for end in (ours, theirs):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, LONGEST)
    environ = {**os.environ, "LANG": "C.UTF-8"}
    subprocess.Popen(
        [sys.executable, "-m", __name__, str(theirs.fileno())], env=environ, pass_fds=[theirs.fileno()], start_new_session=True
    )
    theirs.close()
    return ours


def fork_for_each(asked: socket.socket) -> None:
    import clipstream.cli  # noqa: PLC0415  for this process alone

    for module in pkgutil.iter_modules(clipstream.cli.__path__, "clipstream.cli."):
        if not module.name.endswith("__main__"):
            import_module(module.name)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while (received := socket.recv_fds(asked, LONGEST, 4))[0]:
        body, files, *_ = received
        if os.fork() == 0:
            asked.close()
            _watch(msgspec.json.decode(body, type=Typed), files)
        for file in files:
            os.close(file)


def _watch(typed: Typed, files: list[int]) -> None:
    """In a process of its own, so that the command's end is known also where a signal ends it."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    *streams, told = files
    if (pid := os.fork()) == 0:
        os.close(told)
        _be(typed, streams)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    os.write(told, str(code).encode())
    os._exit(0)


def _be(typed: Typed, streams: list[int]) -> None:
    for number, file in enumerate(streams):
        os.dup2(file, number)
        os.close(file)
    os.environ.clear()
    os.environ.update(typed.environ)
    os.chdir(typed.folder)
    sys.argv = ["clipstream", *typed.argv]
    sys.stdin = open(0, closefd=False)  # noqa: SIM115  as the interpreter does at its start
    sys.stdout, sys.stderr = open(1, "w", closefd=False), open(2, "w", errors="backslashreplace", closefd=False)  # noqa: SIM115
    code = 1
    try:
        from clipstream.cli.main import main  # noqa: PLC0415

        code = main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:  # noqa: BLE001  as the interpreter would
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    fork_for_each(socket.socket(fileno=int(sys.argv[1])))
