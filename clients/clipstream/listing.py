"""Jobs listed, page by page, as they are taken."""

from collections.abc import AsyncGenerator
from typing import Any

from clipstream.models import Job, Model
from clipstream.server import Server

PAGE = 100


class _Page(Model, frozen=True, kw_only=True):
    jobs: tuple[Job, ...]
    next_cursor: str | None = None


async def jobs(server: Server, limit: int | None, **filters: Any) -> AsyncGenerator[Job, None]:
    """Newest first. Filters are query parameters; what is None is none."""
    left, cursor = limit, None
    query = {name: value.isoformat() if hasattr(value, "isoformat") else value for name, value in filters.items()}
    while left is None or left > 0:
        page = await server.get("/api/jobs", _Page, **query, limit=min(PAGE, left or PAGE), cursor=cursor)
        for job in page.jobs:
            yield job
        left = None if left is None else left - len(page.jobs)
        if (cursor := page.next_cursor) is None:
            return
