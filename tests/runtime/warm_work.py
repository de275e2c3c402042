"""What the tests let a warm process do: one function a verb, called with the words that follow it."""

import os
import signal
import sys
import time
from pathlib import Path

from libs.common.runtime.warm_process import serve

SEEN: list[bytes] = []


def pids() -> str:
    return f"{os.getpid()} {os.getppid()}"


def seen() -> str:
    return str(len(SEEN))


def large(size: str) -> str:
    return "\n" * int(size)


def chatter() -> str:
    sys.stdout.write("noise\n")
    sys.stdout.flush()
    os.system("echo noise")  # noqa: S605  from outside of Python's own stream
    return sys.stdin.read()


def sleep(path: str) -> str:
    Path(path).write_text(pids())
    time.sleep(60)
    return "woken"


def sleep_once(path: str) -> str:
    return "done" if Path(path).exists() else sleep(path)


def meet(here: str, there: str) -> str:
    Path(here).touch()
    while not Path(there).exists():
        time.sleep(0.001)
    return "met"


def spin() -> str:
    while True:
        pass


def crash() -> str:
    os.kill(os.getpid(), signal.SIGSEGV)
    return "alive"


def hoard() -> str:
    return str(len(bytes(1 << 30)))


def fail(word: str) -> str:
    raise ValueError(word)


VERBS = {verb.__name__: verb for verb in (pids, seen, large, chatter, sleep, sleep_once, meet, spin, crash, hoard, fail)}


def work(request: bytes) -> bytes:
    SEEN.append(request)
    verb, *words = request.decode().split(" ")
    return VERBS[verb](*words).encode()  # type: ignore[operator]  each verb knows how many words it takes


if __name__ == "__main__":
    serve(work)
