"""The ids of the events that a job can have once only, derived from what makes them so: written again, each is the same row."""

from uuid import UUID, uuid5

from libs.common.domain.events import StageName


def request_id(job_id: UUID) -> UUID:
    return uuid5(job_id, "requested")


def answer_id(job_id: UUID, stage: StageName, run: int) -> UUID:
    return uuid5(job_id, f"{stage}:{run}")


def cancel_id(job_id: UUID, run: int) -> UUID:
    return uuid5(job_id, f"cancelled:{run}")


def replay_id(job_id: UUID, run: int) -> UUID:
    return uuid5(job_id, f"replayed:{run}")


def expiry_id(job_id: UUID) -> UUID:
    return uuid5(job_id, "expired")


def discard_id(job_id: UUID, source: str) -> UUID:
    return uuid5(job_id, f"discarded:{source}")
