"""A server on loopback that speaks Groq's wire format for transcriptions: it checks what it is sent and answers what the test says."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

WORDS = {
    "task": "transcribe",
    "language": "English",
    "duration": 2.0,
    "text": " Hello there. Good bye.",
    "words": [
        {"word": "Hello", "start": 0.1, "end": 0.5},
        {"word": "there.", "start": 0.5, "end": 0.9},
        {"word": "Good", "start": 1.0, "end": 1.4},
        {"word": "bye.", "start": 1.4, "end": 1.9},
    ],
    "segments": [{"id": 0, "start": 0.1, "end": 1.9, "text": " Hello there. Good bye.", "avg_logprob": -0.2, "no_speech_prob": 0.0}],
    "x_groq": {"id": "req_1"},
}
TRANSLATED = {
    "task": "translate",
    "language": "English",
    "duration": 2.0,
    "text": " Hello there.",
    "segments": [{"id": 0, "start": 0.2, "end": 1.2, "text": " Hello there."}],
}
"""Of /translations, which knows segments alone."""

TYPES = {"clip.flac": ("audio/flac", b"fLaC"), "clip.ogg": ("audio/ogg", b"OggS")}


@dataclass
class Answer:
    """What the server says next; a dict goes as JSON. `hangs` says it never, `waits` when it is told, `breaks_off` stops in the middle."""

    status: int = 200
    body: Mapping[str, Any] | bytes = field(default_factory=lambda: WORDS)
    headers: Mapping[str, str] = field(default_factory=dict)
    hangs: bool = False
    waits: asyncio.Event | None = None
    breaks_off: bool = False


@dataclass
class Request:
    """A request as it came: its path, its key, its form fields (the file apart) and the file's name, type and content."""

    path: str
    authorization: str
    fields: dict[str, list[str]]
    file_name: str = ""
    file_type: str | None = None
    content: bytes = b""


@dataclass
class FakeGroq:
    """`limit`: bytes of the largest file that it takes. `hears` makes the answer to a file where none was said; `fails_at` gets 504."""

    url: str = ""
    limit: int = 25 << 20
    hears: Callable[[Request], Awaitable[Mapping[str, Any] | bytes]] | None = None
    fails_at: bytes | None = None
    requests: list[Request] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    closing: asyncio.Event = field(default_factory=asyncio.Event)

    def says(self, status: int = 200, body: Mapping[str, Any] | bytes | None = None, **about: Any) -> None:
        """The next answer; after the last one said, every answer is WORDS, or what it hears."""
        self.answers.append(Answer(status, WORDS if body is None else body, **about))

    async def serve(self, request: web.Request) -> web.StreamResponse:
        seen = await _read(request)
        self.requests.append(seen)
        self.asked.set()
        answer = _refusal(seen, self.limit) or (self.answers.pop(0) if self.answers else await self._heard(seen))
        if answer.hangs:
            await self.closing.wait()
        if answer.waits:
            await answer.waits.wait()
        if answer.breaks_off:
            return await _half(request)
        if isinstance(answer.body, bytes):
            return web.Response(status=answer.status, body=answer.body, headers=answer.headers, content_type="text/html")
        return web.json_response(answer.body, status=answer.status, headers=answer.headers)

    async def _heard(self, seen: Request) -> Answer:
        if seen.content == self.fails_at:
            return Answer(504)
        return Answer(body=await self.hears(seen)) if self.hears else Answer()


async def _read(request: web.Request) -> Request:
    seen = Request(request.path, request.headers.get("Authorization", ""), {})
    async for part in await request.multipart():
        content = bytes(await part.read())
        if part.name == "file":
            seen.file_name, seen.file_type, seen.content = part.filename, part.headers.get("Content-Type"), content
        else:
            seen.fields.setdefault(str(part.name), []).append(content.decode())
    return seen


def _refusal(seen: Request, limit: int) -> Answer | None:
    """What Groq itself refuses: fields that it doesn't know, a file whose type it can't tell, one that is too large (findings A1)."""
    if len(seen.content) > limit:
        return _error(413, "Request Entity Too Large", code="request_too_large")
    if unknown := set(seen.fields) - _known(seen.path):
        return _error(400, f"unknown fields {unknown}")
    kind, magic = TYPES.get(seen.file_name, ("", b""))
    if seen.file_type != kind or not seen.content.startswith(magic):
        return _error(400, "file must be one of the following types: [flac ogg …]")
    if seen.path.endswith("/translations") and "turbo" in seen.fields["model"][0]:
        return _error(400, "The model `whisper-large-v3-turbo` does not support translation")
    return None


def _known(path: str) -> set[str]:
    known = {"model", "prompt", "response_format", "temperature"}
    return known if path.endswith("/translations") else known | {"language", "timestamp_granularities[]"}


def _error(status: int, message: str, code: str | None = None) -> Answer:
    return Answer(status, {"error": {"message": message, "type": "invalid_request_error", "code": code}})


async def _half(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": "1000", "Content-Type": "application/json"})
    await response.prepare(request)
    await response.write(b'{"text": "half an ans')
    if request.transport:
        request.transport.close()
    return response


@asynccontextmanager
async def fake_groq() -> AsyncIterator[FakeGroq]:
    groq = FakeGroq()
    app = web.Application(client_max_size=32 << 20)
    app.router.add_post("/{path:.*}", groq.serve)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    groq.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield groq
    finally:
        groq.closing.set()
        await runner.cleanup()
