"""A job whose time is up, as the janitor finds it."""

from dataclasses import dataclass
from uuid import UUID

from libs.common.domain.events import Envelope


@dataclass(frozen=True, slots=True)
class Due:
    """As it stood at one moment; of progress that follows progress only the last word."""

    job_id: UUID
    history: tuple[Envelope, ...]
    seq: int
    """Of its last event, of a known type or not; 0 where there is none."""
