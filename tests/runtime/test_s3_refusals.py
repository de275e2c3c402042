"""What the object store makes of a server that refuses us, says nothing, or asks to slow down."""

import socket
import time

import pytest
from aiohttp import web

from libs.common.domain.failures import Code, Failure
from libs.common.runtime.object_store import open_object_store
from tests.runtime.test_object_store import PLAIN, new_key, settings


async def test_a_wrong_secret_is_our_own_fault_and_stays_out_of_the_message(servers: dict[str, str]) -> None:
    async with open_object_store(settings(servers, S3_SECRET_ACCESS_KEY="not-the-secret")) as wrong:
        with pytest.raises(Failure) as raised:
            await wrong.sources.put(new_key(), b"x", PLAIN)
    assert (raised.value.code, raised.value.outage) == (Code.INTERNAL, None)
    assert "secret" not in raised.value.message


async def test_a_server_that_never_answers_fails_the_ping_in_time(servers: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        async with open_object_store(settings(servers, S3_ENDPOINT_URL=endpoint)) as unanswered:
            began = time.perf_counter()
            with pytest.raises(Failure) as raised:
                await unanswered.ping()
    assert raised.value.outage == "s3"
    assert time.perf_counter() - began < 4


async def test_a_server_that_asks_to_slow_down_is_an_outage(servers: dict[str, str]) -> None:
    asked = 0

    async def slow_down(_: web.BaseRequest) -> web.Response:
        nonlocal asked
        asked += 1
        return web.Response(status=503, text="<Error><Code>SlowDown</Code></Error>", content_type="application/xml")

    runner = web.ServerRunner(web.Server(slow_down))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    try:
        variables = {**servers, "S3_ENDPOINT_URL": f"http://127.0.0.1:{port}", "STORAGE_UPLOAD_ATTEMPTS": "2"}
        async with open_object_store(settings(variables)) as slow:
            with pytest.raises(Failure) as raised:
                await slow.sources.put(new_key(), b"x", PLAIN)
    finally:
        await runner.cleanup()
    assert (raised.value.code, raised.value.outage) == (Code.STORAGE_UNAVAILABLE, "s3")
    assert asked == 2
