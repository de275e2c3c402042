"""A server that means harm can't speak to the terminal, and chooses no file's name."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.clients.cli.typing_in import Shell, environ_of

TRICK = "\x1b]52;c;cm0gLXJm\x07\x1b[2J\u202e[bold red]x[/]\r\n"
ID = "5f0c2a1e-0000-4000-8000-000000000000"
JOB = {
    "id": f"{ID}{TRICK}",
    "status": TRICK,
    "stage": TRICK,
    "progress": 3.0,
    "start": 1.0,
    "end": 2.0,
    "cutPath": TRICK,
    "actualStart": 1.0,
    "actualEnd": 2.0,
    "presets": [TRICK],
    "priority": TRICK,
    "metadata": {TRICK: TRICK},
    "error": {"code": TRICK, "message": TRICK, "hint": TRICK},
    "warnings": [{"code": TRICK, "message": TRICK}],
    "createdAt": "2026-11-21T12:00:00Z",
    "expiresAt": "2026-11-21T12:00:00Z",
}
REFUSAL = {"error": {"code": TRICK, "message": f"no {TRICK}", "correlationId": TRICK, "details": {"hint": TRICK, "retryable": False}}}


@pytest.fixture
async def hostile(tmp_path: Path) -> AsyncIterator[Shell]:
    async def jobs(_request: web.Request) -> web.Response:
        return web.json_response({"correlationId": "x", "jobs": [JOB]})

    async def job(_request: web.Request) -> web.Response:
        return web.json_response({"correlationId": "x", "job": JOB, "events": []})

    async def refuse(_request: web.Request) -> web.Response:
        return web.json_response(REFUSAL, status=409)

    app = web.Application()
    app.add_routes([web.get("/api/jobs", jobs), web.get("/api/jobs/{id}", job), web.delete("/api/jobs/{id}", refuse)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    address: Any = runner.addresses[0]
    try:
        yield Shell(tmp_path, environ_of(tmp_path, CLIPSTREAM_URL=f"http://127.0.0.1:{address[1]}"))
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("words", [("list",), ("status", ID), ("cancel", ID), ("list", "--json"), ("cancel", ID, "--json")], ids=" ".join)
async def test_nothing_that_it_says_reaches_the_terminal_as_more_than_letters(hostile: Shell, words: tuple[str, ...]) -> None:
    said = await hostile.run(*words)
    assert "[bold red]x[/]" in said.out + said.err
    assert [letter for letter in said.out + said.err if not letter.isprintable() and letter != "\n"] == []


async def test_in_a_terminal_neither(hostile: Shell) -> None:
    async with hostile.typed("status", ID) as screen:
        assert await screen.ended() == 0
    assert "[bold red]x[/]" in screen.text
    assert b"]52;" not in screen.written
    assert "\u202e" not in screen.text
