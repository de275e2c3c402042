"""Real servers, on real sockets, that answer as they are told: for what a well-behaved one never does. And a client of either kind."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

Handle = Callable[[web.Request], Awaitable[web.StreamResponse]]
JOB = "5b4e35d4-9a5a-4c8e-b43c-9d3e0f5a3c11"


@dataclass
class Told:
    """A server that answers as told, and what it was asked."""

    url: str
    asked: list[web.Request] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)

    @property
    def lines(self) -> list[str]:
        return [f"{request.method} {request.path}" for request in self.asked]


@asynccontextmanager
async def serving(**paths: Handle | list[Handle]) -> AsyncIterator[Told]:
    """By path, with _ for a slash. Of several handlers each answers once, the last one for ever after."""
    told = Told("")
    turns = {f"/{name.replace('_', '/')}": list(made) if isinstance(made, list) else [made] for name, made in paths.items()}

    async def handle(request: web.Request) -> web.StreamResponse:
        told.asked.append(request)
        told.bodies.append((await request.read())[:1000])
        named = next((path for path in sorted(turns, key=len, reverse=True) if request.path.replace(JOB, "JOB") == path), None)
        if named is None:
            return web.json_response({"error": {"code": "NOT_FOUND", "message": "there is nothing at this path"}}, status=404)
        turn = turns[named]
        return await (turn.pop(0) if len(turn) > 1 else turn[0])(request)

    app = web.Application(client_max_size=2**30)
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    told.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield told
    finally:
        await runner.cleanup()


def says(body: Any, status: int = 200, **headers: str) -> Handle:
    async def answer(_: web.Request) -> web.Response:
        return web.json_response(body, status=status, headers={name.replace("_", "-"): value for name, value in headers.items()})

    return answer


def refuses(status: int, code: str, *, retryable: bool = False, **headers: str) -> Handle:
    details = {"retryable": retryable, "hint": "Do this."}
    return says({"error": {"code": code, "message": "it is so", "correlationId": "c-1", "details": details}}, status, **headers)


async def hangs_up(request: web.Request) -> web.Response:
    """The connection breaks before a word is said."""
    assert request.transport
    request.transport.abort()
    return web.Response()


def breaks_off(body: bytes, after: int, **headers: str) -> Handle:
    """Says how long its answer is, and breaks off."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-length": str(len(body)), **headers})
        await response.prepare(request)
        await response.write(body[:after])
        await asyncio.sleep(0)
        assert request.transport
        request.transport.close()
        return response

    return answer


class Either:
    """A client of either kind, its methods awaited: a blocking one runs in a thread, what is iterated comes as a list."""

    def __init__(self, calls: Any) -> None:
        self.calls = calls

    @property
    def keys(self) -> "Either":
        return Either(self.calls.keys)

    @property
    def dead_letters(self) -> "Either":
        return Either(self.calls.dead_letters)

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        method = getattr(self.calls, name)

        async def call(*args: Any, **options: Any) -> Any:
            if type(self.calls).__name__.startswith("Async"):
                made = method(*args, **options)
                return [value async for value in made] if hasattr(made, "__aiter__") else await made
            return await asyncio.to_thread(lambda: _whole(method(*args, **options)))

        return call


def _whole(made: Any) -> Any:
    return list(made) if isinstance(made, Iterator) else made


Connect = Callable[..., Either]
