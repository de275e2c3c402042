"""docs/webhooks.md, followed to the letter: its commands and its receiver, against a whole API."""

import asyncio
import base64
import json
import os
import re
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx

from services.api.caller import Scope
from services.api.key_store import KeyStore, KeyWish
from services.api.keys import Pepper
from services.api.webhooks.attempts import BACK_OFF, Trouble
from services.api.webhooks.signatures import signed_headers
from tests.api.conftest import Running, running
from tests.api.test_webhook_routes import ON
from tests.api.webhook_post import PEPPER
from tests.builders import envelope, uploaded
from tests.documents.blocks import blocks_of, prose

SECRET_SHOWN, JOB_MADE, LOG_SHOWN, SENT_AGAIN = (block.text for block in blocks_of("docs/webhooks.md", "bash"))
(RECEIVER,) = (block.text for block in blocks_of("docs/webhooks.md", "python"))


@contextmanager
def free_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


async def told(command: str, **variables: str) -> Any:
    """What a command of the page prints."""
    process = await asyncio.create_subprocess_exec(
        "bash", "-euc", command, env={**os.environ, **variables}, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(60):
        out, problem = await process.communicate()
    assert process.returncode == 0, problem.decode()
    return json.loads(out)


@asynccontextmanager
async def receiver(folder: Path, secret: str, port: int) -> AsyncIterator[asyncio.StreamReader]:
    """The page's receiver, listening; yields what it prints."""
    (folder / "receiver.py").write_text(RECEIVER)
    environ = {**os.environ, "WEBHOOK_SECRET": secret, "PORT": str(port)}
    silence = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(folder / "receiver.py"), env=environ, stdout=asyncio.subprocess.PIPE, stderr=silence
    )
    assert process.stdout
    try:
        async with asyncio.timeout(60):
            while not await _answers(port):
                await asyncio.sleep(0.05)
        yield process.stdout
    finally:
        process.kill()
        await process.wait()


async def _answers(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


async def test_the_page_leads_to_a_receiver_that_hears_each_end_once_and_believes_nobody_else(
    api: Running, webhook_database: str, tmp_path: Path
) -> None:
    with free_port() as port:
        pass
    given = {**ON, "ENABLE_API_KEYS": "true", "ALLOWLIST_PORTS": f"80,443,{port}"}
    async with running({**api.environ, "DATABASE_URL": webhook_database}, **given) as (http, to):
        await to.health.until_up()
        wish = KeyWish(name="reader", scopes=frozenset({Scope.WRITE, Scope.READ}))
        key, _ = await KeyStore(to.pool, Pepper(PEPPER)).create(wish)
        known = {"API": str(http.base_url).rstrip("/"), "KEY": key.written.reveal(), "CALLBACK": f"http://127.0.0.1:{port}/hook"}
        secret = (await told(SECRET_SHOWN, **known))["secret"]["secret"]
        async with receiver(tmp_path, secret, port) as printed, asyncio.timeout(90):
            job = UUID((await told(JOB_MADE, **known))["job"]["id"])
            await to.store.append(envelope(uploaded(), job))
            assert await printed.readline() == f"job.done {job}\n".encode()
            (delivery,) = (await told(LOG_SHOWN, **known, JOB=str(job)))["deliveries"]
            again = await told(SENT_AGAIN, **known, JOB=str(job), WEBHOOK=delivery["id"])
            assert again["delivery"]["state"] == "pending"
            while len((await told(LOG_SHOWN, **known, JOB=str(job)))["deliveries"][0]["attempts"]) < 2:
                await asyncio.sleep(0.1)
            await _lied_to(known["CALLBACK"], secret)
            other = UUID((await told(JOB_MADE, **known))["job"]["id"])
            await to.store.append(envelope(uploaded(), other))
            assert await printed.readline() == f"job.done {other}\n".encode()  # and nothing of all that in between


async def _lied_to(url: str, secret: str) -> None:
    """What is not from us, or is too old, is refused."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    body, now = json.dumps({"type": "job.done", "data": {"id": "forged"}}).encode(), datetime.now(UTC)
    good = signed_headers(uuid4(), now, body, [key])
    lies = [
        signed_headers(uuid4(), now, body, [b"k" * 32]),
        signed_headers(uuid4(), now - timedelta(minutes=10), body, [key]),
        good | {"webhook-id": str(uuid4())},
        good | {"webhook-signature": "junk"},
        {},
    ]
    async with httpx.AsyncClient() as http:
        assert [(await http.post(url, content=body, headers=lie)).status_code for lie in lies] == [401] * len(lies)


def test_the_page_says_the_back_off_and_the_words_of_the_log_as_they_are() -> None:
    units = {"s": 1, "min": 60, "h": 3600}
    (line,) = re.findall(r"tried again: after (.*?) \(", prose("docs/webhooks.md"))
    assert [int(number) * units[unit] for number, unit in re.findall(r"(\d+) (s|min|h)", line)] == list(BACK_OFF)
    (words,) = re.findall(r"there was none \((.*?)\)", prose("docs/webhooks.md"), re.DOTALL)
    assert set(re.findall(r"`(\w+)`", words)) == set(Trouble)
