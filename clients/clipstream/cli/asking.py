"""The server asked over HTTP: is it Clipstream, is it ready, what may this key do, can files be sent. Whatever is begun is deleted."""

import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any
from uuid import uuid4

import msgspec

from clipstream import operating
from clipstream.cli.findings import Look, Seen, failed, ok, skipped, warning
from clipstream.errors import ClipstreamError, Forbidden, NotFound, RateLimited, Unauthorized
from clipstream.operator_models import Overview
from clipstream.server import Server, is_success, whole
from clipstream.uploading import State as Upload
from clipstream.wire import Request, origin, run

NOTICEABLE, FATAL = 30.0, 900.0
"""Seconds between two clocks. Beyond a quarter of an hour no signed URL is good."""
BYTE = b"?"
SPEAKS = "1"
"""The first part of the API's version that this client was written for."""
KEYS = "Whoever runs the server makes keys: clipstream keys create."
STORE = "Whoever runs the server sets S3_PUBLIC_ENDPOINT_URL to an address that you can reach."


@dataclass(slots=True)
class Asked:
    """The server, and what is known of it so far."""

    server: Server
    scopes: set[str] = field(default_factory=set)
    overview: Overview | None = None

    def looks(self) -> list[Look]:
        return [
            Look("Clipstream", lambda: run(self._identity()), "certificate"),
            Look("ready", lambda: run(self._readiness()), "Clipstream"),
            Look("clock", lambda: run(self._clock()), "Clipstream"),
            Look("key", lambda: run(self._key()), "Clipstream"),
            Look("uploads", lambda: run(self._uploads()), "key"),
            *(Look(name, work, "key") for name, work in self._operators_looks()),
        ]

    def _operators_looks(self) -> list[tuple[str, Callable[[], Seen]]]:
        return [("queues", lambda: queues_seen(self.overview)), ("dead letters", lambda: letters_seen(self.overview))]

    async def _identity(self) -> Seen:
        """An API with keys still tells strangers what it is."""
        try:
            document = await self.server.get("/schema/openapi.json", dict[str, Any])
            title, version = str(document["info"]["title"]), str(document["info"]["version"])
        except (ClipstreamError, KeyError, TypeError) as error:
            if getattr(error, "retryable", False):
                raise
            title = version = ""
        return identity_seen(title, version)

    async def _readiness(self) -> Seen:
        status, _, body = await self._plainly("/readyz")
        try:
            told = msgspec.json.decode(body)
            return readiness_seen(status, str(told["status"]), {str(name): bool(one["up"]) for name, one in told["dependencies"].items()})
        except (msgspec.DecodeError, KeyError, TypeError, AttributeError):
            return failed(f"it answers {status}, and not how it is", "Look at the server's own logs.")

    async def _clock(self) -> Seen:
        before = time.time()
        _, date, _ = await self._plainly("/healthz")
        try:
            return clock_seen(parsedate_to_datetime(date).timestamp(), before, time.time())
        except ValueError:
            return skipped("the server does not tell its time")

    async def _plainly(self, path: str) -> tuple[int, str, bytes]:
        """Status, Date and body, whatever the status."""
        async with self.server.wire.open(self.server.request("GET", path, {})) as answer:
            return answer.status, answer.headers.get("date", ""), await whole(answer)

    async def _key(self) -> Seen:
        for scope, ask in (("jobs:read", self._reads), ("jobs:write", self._writes), ("admin", self._operates)):
            try:
                await ask()
                self.scopes.add(scope)
            except Unauthorized as error:
                if scope == "jobs:read":
                    return failed(error.message if self.server.address.key else "a key is asked for, and none was given", KEYS)
            except RateLimited:
                return warning("too many requests of late to tell what it may do", "Try again in a minute.")
            except (Forbidden, NotFound):  # without the scope; without an operator's routes
                continue
        return key_seen(self.scopes, given=bool(self.server.address.key))

    async def _reads(self) -> None:
        await self.server.get("/api/jobs?limit=1", dict[str, Any])

    async def _writes(self) -> None:
        """A job that there is not is cancelled: who may not write is told so before it is looked for."""
        try:
            await self.server.call("DELETE", f"/api/jobs/{uuid4()}", object)
        except NotFound:
            return

    async def _operates(self) -> None:
        self.overview = await operating.overview(self.server)

    async def _uploads(self) -> Seen:
        """One byte goes where all files go, and is deleted before it is anything."""
        if "jobs:write" not in self.scopes:
            return skipped("this key may not send files")
        async with self._upload() as upload:
            part = upload.parts[0]
            headers = {name.lower(): value for name, value in part.headers.items()} | {"content-length": str(len(BYTE))}
            try:
                async with self.server.wire.open(Request("PUT", part.url or "", headers, BYTE)) as answer:
                    await whole(answer)
            except ClipstreamError as error:
                return failed(error.message, STORE)
        where = origin(part.url or "")
        return (
            ok(f"files go to {where}")
            if is_success(answer.status)
            else failed(f"{where} answers {answer.status} to a signed address", STORE)
        )

    @asynccontextmanager
    async def _upload(self) -> AsyncIterator[Upload]:
        wish = {"size": len(BYTE), "filename": "doctor.txt", "contentType": "text/plain", "parts": True}
        upload = await self.server.call("POST", "/api/uploads", Upload, body=wish)
        try:
            yield upload
        finally:
            await self.server.call("DELETE", f"/api/uploads/{upload.upload_id}", object)


def identity_seen(title: str, version: str) -> Seen:
    """As its API's document has them."""
    if title != "Clipstream":
        return failed("something else answers there", "Check the address: it is that of the API, without a path.")
    if version.partition(".")[0] == SPEAKS:
        return ok(f"version {version} of its API")
    return warning(f"version {version} of its API, and this client speaks {SPEAKS}", "Install the client that comes with the server.")


def readiness_seen(status: int, told: str, up: Mapping[str, bool]) -> Seen:
    """`up`: whether each thing answers that the server needs."""
    if told == "ready":
        return ok(f"{', '.join(sorted(up))} answer it")
    away = ", ".join(sorted(name for name, answers in up.items() if not answers))
    text, advice = f"{told}: no answer from {away}", "docs/runbook.md, “Something is down”, says what that costs and what to do."
    return warning(text, advice) if is_success(status) else failed(text, advice)


def clock_seen(theirs: float, before: float, after: float) -> Seen:
    """Seconds of the epoch; the Date header has whole ones."""
    off = max(before - theirs - 1, theirs - after, 0.0)
    if off < NOTICEABLE:
        return ok("the same time as here" if off < 1 else f"{off:.0f} s apart from ours")
    text = f"{off:.0f} s apart from ours"
    advice = "Let NTP keep the time here and on the server (timedatectl)."
    return failed(f"{text}: signed addresses are refused", advice) if off >= FATAL else warning(text, advice)


def key_seen(scopes: set[str], *, given: bool) -> Seen:
    names = ", ".join(sorted(scopes)) or "nothing"
    if not given:
        return ok("none is asked for")
    return ok(f"good, for {names}") if scopes else failed("it may do nothing", KEYS)


def queues_seen(overview: Overview | None) -> Seen:
    if overview is None:
        return skipped("for operators: a key with the scope admin, and ADMIN_ENABLED=true")
    if overview.queues is None:
        return warning("not known: nobody answered", "docs/runbook.md, “Something is down”, says what to do.")
    waiting, working = sum(each.pending for each in overview.queues), sum(each.ack_pending for each in overview.queues)
    return ok(f"{waiting} waiting, {working} at work")


def letters_seen(overview: Overview | None) -> Seen:
    if overview is None:
        return skipped("for operators: a key with the scope admin, and ADMIN_ENABLED=true")
    if overview.dead_letters:
        return warning(
            f"{overview.dead_letters} wait for somebody", "clipstream dlq list shows them; docs/runbook.md, “Dead letters”, what to do."
        )
    return ok("none") if overview.dead_letters == 0 else skipped("not known: nobody answered")
