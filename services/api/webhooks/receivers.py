"""The way to receivers: one POST, on a connection of its own that the address guard lets through. The one place here that knows aiohttp."""

import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

from aiohttp import ClientError, ClientSession, ClientSSLError, ClientTimeout, DummyCookieJar
from yarl import URL

from libs.common.domain.failures import Code, Failure
from libs.common.domain.source_urls import UrlRules
from libs.common.runtime import tracing
from libs.common.runtime.egress import guarded_connector, open_guard
from libs.common.runtime.metrics import measured
from services.api.webhooks.attempts import Outcome, Trouble

SECONDS = 15.0
"""For all of an attempt: look-up, connection, request, and the head of the answer."""
BUFFER = 32 * 1024
"""Bytes; aiohttp holds at most twice that of an answer that nobody reads."""
HEADERS = {"content-type": "application/json", "user-agent": "Clipstream-Webhooks/1"}


class Receivers:
    def __init__(self, session: ClientSession) -> None:
        self._session = session

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Outcome:
        """Never raises: what goes wrong is an outcome, in a word of ours, since the library's words show the URL."""
        try:
            with measured("webhook", "post"):
                return await self._posted(URL(url, encoded=True), {**headers, **_trace()}, body)
        except Failure as failure:
            return Outcome(trouble=Trouble.BLOCKED if failure.code is Code.SSRF_BLOCKED else Trouble.NAME)
        except TimeoutError:
            return Outcome(trouble=Trouble.TIMEOUT)
        except (ClientSSLError, ssl.SSLError):
            return Outcome(trouble=Trouble.TLS)
        except OSError:
            return Outcome(trouble=Trouble.CONNECTION)
        except (ClientError, ValueError):
            return Outcome(trouble=Trouble.PROTOCOL)

    async def _posted(self, url: URL, headers: Mapping[str, str], body: bytes) -> Outcome:
        """The status is the answer: its body is dropped unread with the connection."""
        async with self._session.post(url, data=body, headers=headers, allow_redirects=False) as answer:
            tracing.current().note({"server.address": url.host or "", "http.response.status_code": answer.status})
            return Outcome(status=answer.status, retry_after=answer.headers.get("retry-after"))


def _trace() -> dict[str, str]:
    """So that the receiver's own trace can go on from ours."""
    traceparent = tracing.traceparent()
    return {"traceparent": traceparent} if traceparent else {}


@asynccontextmanager
async def open_receivers(rules: UrlRules, nameservers: Sequence[str] = (), *, seconds: float = SECONDS) -> AsyncIterator[Receivers]:
    async with (
        open_guard(rules, nameservers) as guard,
        ClientSession(
            connector=guarded_connector(guard, limit=0, force_close=True),
            headers=HEADERS,
            cookie_jar=DummyCookieJar(),
            trust_env=False,
            auto_decompress=False,
            read_bufsize=BUFFER,
            timeout=ClientTimeout(total=seconds),
        ) as session,
    ):
        yield Receivers(session)
