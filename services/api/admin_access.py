"""In whose name an operator acts."""

from libs.common.domain.dead_letters import BY_LIMIT
from services.api.caller import caller_of
from services.api.context import AnyRequest
from services.api.requests import Refused

OPERATOR_LIMIT = 80
ADMIN = "admin api"


def operator_of(request: AnyRequest, named: str | None = None) -> str:
    """Whom the job's history names: the key's name, and the person that X-Operator or the body adds. Raises Refused."""
    name = request.headers.get("x-operator", "") or named or ""
    if not name.isprintable() or len(name) > OPERATOR_LIMIT:
        raise Refused("X-Operator", f"X-Operator must be plain text of at most {OPERATOR_LIMIT} characters")
    return ": ".join(part for part in (ADMIN, caller_of(request).key_name, name.strip()) if part)[:BY_LIMIT]
