"""Who may use the admin routes, and in whose name: one key in the settings, until keys of users come."""

import hashlib
import hmac
from collections.abc import Callable
from typing import Any

from litestar.connection import ASGIConnection
from litestar.datastructures import Headers
from litestar.handlers import BaseRouteHandler

from libs.common.domain.dead_letters import BY_LIMIT
from libs.common.domain.failures import Code, Failure
from libs.common.runtime.settings import Secret
from services.api.requests import Refused

KEY_LENGTH = 24
"""Characters that an admin key has at least."""
OPERATOR_LIMIT = 80
ADMIN = "admin api"
Guard = Callable[[ASGIConnection[Any, Any, Any, Any], BaseRouteHandler], None]


def only_with(key: Secret) -> Guard:
    """Raises Failure(UNAUTHORIZED), the same for a wrong key as for none, in the same time."""
    wanted = _digest(key.reveal())

    def admitted(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
        if not hmac.compare_digest(_digest(_key_in(connection.headers)), wanted):
            raise Failure(Code.UNAUTHORIZED, "this needs the admin key", hint="Send it as 'Authorization: Bearer …' or 'X-API-Key'.")

    return admitted


def _digest(key: str) -> bytes:
    """Of one length, whatever was sent."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()


def _key_in(headers: Headers) -> str:
    scheme, _, credentials = headers.get("authorization", "").partition(" ")
    return credentials.strip() if scheme.lower() == "bearer" else headers.get("x-api-key", "")


def operator_of(headers: Headers, named: str | None = None) -> str:
    """Whom the job's history names: the key's, and the person that X-Operator or the body adds. Raises Refused."""
    name = headers.get("x-operator", "") or named or ""
    if not name.isprintable() or len(name) > OPERATOR_LIMIT:
        raise Refused("X-Operator", f"X-Operator must be plain text of at most {OPERATOR_LIMIT} characters")
    return (f"{ADMIN}: {name}" if name.strip() else ADMIN)[:BY_LIMIT]
