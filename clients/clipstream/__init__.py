"""Clipstream's Python client: `Clipstream` and, with the same names, `AsyncClipstream`. It knows the service by HTTP alone.

Names are loaded when they are first used, so that the command line answers at once.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from clipstream.async_client import AsyncClipstream
    from clipstream.client import Clipstream
    from clipstream.errors import (
        BadRequest,
        ClipstreamError,
        Conflict,
        Forbidden,
        Gone,
        JobCancelled,
        JobFailed,
        NotFound,
        RateLimited,
        TooLarge,
        Unauthorized,
        Unavailable,
        Unprocessable,
        WaitTimeout,
        WebhookRefused,
    )
    from clipstream.job_options import JobOptions
    from clipstream.models import Event, File, Job, Probe, Result, Upload, WebhookEvent
    from clipstream.operator_models import DeadLetter, Key, NewKey, Overview, Replays
    from clipstream.webhooks import verify_webhook

_HOMES = {
    "async_client": ("AsyncClipstream",),
    "client": ("Clipstream",),
    "errors": (
        *("BadRequest", "ClipstreamError", "Conflict", "Forbidden", "Gone", "JobCancelled", "JobFailed", "NotFound", "RateLimited"),
        *("TooLarge", "Unauthorized", "Unavailable", "Unprocessable", "WaitTimeout", "WebhookRefused"),
    ),
    "job_options": ("JobOptions",),
    "models": ("Event", "File", "Job", "Probe", "Result", "Upload", "WebhookEvent"),
    "operator_models": ("DeadLetter", "Key", "NewKey", "Overview", "Replays"),
    "webhooks": ("verify_webhook",),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}
__all__ = [
    "AsyncClipstream",
    "BadRequest",
    "Clipstream",
    "ClipstreamError",
    "Conflict",
    "DeadLetter",
    "Event",
    "File",
    "Forbidden",
    "Gone",
    "Job",
    "JobCancelled",
    "JobFailed",
    "JobOptions",
    "Key",
    "NewKey",
    "NotFound",
    "Overview",
    "Probe",
    "RateLimited",
    "Replays",
    "Result",
    "TooLarge",
    "Unauthorized",
    "Unavailable",
    "Unprocessable",
    "Upload",
    "WaitTimeout",
    "WebhookEvent",
    "WebhookRefused",
    "verify_webhook",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
