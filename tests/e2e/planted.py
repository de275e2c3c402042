"""Secrets that a test plants, and all the places where it looks for them again."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import nats
from aiohttp import web

from tests.whole_stack import children, said_by_proc


def planted(name: str) -> str:
    """Letters and digits alone, so that no encoding hides it, and so long that nothing else is the same."""
    return f"plant{name.replace('_', '')}{os.urandom(8).hex()}"


@dataclass
class Garden:
    """`secrets`: value by name. `places`: what was read where."""

    secrets: dict[str, str] = field(default_factory=dict)
    places: dict[str, list[str]] = field(default_factory=dict)

    def plant(self, name: str) -> str:
        return self.secrets.setdefault(name, planted(name))

    def saw(self, place: str, *texts: str) -> None:
        self.places.setdefault(place, []).extend(texts)

    def found(self) -> set[tuple[str, str]]:
        """(place, name of the secret)."""
        return {(place, name) for place, texts in self.places.items() for name, value in self.secrets.items() if value in "\n".join(texts)}


@dataclass
class Caller:
    """Asks the API, and keeps whatever it answers."""

    http: aiohttp.ClientSession
    garden: Garden
    headers: dict[str, str]

    async def ask(self, method: str, path: str, *, keep: bool = True, **options: Any) -> dict[str, Any]:
        headers = {**self.headers, **options.pop("headers", {})}
        async with self.http.request(method, path, headers=headers, **options) as answer:
            text = await answer.text()
            if keep:
                self.garden.saw("API answers", f"{answer.headers}\n{text}")
            return await answer.json() if answer.content_type == "application/json" else {}

    async def ended(self, job_id: str) -> dict[str, Any]:
        async with asyncio.timeout(90):
            while True:
                body = await self.ask("GET", f"/api/jobs/{job_id}")
                job = body.get("job", {})
                if job.get("status") in {"done", "failed", "cancelled"}:
                    return job
                await asyncio.sleep(0.1)


@asynccontextmanager
async def watched_processes(garden: Garden) -> AsyncIterator[None]:
    """While inside, the arguments of all processes below this one, and the environments of those that services start."""

    async def watch() -> None:
        while True:
            services = [pid for pid in children(os.getpid()) if _is_service(pid)]
            garden.saw("process arguments", *{" ".join(said_by_proc(pid, "cmdline")) for pid in _below(children(os.getpid()))})
            garden.saw("environments of children", *{_environ(pid, each) for each in services for pid in _below([each])[1:]})
            await asyncio.sleep(0.05)

    watching = asyncio.create_task(watch())
    try:
        yield
    finally:
        watching.cancel()


def _is_service(pid: int) -> bool:
    return "services." in " ".join(said_by_proc(pid, "cmdline"))


def _below(pids: Iterable[int]) -> list[int]:
    found = []
    for pid in pids:
        with suppress(FileNotFoundError, ProcessLookupError):
            found += [pid, *_below(children(pid))]
    return found


def _environ(pid: int, service: int) -> str:
    """Empty until it is a program of its own: between fork and exec it still is the service."""
    with suppress(PermissionError):
        if said_by_proc(pid, "cmdline") != said_by_proc(service, "cmdline"):
            return " ".join(said_by_proc(pid, "environ"))
    return ""


async def see_database(garden: Garden, url: str) -> None:
    """Every row of every table, as text; what is kept as bytes also as it was written."""
    connection = await asyncpg.connect(url)
    try:
        tables = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        for (table,) in tables:
            rows = await connection.fetch(f"SELECT * FROM {table}")  # noqa: S608  names out of the catalogue
            garden.saw(f"table {table}", *(str([_text(value) for value in row.values()]) for row in rows))
    finally:
        await connection.close()


def _text(value: object) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


async def see_messages(garden: Garden, url: str) -> None:
    """Headers and bodies of what is in the streams."""
    client = await nats.connect(url)
    try:
        js = client.jetstream()
        for stream in await js.streams_info():
            for sequence in range(stream.state.first_seq, stream.state.last_seq + 1):
                with suppress(nats.js.errors.NotFoundError):
                    message = await js.get_msg(stream.config.name, sequence)
                    garden.saw("message headers", str(message.headers))
                    garden.saw("message bodies", _text(message.data))
    finally:
        await client.close()


def see_files(garden: Garden, place: str, files: Iterable[Path]) -> None:
    garden.saw(place, *(file.read_bytes().decode(errors="replace") for file in files if file.is_file()))


@asynccontextmanager
async def rude_receiver(garden: Garden) -> AsyncIterator[str]:
    """Where webhooks go, and never well: it repeats what it was asked for. Its address; what came is a place of its own."""

    async def refuse(request: web.Request) -> web.Response:
        garden.saw("what receivers were sent", request.path_qs, str(request.headers))
        return web.Response(status=500, text=f"{request.path_qs} {request.headers}")

    app = web.Application()
    app.router.add_route("*", "/{any:.*}", refuse)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
