"""What the OpenAPI document says once for all: its introduction, headers, parameters, keys. Pure."""

from typing import Any

from services.api.caller import Scope

SCOPES = {
    Scope.WRITE: "make, change and delete jobs",
    Scope.READ: "read jobs, their events and results",
    Scope.ADMIN: "dead letters, keys and whatever else is under /api/admin",
}

_SCOPES = "; ".join(f"{scope}: {what}" for scope, what in SCOPES.items())
DESCRIPTION = "\n\n".join(
    (
        "Cuts a segment out of a video, with subtitles when asked.",
        "Every error has one form, and says in `details` whether the same request can succeed later and what to do.",
        f"Keys are sent as `Authorization: Bearer ck_…` or `X-API-Key`, and have scopes. {_SCOPES}.",
        "Each client may write so often in a window: RateLimit-* says where it stands, 429 with Retry-After when to come back.",
        "The events behind it all are at /schema/asyncapi.json.",
    )
)

FILE_PART = {"type": "string", "contentMediaType": "application/octet-stream", "description": "The source itself."}

IN_PATH: dict[str, Any] = {
    "job_id": {"description": "The job's id.", "schema": {"type": "string", "format": "uuid"}},
    "upload_id": {"description": "The upload's id: the middle of its uploadKey.", "schema": {"type": "string", "format": "uuid"}},
    "key_id": {"description": "The key's id.", "schema": {"type": "string", "format": "uuid"}},
    "seq": {"description": "The letter's sequence.", "schema": {"type": "string", "pattern": "^[1-9][0-9]{0,17}$"}},
}

COUNTED = ("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset", "RateLimit-Policy")
"""Of draft-ietf-httpapi-ratelimit-headers-06; not sent where nothing is counted."""


def _header(description: str, kind: str = "string") -> dict[str, Any]:
    return {"description": description, "schema": {"type": kind}}


HEADERS: dict[str, Any] = {
    "X-Correlation-Id": _header("The id of this request in our logs."),
    "Location": _header("Where to look for what was made."),
    "Retry-After": _header("Seconds to wait before asking again.", "integer"),
    "WWW-Authenticate": _header("How a key is sent."),
    "Idempotency-Replayed": _header("true where this is the answer that the first request with this Idempotency-Key had."),
    "RateLimit-Limit": _header("Requests that you may send in a window.", "integer"),
    "RateLimit-Remaining": _header("Requests that are left in this window.", "integer"),
    "RateLimit-Reset": _header("Seconds until the window ends.", "integer"),
    "RateLimit-Policy": _header("The limit and its window in seconds, as 30;w=60."),
}

KEYS: dict[str, Any] = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "A key of this service, ck_<id>_<secret>."},
    "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "The same key in a header of its own."},
}


def _parameter(name: str, description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "header", "required": False, "description": description, "schema": schema}


PARAMETERS: dict[str, Any] = {
    "X-Request-Id": _parameter(
        "X-Request-Id",
        "Your own id for this request, to be its correlation id: up to 128 of A-Z a-z 0-9 . _ : @ / + = -; anything else is passed over.",
        {"type": "string"},
    ),
    "Idempotency-Key": _parameter(
        "Idempotency-Key",
        "Your own name for this request. Sent again with it within a day, it gets the first answer and makes nothing anew.",
        {"type": "string", "pattern": "^[!-~]{1,255}$"},
    ),
    "Last-Event-ID": _parameter(
        "Last-Event-ID",
        "The id of the last event that you have: the stream goes on behind it. EventSource sends it by itself.",
        {"type": "integer", "minimum": 0, "maximum": 2**31 - 1},
    ),
}
