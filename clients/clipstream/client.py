"""The blocking client: the same names as the asynchronous one, and the same work, run over a wire that blocks."""

from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self, Unpack

from clipstream.async_client import AsyncClipstream, AsyncDeadLetters, AsyncKeys, Folder, Progress
from clipstream.job_options import JobOptions, Segment, Time
from clipstream.models import Event, Job, Probe, Result, Upload
from clipstream.operating import Scope
from clipstream.operator_models import DeadLetter, Discarded, Key, NewKey, OpenedLetter, Overview, Replays
from clipstream.ordering import Source
from clipstream.wire import BlockingWire, run, walk


class Clipstream:
    """A Clipstream server. Use it as a context manager, or close it with `close`. The arguments are those of AsyncClipstream.

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
    ) -> None:
        self._flows = AsyncClipstream(url, key=key, timeout=timeout, retries=retries, insecure=insecure, wire=BlockingWire)
        self.keys = Keys(self._flows.keys)
        self.dead_letters = DeadLetters(self._flows.dead_letters)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        run(self._flows.aclose())

    @property
    def url(self) -> str:
        return self._flows.url

    def upload(self, path: Folder, *, content_type: str | None = None, progress: Progress | None = None, resume: bool = True) -> Upload:
        """Sends a file in parts. What an earlier call, also of another process, sent of the same file is not sent again."""
        return run(self._flows.upload(path, content_type=content_type, progress=progress, resume=resume))

    def create(
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
        keyed = self._flows.create(
            source, start, end, segments=segments, joined=joined, idempotency_key=idempotency_key, progress=progress, **options
        )
        return run(keyed)

    def create_many(
        self,
        source: Source,
        segments: Sequence[Segment],
        *,
        idempotency_key: str | None = None,
        progress: Progress | None = None,
        **options: Unpack[JobOptions],
    ) -> list[Job]:
        """Orders a clip for each segment, all or none of them, in their order."""
        return run(self._flows.create_many(source, segments, idempotency_key=idempotency_key, progress=progress, **options))

    def job(self, id: str) -> Job:  # noqa: A002  the API's own word
        """How the job stands."""
        return run(self._flows.job(id))

    def jobs(
        self,
        *,
        status: str | None = None,
        source_type: str | None = None,
        created_after: datetime | None = None,
        created_before: datetime | None = None,
        group_id: str | None = None,
        limit: int | None = None,
    ) -> Iterator[Job]:
        """Jobs, newest first, as many as there are or `limit`; fetched page by page as they are taken."""
        filters = {"status": status, "source_type": source_type, "group_id": group_id}
        return walk(self._flows.jobs(created_after=created_after, created_before=created_before, limit=limit, **filters))

    def events(self, id: str, *, after: int | None = None) -> Iterator[Event]:  # noqa: A002  the API's own word
        """What happens to the job, as it happens, to its end; behind the event `after`, if it is named."""
        return walk(self._flows.events(id, after=after))

    def wait(self, id: str, *, timeout: float | None = None, on_event: Callable[[Event], None] | None = None) -> Job:  # noqa: A002  the same
        """The job when it is done. Raises JobFailed, JobCancelled; WaitTimeout after `timeout` seconds."""
        return run(self._flows.wait(id, timeout=timeout, on_event=on_event))

    def result(self, id: str) -> Result:  # noqa: A002  the API's own word
        """The files of a job that is done, with URLs that are good for some minutes."""
        return run(self._flows.result(id))

    def download(
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
        return run(self._flows.download(id, folder, name=name, only=only, progress=progress))

    def cut(
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
        whole = self._flows.cut(
            source,
            start,
            end,
            folder=folder,
            name=name,
            segments=segments,
            progress=progress,
            on_event=on_event,
            **options,
        )
        return run(whole)

    def cancel(self, id: str) -> Job:  # noqa: A002  the API's own word
        """Stops the job within seconds. Raises Conflict for one that is over."""
        return run(self._flows.cancel(id))

    def retry(self, id: str) -> Job:  # noqa: A002  the API's own word
        """Runs a failed job again, from the stage that failed. Raises Conflict where nothing failed."""
        return run(self._flows.retry(id))

    def delete(self, id: str) -> None:  # noqa: A002  the API's own word
        """Deletes the job and its files now, for good."""
        run(self._flows.delete(id))

    def probe(self, source: Source, start: Time | None = None, end: Time | None = None, *, progress: Progress | None = None) -> Probe:
        """What the source holds, and whether a job on it, with this range, would be taken on. A file is uploaded for it."""
        return run(self._flows.probe(source, start, end, progress=progress))

    def overview(self) -> Overview:
        """How the whole stands; for operators."""
        return run(self._flows.overview())


class Keys:
    """API keys; for operators."""

    def __init__(self, flows: AsyncKeys) -> None:
        self._flows = flows

    def list(self) -> list[Key]:
        """Newest first, revoked ones too."""
        return run(self._flows.list())

    def create(
        self,
        name: str,
        scopes: Sequence[Scope],
        *,
        tenant: str | None = None,
        expires_days: int | None = None,
        rate_limit: int | None = None,
        max_active_jobs: int | None = None,
    ) -> NewKey:
        """Its `api_key` is shown this once."""
        made = self._flows.create(
            name, scopes, tenant=tenant, expires_days=expires_days, rate_limit=rate_limit, max_active_jobs=max_active_jobs
        )
        return run(made)

    def revoke(self, id: str) -> Key:  # noqa: A002  the API's own word
        """It is refused within 10 s."""
        return run(self._flows.revoke(id))

    def rotate(self, id: str, *, grace_hours: float | None = None, expires_days: int | None = None) -> NewKey:  # noqa: A002  the same
        """A new key for the old one, which goes on for the hours of grace (24)."""
        return run(self._flows.rotate(id, grace_hours=grace_hours, expires_days=expires_days))


class DeadLetters:
    """What failed for good; for operators."""

    def __init__(self, flows: AsyncDeadLetters) -> None:
        self._flows = flows

    def list(self, stage: str | None = None, job_id: str | None = None) -> Iterator[DeadLetter]:
        """Oldest first."""
        return walk(self._flows.list(stage, job_id))

    def show(self, seq: int) -> OpenedLetter:
        return run(self._flows.show(seq))

    def replay(
        self,
        seq: int | None = None,
        *,
        job_id: str | None = None,
        stage: str | None = None,
        all: bool = False,  # noqa: A002  the API's own word
    ) -> Replays:
        """Puts one, a job's, a stage's or all of them back to work."""
        return run(self._flows.replay(seq, job_id=job_id, stage=stage, all=all))

    def discard(self, seq: int) -> Discarded:
        """Deletes it for good."""
        return run(self._flows.discard(seq))
