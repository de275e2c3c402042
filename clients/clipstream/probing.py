"""A source looked at without a job."""

from collections.abc import Callable

from clipstream.job_options import Time, body_of, ranges
from clipstream.models import Model, Probe
from clipstream.ordering import Source, named
from clipstream.server import Server

PATIENCE = 60.0
"""Seconds: a site may take its time, and the server gives it 30."""


class _Answer(Model, frozen=True, kw_only=True):
    probe: Probe


async def probe(server: Server, source: Source, start: Time | None, end: Time | None, progress: Callable[[int, int], None] | None) -> Probe:
    body = body_of(await named(server, source, progress), ranges(start, end, (), joined=False), {})
    answer = await server.call("POST", "/api/probe", _Answer, body=body, patience=PATIENCE)
    return answer.probe
