"""An event loop that somebody else drives: it runs what can run now, and its clock stands until told otherwise."""

import asyncio
from asyncio.base_events import BaseEventLoop
from collections.abc import Callable
from typing import Any


class NoFiles:
    """A selector without files: nothing ever comes from outside."""

    def select(self, _timeout: float | None) -> list[Any]:
        return []


class VirtualLoop(BaseEventLoop):
    def __init__(self) -> None:
        super().__init__()
        self._selector = NoFiles()
        self._now = 0.0

    def time(self) -> float:
        """Seconds, as `pass_time` has made them pass."""
        return self._now

    def run_until_idle(self) -> None:
        """Run until everything waits for a gate or for a time that has not come."""
        while self._ready:
            self.call_soon(self.stop)
            self.run_forever()

    def pass_time(self, seconds: float) -> None:
        """Let timers fire in their order, each at its own time."""
        until = self._now + seconds
        while (due := self._next_timer()) is not None and due <= until:
            self._now = max(self._now, due)
            self.call_soon(lambda: None)
            self.run_until_idle()
        self._now = until

    def _next_timer(self) -> float | None:
        return min((timer.when() for timer in self._scheduled if not timer.cancelled()), default=None)

    def run_in_executor(self, _executor: Any, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:  # type: ignore[override]  it has no executor
        """At once, in this very thread: a thread would make the order of things a matter of chance."""
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:  # noqa: BLE001  whatever it is, it is the caller's
            future.set_exception(error)
        return future

    def _process_events(self, _events: list[Any]) -> None:
        return None

    def _write_to_self(self) -> None:
        return None
