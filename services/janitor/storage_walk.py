"""Walking S3's keys and the jobs side by side, both in order of the job's id, so that neither needs a request a job. Pure."""

from collections.abc import AsyncIterator
from typing import TypeVar
from uuid import UUID

from libs.common.runtime.s3_fields import checked_key

T = TypeVar("T")
JOB_FOLDERS = ("results", "sources")
CACHE = "sources/cache/"
NOTHING: frozenset[str] = frozenset()


def owner_of(key: str) -> UUID | None:
    """The job in whose folder the object lies, `results/{job}/…` or `sources/{job}/…`; None for a key that is not of our making."""
    folder, _, rest = key.partition("/")
    job, _, name = rest.partition("/")
    return _id(key, job) if name and folder in JOB_FOLDERS else None


def is_upload(key: str) -> bool:
    """`uploads/{id}/name`."""
    folder, _, rest = key.partition("/")
    upload, _, name = rest.partition("/")
    return folder == "uploads" and bool(name) and _id(key, upload) is not None


def is_cached(key: str) -> bool:
    """`sources/cache/{id}.mp4`, or without an extension."""
    name = key.removeprefix(CACHE)
    return name != key and _id(key, name.partition(".")[0]) is not None


def _id(key: str, text: str) -> UUID | None:
    try:
        checked_key(key)
        read = UUID(text)
    except ValueError:
        return None
    return read if str(read) == text else None


async def in_pages(found: AsyncIterator[T], size: int) -> AsyncIterator[list[T]]:
    """All of it, `size` at a time; the last page may be shorter."""
    page: list[T] = []
    async for each in found:
        page.append(each)
        if len(page) == size:
            yield page
            page = []
    if page:
        yield page


async def by_owner(keys: AsyncIterator[str]) -> AsyncIterator[tuple[UUID, frozenset[str]]]:
    """Each job's keys, where they come in order; what is nobody's is left out."""
    owner: UUID | None = None
    together: list[str] = []
    async for key in keys:
        if (of := owner_of(key)) is None:
            continue
        if owner is not None and of != owner:
            yield owner, frozenset(together)
            together = []
        owner = of
        together.append(key)
    if owner is not None:
        yield owner, frozenset(together)


async def beside(
    jobs: AsyncIterator[tuple[UUID, T]], folders: AsyncIterator[tuple[UUID, frozenset[str]]]
) -> AsyncIterator[tuple[T, frozenset[str]]]:
    """Each job with the keys of its folder, none where it has no folder. Both sides come in order of the id, each id once."""
    folder = await anext(folders, None)
    async for job_id, job in jobs:
        while folder and folder[0] < job_id:
            folder = await anext(folders, None)
        yield job, folder[1] if folder and folder[0] == job_id else NOTHING
