"""A server on loopback that speaks Groq's wire format for transcriptions: it checks what it is sent and answers what the test says."""

import asyncio
from collections.abc import AsyncIterator, Mapping
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


@dataclass
class Answer:
    """What the server says next; a dict goes as JSON. `hangs` says it never, `breaks_off` stops in the middle."""

    status: int = 200
    body: Mapping[str, Any] | bytes = field(default_factory=lambda: WORDS)
    headers: Mapping[str, str] = field(default_factory=dict)
    hangs: bool = False
    breaks_off: bool = False


@dataclass
class Request:
    """A request as it came: its path, its key, its form fields (the file apart) and the file's name, type and size."""

    path: str
    authorization: str
    fields: dict[str, list[str]]
    file_name: str | None = None
    file_type: str | None = None
    file_size: int = 0


@dataclass
class FakeGroq:
    url: str = ""
    requests: list[Request] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    closing: asyncio.Event = field(default_factory=asyncio.Event)

    def says(self, status: int = 200, body: Mapping[str, Any] | bytes | None = None, **about: Any) -> None:
        """The next answer; after the last one said, every answer is WORDS."""
        self.answers.append(Answer(status, WORDS if body is None else body, **about))

    async def serve(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(await _read(request))
        self.asked.set()
        refusal = _refusal(self.requests[-1])
        answer = refusal or (self.answers.pop(0) if self.answers else Answer())
        if answer.hangs:
            await self.closing.wait()
        if answer.breaks_off:
            return await _half(request)
        if isinstance(answer.body, bytes):
            return web.Response(status=answer.status, body=answer.body, headers=answer.headers, content_type="text/html")
        return web.json_response(answer.body, status=answer.status, headers=answer.headers)


async def _read(request: web.Request) -> Request:
    seen = Request(request.path, request.headers.get("Authorization", ""), {})
    async for part in await request.multipart():
        content = bytes(await part.read())
        if part.name == "file":
            seen.file_name, seen.file_type, seen.file_size = part.filename, part.headers.get("Content-Type"), len(content)
        else:
            seen.fields.setdefault(str(part.name), []).append(content.decode())
    return seen


def _refusal(seen: Request) -> Answer | None:
    """What Groq itself answers with 400: granularities without brackets, and a file whose type it can't tell (findings A1)."""
    if "timestamp_granularities" in seen.fields:
        return Answer(400, {"error": {"message": "unknown field timestamp_granularities", "type": "invalid_request_error"}})
    if seen.file_name != "clip.flac" or seen.file_type != "audio/flac":
        return Answer(400, {"error": {"message": "file must be one of the following types: [flac …]", "type": "invalid_request_error"}})
    return None


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
