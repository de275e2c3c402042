"""The asynchronous client, whose methods say in one line each where the work is done. The blocking one runs the same."""

from collections.abc import AsyncGenerator, Callable, Collection, Sequence
from datetime import datetime
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Self, Unpack
from uuid import uuid4

from clipstream import downloading, following, listing, operating, probing
from clipstream.address import address
from clipstream.job_options import JobOptions, Segment, Time, ranges
from clipstream.models import Event, Job, Probe, Result, Upload
from clipstream.operator_models import DeadLetter, Discarded, Key, NewKey, OpenedLetter, Overview, Replays
from clipstream.ordering import Source, one_part, ordered
from clipstream.pacing import Pacing
from clipstream.server import Server, identifier
from clipstream.uploading import upload
from clipstream.wire import AsyncWire, Wire

Progress = Callable[[int, int], None]
"""Told the bytes so far, and how many there are to be."""
Folder = str | PathLike[str]


class AsyncClipstream:
    """A Clipstream server. Use it as a context manager, or close it with `aclose`.

    `url`: CLIPSTREAM_URL, else http://127.0.0.1:8080. `key`: CLIPSTREAM_API_KEY, else none; over plain HTTP it goes to this machine alone,
    unless `insecure`. `timeout`: seconds without a byte from the server. `retries`: of a request that can succeed later.

    All methods raise ClipstreamError: BadRequest, Unauthorized, Forbidden, NotFound, Unavailable … as the server answers.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        key: str | None = None,
        timeout: float = 30.0,
        retries: int = 4,
        insecure: bool | None = None,
        wire: Callable[[float, str], Wire] = AsyncWire,
    ) -> None:
        where = address(url, key, insecure=insecure)
        self._server = Server(where, wire(timeout, where.url), Pacing(retries))
        self.keys = AsyncKeys(self._server)
        self.dead_letters = AsyncDeadLetters(self._server)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        await self._server.wire.close()

    @property
    def url(self) -> str:
        return self._server.address.url

    async def upload(
        self, path: str | PathLike[str], *, content_type: str | None = None, progress: Progress | None = None, resume: bool = True
    ) -> Upload:
        """Sends a file in parts. What an earlier call, also of another process, sent of the same file is not sent again."""
        return await upload(self._server, Path(path), content_type, progress, resume=resume)

    async def create(
        self,
        source: Source,
        start: Time | None = None,
        end: Time | None = None,
        *,
        segments: Sequence[Segment] = (),
        joined: bool = False,
        idempotency_key: str | None = None,
        progress: Progress | None = None,
        **options: Unpack[JobOptions],
    ) -> Job:
        """Orders one clip: of a range, or with `joined` of several. A file is uploaded first, with `progress`."""
        part = one_part(start, end, segments, joined=joined)
        made = await ordered(self._server, source, part, options, idempotency_key=idempotency_key, progress=progress)
        return made[0]

    async def create_many(
        self,
        source: Source,
        segments: Sequence[Segment],
        *,
        idempotency_key: str | None = None,
        progress: Progress | None = None,
        **options: Unpack[JobOptions],
    ) -> list[Job]:
        """Orders a clip for each segment, all or none of them, in their order."""
        part = ranges(None, None, segments, joined=False)
        return await ordered(self._server, source, part, options, idempotency_key=idempotency_key, progress=progress)

    async def job(self, id: str) -> Job:  # noqa: A002  the API's own word
        """How the job stands."""
        return await following.job(self._server, id)

    def jobs(
        self,
        *,
        status: str | None = None,
        source_type: str | None = None,
        created_after: datetime | None = None,
        created_before: datetime | None = None,
        group_id: str | None = None,
        limit: int | None = None,
    ) -> AsyncGenerator[Job, None]:
        """Jobs, newest first, as many as there are or `limit`; fetched page by page as they are taken."""
        return listing.jobs(
            self._server,
            limit,
            status=status,
            sourceType=source_type,
            createdAfter=created_after,
            createdBefore=created_before,
            groupId=group_id,
        )

    def events(self, id: str, *, after: int | None = None) -> AsyncGenerator[Event, None]:  # noqa: A002  the API's own word
        """What happens to the job, as it happens, to its end; behind the event `after`, if it is named."""
        return following.follow(self._server, id, after)

    async def wait(
        self,
        id: str,  # noqa: A002  the API's own word
        *,
        timeout: float | None = None,  # noqa: ASYNC109  the same as of the blocking client
        on_event: Callable[[Event], None] | None = None,
    ) -> Job:
        """The job when it is done. Raises JobFailed, JobCancelled; WaitTimeout after `timeout` seconds."""
        return await following.wait(self._server, id, timeout, on_event)

    async def result(self, id: str) -> Result:  # noqa: A002  the API's own word
        """The files of a job that is done, with URLs that are good for some minutes."""
        return await downloading.result(self._server, id)

    async def download(
        self,
        id: str,  # noqa: A002  the API's own word
        folder: Folder = ".",
        *,
        name: str | None = None,
        only: Collection[str] | None = None,
        progress: Progress | None = None,
    ) -> dict[str, Path]:
        """Puts the files into the folder, as clip.mp4, clip.srt … or named `name`, over what is there; gives their places by name.

        `only` picks some: video, burned_video, srt, vtt, text, json, thumbnail, or a preset. A file is there whole or not at all.
        """
        return await downloading.download(self._server, id, Path(folder), name or "clip", only, progress)

    async def cut(
        self,
        source: Source,
        start: Time | None = None,
        end: Time | None = None,
        *,
        folder: Folder = ".",
        name: str | None = None,
        segments: Sequence[Segment] = (),
        progress: Progress | None = None,
        on_event: Callable[[Event], None] | None = None,
        **options: Unpack[JobOptions],
    ) -> dict[str, Path]:
        """All at once: create, wait, download. Several `segments` are joined. `progress` is that of the upload."""
        made = await self.create(source, start, end, segments=segments, joined=bool(segments), progress=progress, **options)
        await self.wait(made.id, on_event=on_event)
        return await self.download(made.id, folder, name=name)

    async def cancel(self, id: str) -> Job:  # noqa: A002  the API's own word
        """Stops the job within seconds. Raises Conflict for one that is over."""
        answer = await self._server.call("DELETE", f"/api/jobs/{identifier(id)}", following.JobAnswer)
        return answer.job

    async def retry(self, id: str) -> Job:  # noqa: A002  the API's own word
        """Runs a failed job again, from the stage that failed. Raises Conflict where nothing failed."""
        path = f"/api/jobs/{identifier(id)}/retry"
        answer = await self._server.call("POST", path, following.JobAnswer, idempotency_key=str(uuid4()))
        return answer.job

    async def delete(self, id: str) -> None:  # noqa: A002  the API's own word
        """Deletes the job and its files now, for good."""
        await self._server.call("DELETE", f"/api/jobs/{identifier(id)}/result", object)

    async def probe(self, source: Source, start: Time | None = None, end: Time | None = None, *, progress: Progress | None = None) -> Probe:
        """What the source holds, and whether a job on it, with this range, would be taken on. A file is uploaded for it."""
        return await probing.probe(self._server, source, start, end, progress)

    async def overview(self) -> Overview:
        """How the whole stands; for operators."""
        return await operating.overview(self._server)


class AsyncKeys:
    """API keys; for operators."""

    def __init__(self, server: Server) -> None:
        self._server = server

    async def list(self) -> list[Key]:
        """Newest first, revoked ones too."""
        return await operating.keys(self._server)

    async def create(
        self,
        name: str,
        scopes: Sequence[operating.Scope],
        *,
        tenant: str | None = None,
        expires_days: int | None = None,
        rate_limit: int | None = None,
        max_active_jobs: int | None = None,
    ) -> NewKey:
        """Its `api_key` is shown this once."""
        limits = {"tenant": tenant, "expires_days": expires_days, "rate_limit": rate_limit, "max_active_jobs": max_active_jobs}
        return await operating.make_key(self._server, name, scopes, **limits)

    async def revoke(self, id: str) -> Key:  # noqa: A002  the API's own word
        """It is refused within 10 s."""
        return await operating.revoke_key(self._server, id)

    async def rotate(self, id: str, *, grace_hours: float | None = None, expires_days: int | None = None) -> NewKey:  # noqa: A002  the same
        """A new key for the old one, which goes on for the hours of grace (24)."""
        return await operating.rotate_key(self._server, id, grace_hours=grace_hours, expires_days=expires_days)


class AsyncDeadLetters:
    """What failed for good; for operators."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def list(self, stage: str | None = None, job_id: str | None = None) -> AsyncGenerator[DeadLetter, None]:
        """Oldest first."""
        return operating.letters(self._server, stage, job_id)

    async def show(self, seq: int) -> OpenedLetter:
        return await operating.letter(self._server, seq)

    async def replay(
        self,
        seq: int | None = None,
        *,
        job_id: str | None = None,
        stage: str | None = None,
        all: bool = False,  # noqa: A002  the API's own word
    ) -> Replays:
        """Puts one, a job's, a stage's or all of them back to work."""
        return await operating.replay(self._server, {"seq": seq, "job_id": job_id, "stage": stage, "all": all})

    async def discard(self, seq: int) -> Discarded:
        """Deletes it for good."""
        return await operating.discard(self._server, seq)
