"""Jobs ordered: a source named, a request made that is safe to send twice, and the jobs that came of it."""

from collections.abc import Callable, Sequence
from os import PathLike, fspath
from pathlib import Path
from typing import Any
from uuid import uuid4

from msgspec.structs import replace

from clipstream.job_options import JobOptions, Segment, Time, body_of, ranges
from clipstream.models import Job, Model, Upload
from clipstream.server import Server
from clipstream.uploading import upload

Source = str | PathLike[str] | Upload
"""A file (its path), a URL that begins with http:// or https://, or a file that was uploaded before."""


class Accepted(Model, frozen=True, kw_only=True):
    correlation_id: str
    job: Job
    jobs: tuple[Job, ...] | None = None
    group_id: str | None = None


async def named(server: Server, source: Source, progress: Callable[[int, int], None] | None) -> dict[str, str]:
    """The fields that say where the source is. A file is uploaded first, unless the server has it."""
    if isinstance(source, str) and source.lower().startswith(("http://", "https://")):
        return {"sourceType": "youtube", "youtubeUrl": source}
    if not isinstance(source, Upload):
        source = await upload(server, Path(fspath(source)), None, progress, resume=True)
    return {"sourceType": "upload", "uploadKey": source.key}


async def ordered(
    server: Server,
    source: Source,
    part: dict[str, Any],
    options: JobOptions,
    *,
    idempotency_key: str | None,
    progress: Callable[[int, int], None] | None,
) -> list[Job]:
    """Sent again after whatever break, it makes no second job: its Idempotency-Key stays the same."""
    body_of({}, part, options)  # a slip of the pen is told before the upload
    body = body_of(await named(server, source, progress), part, options)
    key = idempotency_key or str(uuid4())
    accepted = await server.call("POST", "/api/jobs", Accepted, body=body, idempotency_key=key)
    jobs = accepted.jobs or (accepted.job,)
    return [replace(job, group_id=accepted.group_id, correlation_id=accepted.correlation_id) for job in jobs]


def one_part(start: Time | None, end: Time | None, segments: Sequence[Segment], *, joined: bool) -> dict[str, Any]:
    """Raises TypeError where more than one job would come of it."""
    if segments and not joined:
        raise TypeError("several segments are a job each: use create_many, or joined=True for one clip of all")
    return ranges(start, end, segments, joined=joined)
