"""Who a request comes from and what it may do, as the door found out (door.py). Routes ask only here."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from uuid import UUID

from litestar import Request


class Scope(StrEnum):
    """What a key may do. A route names the one that it needs; one that names none is open to all."""

    WRITE = "jobs:write"
    READ = "jobs:read"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """`tenant` owns what is made and sees only what it owns; `client` is whom the limits count. Both are empty for nobody in particular."""

    tenant: str = ""
    client: str = ""
    scopes: frozenset[Scope] = frozenset()
    key_id: UUID | None = None
    key_name: str = ""
    max_active_jobs: int = 0
    """0: no limit."""
    rate_limit: int = 0
    """Requests of Scope.WRITE in one window; 0: no limit."""


def caller_of(request: Request[Any, Any, Any]) -> Caller:
    caller: Caller = request.scope["state"]["caller"]  # `request.state` is a copy with a lock, made for each look
    return caller


def correlation_of(request: Request[Any, Any, Any]) -> str:
    """The id of this request in our logs."""
    correlation_id: str = request.scope["state"]["correlation_id"]
    return correlation_id
