"""The egress proxy between real clients and real servers that are hostile, slow, endless or lying."""

import asyncio
import base64
import os
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import pytest

from libs.common.domain.failures import Code
from libs.common.runtime.egress_proxy import Upstream, egress_proxy
from tests.runtime.outside import INSIDE, OUTSIDE, answering, certified, guarding, saying, silent, site
from tests.runtime.proxying import MIB, PLENTY, connection, proxying, request, told


async def test_a_plain_request_goes_through_without_what_was_meant_for_the_proxy() -> None:
    asked = []

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n") + await reader.readexactly(3))
        writer.write(
            b"HTTP/1.1 200 OK\r\nKeep-Alive: 5\r\nConnection: keep-alive, x-hop\r\nX-Hop: 1\r\nX-End: 2\r\nContent-Length: 2\r\n\r\nhi"
        )
        await reader.read()  # a server that does not close

    async with site(handler) as there, proxying(there) as proxy, aiohttp.ClientSession() as session:
        url = f"http://video.test:{there.port}/a%20b?c=d"
        async with session.post(url, proxy=proxy.url, data=b"xyz", headers={"Connection": "X-Mine", "X-Mine": "1"}) as answer:
            assert (answer.status, await answer.read()) == (200, b"hi")
            assert (answer.headers.get("X-End"), answer.headers.get("X-Hop"), answer.headers["Connection"]) == ("2", None, "close")
    head = asked[0].lower()
    assert head.startswith(f"post /a%20b?c=d http/1.1\r\nhost: video.test:{there.port}\r\n".encode())
    assert asked[0].endswith(b"\r\nConnection: close\r\n\r\nxyz")
    assert not any(field in head for field in (b"proxy-", b"x-mine", b"keep-alive"))


async def test_tls_goes_through_a_tunnel_from_end_to_end(tmp_path: Path) -> None:
    server, trusting = certified(tmp_path)
    body = os.urandom(3 * MIB)
    async with site(answering(body), context=server) as there, proxying(there) as proxy, aiohttp.ClientSession() as session:
        async with session.get(f"https://secure.test:{there.port}/", proxy=proxy.url, ssl=trusting) as answer:
            assert await answer.read() == body
        assert proxy.received > len(body)
        assert proxy.failure is None


@pytest.mark.parametrize(
    "given", ["", "Proxy-Authorization: Basic am9iOndyb25n", "Proxy-Authorization: Basic", "Proxy-Authorization: Bearer x"]
)
async def test_who_has_not_the_jobs_credentials_gets_nowhere(given: str) -> None:
    async with site(silent) as there, proxying(there) as proxy, connection(proxy) as (reader, writer):
        writer.write(f"CONNECT video.test:{there.port} HTTP/1.1\r\n{given}\r\n\r\n".replace("\r\n\r\n\r\n", "\r\n\r\n").encode())
        assert (await reader.read()).startswith(b"HTTP/1.1 407 ")
        assert (there.connections, proxy.failure) == (0, None)


async def test_the_credentials_do_not_show() -> None:
    async with proxying() as proxy:
        assert urlsplit(proxy.url).password not in repr(proxy) + str(proxy)


HOSTILE = """
    127.0.0.1 127.0.0.1. 2130706433 0x7f000001 0X7F.1 0177.0.0.1 017700000001 127.1 127.0.1 0 0.0.0.0 127.0.0.0x1 127.000.000.001
    [::1] [::] [::ffff:127.0.0.1] [::ffff:7f00:1] [0:0:0:0:0:ffff:7f00:0001] [::127.0.0.1] [64:ff9b::7f00:1] [2002:7f00:1::] [::1%25lo]
    localhost LOCALHOST localhost. sub.localhost inside.test INSIDE.test. mixed.test six.test mapped.test
    １２７.0.0.1 127。0。0。1 ①②⑦.⓪.⓪.① %31%32%37.0.0.1 127%2e0.0.1 user@127.0.0.1 video.test@127.0.0.1 169.254.169.254
    100.100.100.200 10.0.0.1
""".split()  # noqa: SIM905, RUF001  a table reads best as a table; disguises are the point


@pytest.mark.parametrize("line", ["CONNECT {} HTTP/1.1", "GET http://{}/ HTTP/1.1"])
async def test_no_hostile_url_reaches_a_canary(line: str) -> None:
    answers = {"mixed.test": [[OUTSIDE, INSIDE]], "six.test": [["::1"]], "mapped.test": [["::ffff:127.0.0.1"]]}
    async with site(silent, INSIDE) as canary, site(silent, "::1") as six, proxying(canary, six, answers=answers) as proxy:
        for host in HOSTILE:
            for port in (canary.port, six.port):
                answer = await told(proxy, line.format(f"{host}:{port}"))
                assert answer.startswith(
                    (b"HTTP/1.1 403 SSRF_BLOCKED", b"HTTP/1.1 400 VALIDATION_FAILED", b"HTTP/1.1 502 SOURCE_UNREADABLE")
                ), host
        assert (canary.connections, six.connections, proxy.received) == (0, 0, 0)
        assert proxy.failure
        assert proxy.failure.code == Code.SSRF_BLOCKED


@pytest.mark.parametrize(
    "line",
    [
        *("CONNECT video.test:{} HTTP/1.1", "GET http://video.test:{}/ HTTP/1.1"),
        *("CONNECT 127.0.0.2:{} HTTP/1.1", "GET http://127.0.0.2:{}/ HTTP/1.1"),
    ],
)
async def test_a_port_that_is_not_allowed_is_blocked(line: str) -> None:
    async with site(silent) as there, proxying() as proxy:
        assert (await told(proxy, line.format(there.port))).startswith(b"HTTP/1.1 403 SSRF_BLOCKED")
        assert there.connections == 0


@pytest.mark.parametrize(
    "line",
    [
        *(
            "GET / HTTP/1.1",
            "GET https://video.test/ HTTP/1.1",
            "GET file:///etc/passwd HTTP/1.1",
            "GET http://video.test/",
            "CONNECT / HTTP/1.1",
        ),
        *("GET  http://video.test/ HTTP/1.1", "get http://video.test/ HTTP/1.1", "GET http://video.test/ HTTP/2", "\x16\x03\x01", ""),
    ],
)
async def test_what_is_no_request_for_a_proxy_is_refused(line: str) -> None:
    async with proxying() as proxy:
        assert (await told(proxy, line)).startswith(b"HTTP/1.1 400 VALIDATION_FAILED")


@pytest.mark.parametrize("field", ["Transfer-Encoding: chunked", "Content-Length: -1", "Content-Length: 1e3"])
async def test_a_body_of_unknown_length_is_refused(field: str) -> None:
    async with proxying() as proxy:
        assert (await told(proxy, "POST http://video.test/ HTTP/1.1", field)).startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize("fields", [["X: " + "x" * 70_000], ["X: y"] * 20_000])
async def test_a_head_without_end_is_refused(fields: list[str]) -> None:
    async with proxying() as proxy, connection(proxy) as (reader, writer):
        writer.write(request(proxy, "GET http://video.test/ HTTP/1.1", *fields))
        assert (await reader.readline()).startswith(b"HTTP/1.1 400 ")


async def test_a_name_whose_answer_changes_is_looked_up_once_for_a_connection_and_never_leads_inside() -> None:
    answers = {"rebinding.test": [[OUTSIDE], [INSIDE]]}
    outside = saying(b"HTTP/1.1 200 OK\r\n\r\noutside")
    async with site(outside) as there, guarding(there, answers=answers) as (guard, stub), egress_proxy(guard, PLENTY) as proxy:
        line = f"GET http://rebinding.test:{there.port}/ HTTP/1.1"
        assert (await told(proxy, line)).endswith(b"outside")
        assert (stub.lookups("rebinding.test"), there.connections) == (1, 1)
        assert (await told(proxy, line)).startswith(b"HTTP/1.1 403 SSRF_BLOCKED")
        assert (stub.lookups("rebinding.test"), there.connections) == (2, 1)


async def test_a_redirect_inside_is_blocked_at_its_own_request() -> None:
    async with site(silent, INSIDE) as canary:
        redirect = answering(b"", f"Location: http://inside.test:{canary.port}/", status="302 Found")
        async with site(redirect) as there, proxying(there, canary) as proxy, aiohttp.ClientSession() as session:
            async with session.get(f"http://video.test:{there.port}/", proxy=proxy.url) as answer:
                assert (answer.status, answer.reason) == (403, "SSRF_BLOCKED")
            assert (there.connections, canary.connections) == (1, 0)


async def test_a_site_that_cannot_be_reached_is_a_bad_gateway() -> None:
    async with site(silent) as there:
        pass
    async with proxying(there) as proxy:
        assert (await told(proxy, f"CONNECT video.test:{there.port} HTTP/1.1")).startswith(b"HTTP/1.1 502 RETRYABLE_ERROR")
        assert (await told(proxy, f"CONNECT nowhere.test:{there.port} HTTP/1.1")).startswith(b"HTTP/1.1 502 SOURCE_UNREADABLE")
        assert proxy.failure is None


async def test_a_short_answer_with_a_terabyte_as_its_length_does_not_look_whole() -> None:
    lie = saying(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\nshort")
    async with site(lie) as there, proxying(there) as proxy, aiohttp.ClientSession() as session:
        answer = await session.get(f"http://video.test:{there.port}/", proxy=proxy.url)
        with pytest.raises(aiohttp.ClientPayloadError):
            await answer.read()


@pytest.mark.parametrize(
    "answer", [b"SSH-2.0-OpenSSH\r\n\r\n", b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000, b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20_000]
)
async def test_what_does_not_speak_http_is_not_passed_on(answer: bytes) -> None:
    async with site(saying(answer)) as there, proxying(there) as proxy:
        said = await told(proxy, f"GET http://video.test:{there.port}/ HTTP/1.1")
        assert said.startswith(b"HTTP/1.1 502 SOURCE_UNREADABLE")
        assert said.count(b"\r\n\r\n") == 1


async def test_interim_answers_come_before_the_answer() -> None:
    answer = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n"
    async with site(saying(answer)) as there, proxying(there) as proxy:
        said = await told(proxy, f"GET http://video.test:{there.port}/ HTTP/1.1")
        assert said == answer[:-2] + b"Connection: close\r\n\r\n"


class OperatorsProxy:
    """The operator's own proxy: it tunnels to where it is told, and remembers what that was."""

    def __init__(self, answer: bytes = b"HTTP/1.1 200 OK\r\nVia: x\r\n\r\n") -> None:
        self.answer = answer
        self.heads: list[str] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
        writer.write(self.answer)
        if b" 200 " in self.answer:
            host, _, port = self.heads[-1].split()[1].rpartition(":")
            await joined(reader, writer, *await asyncio.open_connection(host, int(port)))


async def joined(reader, writer, far_reader, far_writer) -> None:
    async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while chunk := await source.read(65536):
            sink.write(chunk)
        sink.close()

    await asyncio.gather(pump(reader, far_writer), pump(far_reader, writer))


@pytest.mark.parametrize("line", ["GET http://video.test:{}/ HTTP/1.1", "GET http://127.0.0.2:{}/ HTTP/1.1"])
async def test_an_operators_proxy_is_asked_for_checked_addresses_only(line: str) -> None:
    operators = OperatorsProxy()
    async with site(operators, INSIDE) as middle, site(answering(b"hello")) as there:
        upstream = Upstream.of(f"http://us%40er:pa%3Ass@127.0.0.1:{middle.port}")
        async with proxying(there, upstream=upstream) as proxy:
            assert (await told(proxy, line.format(there.port))).endswith(b"hello")
            assert (await told(proxy, f"CONNECT inside.test:{there.port} HTTP/1.1")).startswith(b"HTTP/1.1 403 ")
    credential = base64.b64encode(b"us@er:pa:ss").decode()
    address = f"{OUTSIDE}:{there.port}"
    assert operators.heads == [f"CONNECT {address} HTTP/1.1\r\nHost: {address}\r\nProxy-Authorization: Basic {credential}\r\n\r\n"]
    assert credential not in repr(upstream)


@pytest.mark.parametrize("answer", [b"HTTP/1.1 407 No\r\n\r\n", b"SSH-2.0\r\n\r\n", b""])
async def test_an_operators_proxy_that_refuses_is_a_bad_gateway(answer: bytes) -> None:
    async with site(OperatorsProxy(answer), INSIDE) as middle, site(silent) as there:
        async with proxying(there, upstream=Upstream.of(f"http://127.0.0.1:{middle.port}/")) as proxy:
            assert (await told(proxy, f"CONNECT video.test:{there.port} HTTP/1.1")).startswith(b"HTTP/1.1 502 ")
        assert there.connections == 0


@pytest.mark.parametrize(
    "url", ["https://proxy:1", "socks5://proxy:1", "proxy:8080", "http://", "http://user:secret@proxy/path", "http://proxy:x"]
)
def test_a_proxy_that_is_written_wrong_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        Upstream.of(url)
    assert "secret" not in str(caught.value)
