"""The load of a recorded run: jobs of every kind, some that must fail, an operator who replays and discards, and receivers of webhooks."""

import asyncio
import itertools
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import nats
from aiohttp import web

from tests.chaos.provider import Provider
from tests.chaos.submissions import Submissions, prepared
from tests.sites.site import Site
from tests.whole_stack import System, said_by_proc

KINDS = ("clip", "subtitled", "file", "clip", "url", "fast", "burned", "garbage", "clip", "bulk", "subtitled", "outside")
STUMBLES = ((503, {"error": {"message": "over capacity"}}), (200, b"<html>no transcript</html>"))
ACCEPTED = 202
BURST = 40
SERVICES = ("resolver", "clipper", "asr", "janitor")


def ports(system: System) -> dict[str, int]:
    """Where each service answers /metrics."""
    found = {name: int(_environ(system.pid(name))["HEALTH_PORT"]) for name in SERVICES}
    return {"api": int(system.stack.url.rpartition(":")[2]), **found}


def _environ(pid: int) -> dict[str, str]:
    return dict(line.split("=", 1) for line in said_by_proc(pid, "environ") if "=" in line)


@asynccontextmanager
async def receiver(port: int) -> AsyncIterator[str]:
    """Of webhooks; refuses every fourth."""
    turns = itertools.count(1)

    async def hear(_: web.Request) -> web.Response:
        return web.Response(status=503 if next(turns) % 4 == 0 else 204)

    app = web.Application()
    app.router.add_post("/hook", hear)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield f"http://127.0.0.1:{port}/hook"
    finally:
        await runner.cleanup()


async def put_on(system: System, site: Site, provider: Provider, callback: str, seconds: float, *, every: float = 1.5) -> None:
    """A job every so many seconds; the provider stumbles now and then; half-way comes a burst, and the operator tidies up."""
    submissions = Submissions(await prepared(system.http, site.folder, site.file))
    async with system.http.post("/api/webhooks/secrets") as made:
        made.raise_for_status()
    began, tidied = time.monotonic(), False
    async with asyncio.TaskGroup() as group:
        for number, kind in enumerate(itertools.cycle(KINDS)):
            group.create_task(_submit(system, submissions, kind, callback if number % 3 == 0 else None))
            if number % 9 == 8:
                provider.groq.says(*STUMBLES[number % 2])
            group.create_task(_look_around(system.http))
            await asyncio.sleep(every)
            passed = time.monotonic() - began
            if passed > seconds / 2 and not tidied:
                tidied = True
                group.create_task(_tidy(system.stack.environ["NATS_URL"]))
                for kind_of_many in itertools.islice(itertools.cycle(KINDS[:4]), BURST):
                    group.create_task(_submit(system, submissions, kind_of_many, callback))
            if passed > seconds:
                break


async def _submit(system: System, submissions: Submissions, kind: str, callback: str | None) -> None:
    number = next(submissions.numbers)
    wish = submissions.wish(kind, number)
    shift = 0.2 if number % 4 == 1 and kind == "clip" else 0.0
    wish.body.update(start=wish.body["start"] + shift, end=round(wish.body["end"] + shift, 3))
    if callback and not wish.is_multipart:
        wish.body["callbackUrl"] = callback
    status, answer, _ = await submissions._sent(system.http, wish)  # noqa: SLF001  as a job of a chaos run is sent
    if status != ACCEPTED:
        print(f"{kind}: {status} {answer.get('error', {}).get('message', '')}")
    elif number % 5 == 0:
        async with system.http.get(f"/api/jobs/{answer['job']['id']}/events") as events:
            await events.read()


async def _look_around(http: aiohttp.ClientSession) -> None:
    """As pages and clients do, with an error now and then."""
    for path in ("/api/jobs?limit=20", "/api/jobs/00000000-0000-4000-8000-000000000000", "/"):
        async with http.get(path) as answer:
            await answer.read()


async def _tidy(nats_url: str) -> None:
    """Puts the oldest dead letter back, and deletes the next."""
    client = await nats.connect(nats_url)
    try:
        listed = json.loads((await client.request("clipstream.dlq.list", b"{}", timeout=10)).data)["letters"]
        for request, letter in zip(("replay", "discard"), listed, strict=False):
            await client.request(f"clipstream.dlq.{request}", json.dumps({"seq": letter["seq"]}).encode(), timeout=10)
    finally:
        await client.close()
