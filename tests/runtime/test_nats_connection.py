"""Logging in to message servers: what a server that is not the one it should be gets to know."""

import asyncio
import json
from types import SimpleNamespace

import pytest

from libs.common.runtime import nats_connection
from libs.common.runtime.nats_connection import NO_TLS, QUIET, Complaints, open_client

INFO = {"server_id": "x", "version": "2.12.0", "proto": 1, "max_payload": 1048576, "headers": True}
GREETING = b"INFO " + json.dumps(INFO).encode() + b"\r\n"


async def test_a_server_without_tls_gets_no_password_where_the_url_says_tls() -> None:
    heard: asyncio.Queue[bytes] = asyncio.Queue()

    async def pretend(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(GREETING)
        heard.put_nowait(await reader.read())
        writer.close()

    async with await asyncio.start_server(pretend, "127.0.0.1", 0) as server, asyncio.timeout(60):
        address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with open_client(f"tls://user:hunter2@{address}", name="test") as client:
            assert await heard.get() == b""
            assert await heard.get() == b""  # tried again, as silently
            assert NO_TLS in str(client.last_error)
            assert not client.is_connected


async def test_the_same_server_gets_it_where_the_url_does_not_ask_for_tls() -> None:
    heard: asyncio.Queue[bytes] = asyncio.Queue()

    async def pretend(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(GREETING)
        heard.put_nowait(await reader.readline())
        writer.close()

    async with await asyncio.start_server(pretend, "127.0.0.1", 0) as server, asyncio.timeout(60):
        address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with open_client(f"nats://user:hunter2@{address}", name="test"):
            assert b"hunter2" in await heard.get()


async def test_a_complaint_is_told_once_a_minute_however_often_it_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    now, told = 0.0, list[str]()
    monkeypatch.setattr(nats_connection, "log", SimpleNamespace(warning=lambda _, error: told.append(error)))
    monkeypatch.setattr(nats_connection.time, "monotonic", lambda: now)
    complaints = Complaints()
    for now in (0.0, 1.0, QUIET - 1, QUIET, QUIET + 1):
        await complaints.note(ValueError("no"))
        await complaints.note(ValueError(f"no at {now}"))
    assert told.count("ValueError: no") == 2
    assert len(told) == 2 + 5
