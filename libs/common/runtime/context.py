"""All that a handler may touch: its event's job, its settings and tools, S3, a scratch folder, and a way to say how far it is.

A handler knows nothing of NATS, retries or acks: it takes an event and a Context and returns the next event, or raises Failure.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar
from uuid import UUID

from libs.common.domain.job import Job
from libs.common.runtime.object_store import ObjectStore

S = TypeVar("S")
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Context(Generic[S, T]):
    """One attempt's world. `settings` is the service's own, `tools` what the service opened at its start (None if nothing)."""

    job_id: UUID
    job: Job
    settings: S
    tools: T
    objects: ObjectStore
    folder: Callable[[], Path]
    """Makes `scratch`, or tells where it is by now."""
    progress: Callable[[float], Awaitable[None]]
    """Say that this stage is done to 0.0 … 1.0; written at most about once a second, so call it freely."""

    @property
    def scratch(self) -> Path:
        """A folder of this attempt alone, made when it is first asked for and removed when the attempt ends."""
        return self.folder()
