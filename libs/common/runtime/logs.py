"""Logs: JSON lines on stdout, one an event, whoever says it: we, a library, the interpreter, a child. docs/logs.md has the fields.

What lines may not hold, redaction.py and log_fields.py know.
"""

import logging
import sys
import threading
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import structlog
from structlog.contextvars import merge_contextvars

from libs.common.domain.version import VERSION
from libs.common.runtime.log_fields import Fields, line
from libs.common.runtime.redaction import known_secrets

EXTRA: list[Callable[[], Mapping[str, str]]] = []
"""What else every line says at its moment: tracing puts the ids of the trace here."""
NOISY = ("botocore", "aiobotocore", "boto3", "httpx", "httpcore", "groq", "nats", "aiohttp.access", "faster_whisper")
"""Libraries whose lines below WARNING say what ours say, or show requests as they are."""
_RECORD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}
_LOCK = threading.RLock()
"""Taken again where a line is written while one is: a finaliser may run, and complain, at any moment."""


class _Out:
    """Where our own lines go. Its name is the module's."""

    def __init__(self, name: str = "") -> None:
        self.name = name

    def msg(self, said: bytes) -> None:
        _write(said)

    debug = info = warning = error = critical = msg


def _write(said: bytes) -> None:
    """At once, and waiting where the reader does (docs/logs.md says why). A stdout that is gone or full costs the line, never the work."""
    with suppress(OSError, ValueError, RuntimeError), _LOCK:  # RuntimeError: the same thread is within this very write
        if out := getattr(sys.stdout, "buffer", None):  # none where the process was started without a stdout
            out.write(said + b"\n")
            out.flush()


class _Form:
    """The one form of every line. It never raises: what can't be said is told by its type."""

    def __init__(self, who: Mapping[str, str], secrets: Collection[str]) -> None:
        self._who, self._fields = who, Fields(known_secrets(secrets))

    def ours(self, logger: _Out, method: str, event: Any) -> bytes:
        return self.made(method, logger.name, event)

    def made(self, level: str, logger: str, event: dict[str, Any]) -> bytes:
        own = {"timestamp": _now(), "level": level, "event": "", "logger": logger, **self._who}
        try:
            plain = self._fields.plain(_complete(event))
            own["event"] = plain.get("event", "")
            return line({**own, **plain, **own})
        except Exception as error:  # noqa: BLE001  a line that can't be made must not end the work that it tells of
            return line({**own, "event": "a line of the log can't be written", "error": type(error).__name__})


def _now() -> str:
    """UTC, to the microsecond."""
    seconds, micros = divmod(time.time_ns() // 1000, 1_000_000)
    return f"{_second(seconds)}.{micros:06d}Z"


@lru_cache(2)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _complete(event: dict[str, Any]) -> dict[str, Any]:
    """With what is known of the moment, and the traceback as text."""
    for more in EXTRA:
        event |= more()
    merged = merge_contextvars(None, "", event)
    return dict(structlog.processors.format_exc_info(None, "", merged)) if "exc_info" in merged else dict(merged)


class _Libraries(logging.Handler):
    """What is said through the standard library, in the same form."""

    def __init__(self, form: _Form) -> None:
        super().__init__()
        self._form = form

    def emit(self, record: logging.LogRecord) -> None:
        extra = {name: value for name, value in record.__dict__.items() if name not in _RECORD}
        raised = {"exc_info": record.exc_info} if record.exc_info else {}
        _write(self._form.made(record.levelname.lower(), record.name, {"event": message_of(record), **extra, **raised}))


def message_of(record: logging.LogRecord) -> str:
    """What a library said; as far as it can be told where its arguments are wrong."""
    try:
        return record.getMessage()
    except Exception:  # noqa: BLE001  a library that gives the wrong arguments is heard all the same
        return str(record.msg)


def set_up_logs(service: str, level: str, *, worker: str = "", secrets: Collection[str] = ()) -> None:
    """All that this process says from here on, as lines in which none of the secrets is.

    Ours go past the standard library, which costs a line more than all the rest.
    """
    form = _Form({"service": service, "worker": worker, "version": VERSION}, secrets)
    logging.basicConfig(level=level, handlers=[_Libraries(form)], force=True)
    logging.captureWarnings(capture=True)
    for noisy in NOISY:
        logging.getLogger(noisy).setLevel(max(logging.WARNING, logging.getLevelName(level)))
    structlog.configure(
        processors=[form.ours],
        logger_factory=_Out,
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level)),
        cache_logger_on_first_use=True,
    )
    _hear_the_interpreter()


def _hear_the_interpreter() -> None:
    """What nobody caught: in the main thread, in another, or where nothing can be raised."""
    said = logger("python")
    sys.excepthook = lambda kind, error, trace: said.critical("the process ends by an unexpected error", exc_info=(kind, error, trace))
    threading.excepthook = lambda of: said.error("a thread ended by an unexpected error", exc_info=_raised(of))
    sys.unraisablehook = lambda of: said.error("an error that nobody can catch", about=of.err_msg or repr(of.object), exc_info=_raised(of))


def _raised(of: Any) -> tuple[Any, Any, Any]:
    return of.exc_type, of.exc_value, of.exc_traceback


def logger(name: str) -> Any:
    """A logger whose keyword arguments become fields of the line."""
    return structlog.get_logger(name)
