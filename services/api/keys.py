"""API keys: how they are written, hashed and judged. None is kept here, and none shows itself."""

import hashlib
import re
import secrets
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID, uuid4

from libs.common.runtime.settings import Secret
from services.api.caller import Scope

SECRET_BYTES = 24
"""At random: too many to guess, so that a fast hash does."""
API_SECRET_LENGTH = 32
"""Characters that the pepper has at least."""
_WRITTEN = re.compile(r"ck_([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})_([A-Za-z0-9_-]{32})")


@dataclass(frozen=True, slots=True)
class Credentials:
    """The two halves of a written key: `ck_<id>_<secret>`."""

    id: str
    secret: Secret

    @property
    def written(self) -> Secret:
        return Secret(f"ck_{self.id}_{self.secret.reveal()}")


def new_credentials() -> Credentials:
    return Credentials(str(uuid4()), Secret(secrets.token_urlsafe(SECRET_BYTES)))


def credentials_in(text: str) -> Credentials | None:
    """None for what is no key at all."""
    found = _WRITTEN.fullmatch(text)
    return Credentials(found[1], Secret(found[2])) if found else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """What is kept of a key. None in the limits: those of the settings."""

    id: UUID
    name: str
    tenant: str
    scopes: frozenset[Scope]
    hash: bytes = field(repr=False)
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None
    replaced_by: UUID | None = None
    rate_limit: int | None = None
    max_active_jobs: int | None = None

    def is_good(self, now: datetime) -> bool:
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


def derived(api_secret: Secret, purpose: bytes) -> bytes:
    """32 bytes of API_SECRET for one purpose (at most 16 bytes), from which neither it nor those for others can be had."""
    return hashlib.blake2b(api_secret.reveal().encode("utf-8", "surrogateescape"), digest_size=32, person=purpose).digest()


class Pepper:
    """What hashes are keyed with."""

    __slots__ = ("_key",)

    def __init__(self, api_secret: Secret) -> None:
        self._key = derived(api_secret, b"clip api keys")

    def digest(self, text: str) -> bytes:
        """16 bytes, which stand for a header's text where it is not to be kept."""
        return hashlib.blake2b(text.encode(), digest_size=16, key=self._key).digest()

    def hash(self, credentials: Credentials) -> bytes:
        """32 bytes; the id is in it, so that no hash stands for another key."""
        return hashlib.blake2b(f"{credentials.id}_{credentials.secret.reveal()}".encode(), digest_size=32, key=self._key).digest()
