"""NATS: reachable, new enough, with the streams as they must be, and a user that may say what it must and no more. Leaves no message."""

import asyncio
import json
import time
from collections.abc import Collection, Sequence
from datetime import datetime
from functools import partial

from libs.common.domain.failures import Failure
from libs.common.domain.subjects import CLIPS
from libs.common.runtime import streams
from libs.common.runtime.doctor.clocks import clock_seen
from libs.common.runtime.doctor.examination import Check
from libs.common.runtime.doctor.findings import Seen, failed, ok, skipped, warning
from libs.common.runtime.jetstream import JetStreamBus
from libs.common.runtime.nats_connection import NO_TLS
from libs.common.runtime.nats_monitors import be_well
from libs.common.runtime.settings import CommonSettings

LEAST_VERSION = (2, 12)
"""docs/security.md says why."""
LEAST_PAYLOAD = 1 << 20
"""Bytes, as deploy/nats/clipstream.conf has it: events and dead letters are a few KiB."""
PATIENCE = 3.0
ANSWER = 2.0
FLUSH = 10
"""Seconds for an answer; and for a ping behind a number of messages, which must be whole."""
ELSEWHERE = {"Nats-Expected-Stream": "no-such-stream"}
"""A stream refuses a message that expects another: so it is asked, and nothing is kept (NATS ADR-4)."""
USERS = "Give the user the permissions of deploy/nats/users.conf."
BOOTSTRAP = "Run python -m libs.common.runtime.bootstrap with this environment, in production as the NATS user operator: docs/security.md."
MENDED = {
    "NATS_MONITOR_URLS": "Set NATS_MONITOR_URLS to the monitoring address (port 8222) of every server.",
    "sync_interval": "Set jetstream { sync_interval: always } in that server's configuration, and restart it.",
    ": retention is ": "It can't be changed: docs/runbook.md, “Refused at start”, says how to make the stream anew.",
    ": storage is ": "It can't be changed: docs/runbook.md, “Refused at start”, says how to make the stream anew.",
}
"""What the bootstrap does not mend, by a word of the rule."""
PLAIN = "Switch TLS on in the server: deploy/nats/clipstream.conf, docs/security.md. On one machine say nats:// instead."
REACH = "Check that it runs, and the hosts and ports in NATS_URL."


def message_checks(bus: JetStreamBus, settings: CommonSettings, says: Collection[str], never: Collection[str]) -> list[Check]:
    """`says`: subjects of the work streams that must be open to this user; `never`: those that must not, in production."""
    check = partial(Check, topic="messages", needs="reachable", advice=REACH)
    return [
        Check(topic="messages", name="reachable", look=partial(_reachable, bus)),
        check(name="version", look=partial(_version, bus)),
        check(name="largest message", look=partial(_payload, bus)),
        check(name="JetStream", look=partial(_jetstream, bus)),
        check(name="streams", look=partial(_streams, bus, settings), needs="JetStream", seconds=20),
        check(name="writes", look=partial(_writes, settings)),
        check(name="permissions", look=partial(_permissions, bus, settings, says, never), needs="JetStream"),
        check(name="clock", look=partial(_clock, bus), needs="streams"),
    ]


async def _reachable(bus: JetStreamBus) -> Seen:
    try:
        async with asyncio.timeout(PATIENCE):
            while not bus.client.is_connected and not _is_refused(bus.client.last_error):
                await asyncio.sleep(0.02)
    except TimeoutError:
        return refusal(bus.client.last_error)
    if not bus.client.is_connected:
        return refusal(bus.client.last_error)
    return ok(f"{len(bus.client.servers)} server(s)")


def _is_refused(error: Exception | None) -> bool:
    return "authorization" in f"{type(error).__name__} {error}".lower()


def refusal(error: Exception | None) -> Seen:
    words = f"{type(error).__name__} {error}".lower()
    if _is_refused(error):
        return failed("it refuses the login", "Correct the user and the password in NATS_URL.")
    if NO_TLS.lower() in words:
        return failed(NO_TLS, PLAIN)
    if "ssl" in words or "certificate" in words or "tls" in words:
        return failed(
            "its TLS certificate is not trusted, or it wants TLS",
            "Begin NATS_URL with tls://, and name your authority's file in SSL_CERT_FILE.",
        )
    return failed("it can't be reached", REACH)


async def _version(bus: JetStreamBus) -> Seen:
    found = bus.client.connected_server_version
    return version_seen((found.major, found.minor), f"{found.major}.{found.minor}.{found.patch}")


def version_seen(found: tuple[int, int], shown: str) -> Seen:
    if found >= LEAST_VERSION:
        return ok(f"nats-server {shown}")
    return failed(f"nats-server {shown} is too old", f"Use nats-server {'.'.join(map(str, LEAST_VERSION))} or later.")


async def _payload(bus: JetStreamBus) -> Seen:
    most = int(bus.client.max_payload)
    text = f"{most / 1024:.0f} KiB"
    return ok(text) if most >= LEAST_PAYLOAD else warning(text, "Set max_payload: 1MB in the server's configuration.")


async def _jetstream(bus: JetStreamBus) -> Seen:
    try:
        await bus.ping()
    except Failure as failure:
        advice = "Switch JetStream on in the server; a stage with users.conf needs NATS_API_PREFIX=CLIPSTREAM.API."
        return failed(f"it does not answer: {failure.message}", advice)
    return ok("answers")


async def _streams(bus: JetStreamBus, settings: CommonSettings) -> Sequence[Seen] | Seen:
    broken = await streams.problems(bus.js, settings)
    return [failed(problem, mended_by(problem)) for problem in broken] or ok(_as_wanted(settings))


def mended_by(problem: str) -> str:
    return next((advice for word, advice in MENDED.items() if word in problem), BOOTSTRAP)


def _as_wanted(settings: CommonSettings) -> str:
    synced = "; every server syncs always" if settings.monitors else ""
    return f"streams and consumers are as they must be, {settings.stream_replicas} replica(s){synced}"


async def _writes(settings: CommonSettings) -> Seen:
    """Of the monitoring ports; a Failure is the check's."""
    if not settings.monitors:
        return skipped("NATS_MONITOR_URLS is not set: nowhere else it shows whether the servers can write, and whether they sync")
    await be_well(settings.monitors)
    return ok(f"{len(settings.monitors)} server(s) say that they can write")


async def _permissions(bus: JetStreamBus, settings: CommonSettings, says: Collection[str], never: Collection[str]) -> Seen:
    probed = [*says, *(never if settings.environment == "production" else ())]
    refused = await _refused(bus, probed)
    if missing := [subject for subject in says if subject in refused]:
        return failed(f"this user may not say {_shown(missing)}", USERS)
    if more := [subject for subject in probed if subject in never and subject not in refused]:
        return warning(f"this user may also say {_shown(more)}", f"A service that is taken over could do harm with it. {USERS}")
    return ok(
        f"may say the {len(says)} subjects that it must"
        + (f", and none of {len(never)} others" if never and len(probed) > len(says) else "")
    )


async def _refused(bus: JetStreamBus, subjects: Collection[str]) -> set[str]:
    """The server complains of each that it does not let pass, and it does so before it answers the ping that follows them."""
    complaints: list[str] = []
    client, note = bus.client, bus.client._error_cb  # noqa: SLF001  no public way to a second listener

    async def hear(error: Exception) -> None:
        complaints.append(str(error))
        await note(error)

    client._error_cb = hear  # noqa: SLF001
    try:
        for subject in subjects:
            await client.publish(subject, b"", reply=client.new_inbox(), headers=ELSEWHERE)
        await client.flush(FLUSH)  # its ping overtakes what nats-py has not sent yet
        await client.flush(FLUSH)
    finally:
        client._error_cb = note  # noqa: SLF001
    return {subject for subject in subjects if any(f'"{subject}"' in said for said in complaints)}


def _shown(subjects: Sequence[str]) -> str:
    return ", ".join(subjects[:3]) + (f" and {len(subjects) - 3} more" if len(subjects) > 3 else "")  # noqa: PLR2004  those that are named


async def _clock(bus: JetStreamBus) -> Seen:
    """The server tells its time with what it tells of a stream (since 2.10)."""
    before = time.time()
    answer = await bus.client.request(f"{bus.api}.STREAM.INFO.{CLIPS}", b"", timeout=ANSWER)
    told = json.loads(answer.data).get("ts")
    if not told:
        return skipped("the server does not tell its time")
    return clock_seen(datetime.fromisoformat(told).timestamp(), before, time.time())
