"""HTTP, blocking and asynchronous, behind one face: the only file that knows httpx. Nothing is retried here, no redirect is followed.

Everything above is written once, as coroutines that await nothing but a Wire. The blocking wire never suspends: see `run`.
"""

import asyncio
import logging
import ssl
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Generator, Iterable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Protocol, TypeVar
from urllib.parse import urlsplit

import httpx

from clipstream.address import is_loopback
from clipstream.errors import UNREACHABLE, BadRequest, Unavailable

Value = TypeVar("Value")
ALWAYS = {"user-agent": "clipstream-python", "accept-encoding": "identity"}
"""Nothing comes packed: sizes are what they are, and nothing swells in memory."""


def _unsigned(record: logging.LogRecord) -> bool:
    """httpx logs the URL of every request: one that opens a file loses its signature there."""
    record.args = tuple(_without_signature(argument) for argument in record.args) if isinstance(record.args, tuple) else record.args
    return True


def _without_signature(argument: object) -> object:
    if isinstance(argument, httpx.URL) and b"signature=" in argument.query.lower():
        return argument.copy_with(query=b"signed")
    return argument


logging.getLogger("httpx").addFilter(_unsigned)


@dataclass(frozen=True, slots=True)
class Request:
    """`content` may be read piece by piece, once; `sent` is then told the bytes that went so far.

    `patience`: seconds without a byte, where that is not the client's own timeout.
    """

    method: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    content: bytes | Iterable[bytes] = b""
    patience: float | None = None
    sent: Callable[[int], None] = field(default=lambda _: None, repr=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer whose body is still to come. Header names are found in any case."""

    status: int
    headers: Mapping[str, str]
    chunks: Callable[[], AsyncIterator[bytes]]


class Wire(Protocol):
    """Raises Unavailable(UNREACHABLE) where no answer comes, or not all of it."""

    def open(self, request: Request) -> AbstractAsyncContextManager[Answer]: ...

    async def pause(self, seconds: float) -> None: ...

    async def aside(self, work: Callable[[], Value]) -> Value:
        """Does what may take a while, such as reading a disk."""

    async def close(self) -> None: ...


class BlockingWire:
    def __init__(self, timeout: float, url: str) -> None:
        with _set_up():
            self._http = httpx.Client(timeout=timeout, headers=ALWAYS, verify=trusted(), mounts=dict.fromkeys(_direct(url)))

    @asynccontextmanager
    async def open(self, request: Request) -> AsyncGenerator[Answer, None]:
        content = request.content if isinstance(request.content, bytes) else _counted(request.content, request.sent)
        with _in_our_words(request.url), self._http.stream(**_arguments(request, self._http.timeout), content=content) as response:
            yield Answer(response.status_code, response.headers, lambda: _each(response.iter_raw()))

    async def pause(self, seconds: float) -> None:
        time.sleep(seconds)  # noqa: ASYNC251  blocking is what this wire is for

    async def aside(self, work: Callable[[], Value]) -> Value:
        return work()

    async def close(self) -> None:
        self._http.close()


class AsyncWire:
    def __init__(self, timeout: float, url: str) -> None:
        with _set_up():
            self._http = httpx.AsyncClient(timeout=timeout, headers=ALWAYS, verify=trusted(), mounts=dict.fromkeys(_direct(url)))

    @asynccontextmanager
    async def open(self, request: Request) -> AsyncGenerator[Answer, None]:
        content = request.content if isinstance(request.content, bytes) else self._read(request.content, request.sent)
        with _in_our_words(request.url):
            async with self._http.stream(**_arguments(request, self._http.timeout), content=content) as response:
                yield Answer(response.status_code, response.headers, response.aiter_raw)

    async def pause(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def aside(self, work: Callable[[], Value]) -> Value:
        return await asyncio.to_thread(work)

    async def close(self) -> None:
        await self._http.aclose()

    async def _read(self, chunks: Iterable[bytes], sent: Callable[[int], None]) -> AsyncIterator[bytes]:
        reading, total = iter(chunks), 0
        while chunk := await self.aside(lambda: next(reading, b"")):
            yield chunk
            sent(total := total + len(chunk))


def run(flow: Coroutine[Any, Any, Value]) -> Value:
    """A flow over the blocking wire, from beginning to end: nothing in it waits for an event loop."""
    try:
        flow.send(None)
    except StopIteration as end:
        value: Value = end.value
        return value
    flow.close()
    raise RuntimeError("a blocking flow was suspended")


def walk(flow: AsyncGenerator[Value, None]) -> Iterator[Value]:
    """The same of what a flow yields."""

    async def step() -> Value:
        return await anext(flow)

    try:
        while True:
            try:
                yield run(step())
            except StopAsyncIteration:
                return
    finally:
        run(flow.aclose())


def origin(url: str) -> str:
    """What of a URL may be said aloud: no user, path or query."""
    try:
        parts = urlsplit(url)
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
        return f"{parts.scheme}://{host}" + (f":{parts.port}" if parts.port else "")
    except ValueError:
        return "the address"


@cache
def trusted() -> ssl.SSLContext:
    """Whose certificates are good: read once, since that takes longer than many a request."""
    return httpx.create_ssl_context()


def _direct(url: str) -> set[str]:
    """Whither no proxy leads: this machine. The key goes there in the clear, and a proxy would read it."""
    host = urlsplit(url).hostname or ""
    named = {"127.0.0.1", "localhost", "[::1]"}
    if is_loopback(host):
        named.add(f"[{host}]" if ":" in host else host)
    return {f"all://{name}" for name in named}


@contextmanager
def _set_up() -> Generator[None, None, None]:
    """Raises BadRequest for what the environment says wrongly of certificates or proxies."""
    try:
        yield
    except (OSError, ssl.SSLError) as error:
        hint = "Check SSL_CERT_FILE and SSL_CERT_DIR in the environment."
        raise BadRequest("BAD_ENVIRONMENT", "the trusted certificates can't be read", hint=hint) from error
    except (ImportError, ValueError, httpx.InvalidURL) as error:
        hint = "Check HTTP_PROXY, HTTPS_PROXY and ALL_PROXY: http://host:port will do, SOCKS wants `pip install socksio`."
        raise BadRequest("BAD_ENVIRONMENT", "the proxy that the environment names can't be used", hint=hint) from error


def _arguments(request: Request, usual: httpx.Timeout) -> dict[str, Any]:
    patience = request.patience
    timeout = usual if patience is None else httpx.Timeout(min(usual.connect or patience, patience), read=patience)
    return {"method": request.method, "url": request.url, "headers": dict(request.headers), "timeout": timeout}


@contextmanager
def _in_our_words(url: str) -> Generator[None, None, None]:
    try:
        yield
    except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
        raise BadRequest("BAD_ADDRESS", f"{origin(url)} is no address to send a request to", field="url") from error
    except httpx.ConnectError as error:
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            hint = "For a certificate of your own, name its authority's file in SSL_CERT_FILE."
            raise BadRequest("UNTRUSTED", f"the certificate of {origin(url)} is not trusted", hint=hint, field="url") from error
        raise _unreachable(f"{origin(url)} can't be reached", "Check the address, and that the server runs.") from error
    except httpx.TimeoutException as error:
        raise _unreachable(f"{origin(url)} did not answer in time") from error
    except httpx.TransportError as error:
        raise _unreachable(f"the connection to {origin(url)} broke") from error


def _unreachable(message: str, hint: str = "Try again in a moment.") -> Unavailable:
    return Unavailable(UNREACHABLE, message, hint=hint, retryable=True)


async def _each(values: Iterable[Value]) -> AsyncIterator[Value]:
    for value in values:
        yield value


def _counted(chunks: Iterable[bytes], sent: Callable[[int], None]) -> Iterator[bytes]:
    total = 0
    for chunk in chunks:
        yield chunk
        sent(total := total + len(chunk))
