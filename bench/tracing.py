"""What traces cost in CPU time: `python -m bench.tracing`. A call when they are off and on, its delivery included, and the imports.

Nothing is published: the figures are those of docs/tracing.md.
"""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median

from libs.common.runtime import tracing
from libs.common.runtime.metrics import measured
from libs.common.runtime.settings import CommonSettings, load

NEEDED = {"DATABASE_URL": "postgresql://nowhere.invalid/x", "NATS_URL": "nats://nowhere.invalid"}
ROUNDS, CALLS = 7, 2000
PAUSE = 1.5
"""Seconds after a round: what was made in it is sent, and counted."""
SINK = """
from http.server import BaseHTTPRequestHandler, HTTPServer
class Sink(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()
    def log_message(self, *_): pass
server = HTTPServer(("127.0.0.1", 0), Sink)
print(server.server_port, flush=True)
server.serve_forever()
"""
IMPORTS = """
import time
began = time.process_time()
import libs.common.runtime.{module}
print(time.process_time() - began, int(open("/proc/self/statm").read().split()[1]) * 4096 / 2**20)
"""


def main() -> None:
    off = (_microseconds(_span, 0.0), _microseconds(_call, 0.0))
    with _sink() as port:
        settings = load(CommonSettings, NEEDED | {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}"})
        tracing.set_up_traces("bench", settings)
        with tracing.entry("work", "consumer", parent=None):
            on = (_microseconds(_span, PAUSE), _microseconds(_call, PAUSE))
        tracing.shut_down()
    for name, before, after in zip(("a span", "a measured call"), off, on, strict=True):
        print(f"{name:<16} off {before:6.2f} µs   on {after:6.2f} µs")
    without, with_them = _imports("metrics"), _imports("trace_export")
    print(f"imports          {1000 * (with_them[0] - without[0]):.0f} ms, {with_them[1] - without[1]:.0f} MiB, only when on")


def _span() -> None:
    with tracing.span("work"):
        pass


def _call() -> None:
    with measured("postgres", "history"):
        pass


def _microseconds(what: Callable[[], None], pause: float) -> float:
    """CPU time of one, with what other threads do for it."""
    rounds = []
    for _ in range(ROUNDS):
        began = time.process_time()
        for _ in range(CALLS):
            what()
        time.sleep(pause)
        rounds.append((time.process_time() - began) / CALLS * 1e6)
    return median(rounds)


@contextmanager
def _sink() -> Iterator[int]:
    """A collector that keeps nothing, in a process whose time is not counted."""
    with subprocess.Popen([sys.executable, "-c", SINK], stdout=subprocess.PIPE, text=True) as sink:
        yield int(sink.stdout.readline() if sink.stdout else 0)
        sink.kill()


def _imports(module: str) -> tuple[float, float]:
    """Seconds, and the MiB that the process has at its end."""
    said = subprocess.run([sys.executable, "-c", IMPORTS.format(module=module)], check=True, capture_output=True, text=True).stdout
    seconds, mebibytes = map(float, said.split())
    return seconds, mebibytes


if __name__ == "__main__":
    main()
