"""What the one-off commands share: their options, their connections, how they speak, and how they end."""

import argparse
import asyncio
import re
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from datetime import timedelta
from enum import IntEnum
from typing import Any

import msgspec

from libs.common.domain.failures import Code, Failure
from libs.common.runtime import fault_points
from libs.common.runtime.event_store import EventStore
from libs.common.runtime.logs import set_up_logs
from libs.common.runtime.service import Connections, connections
from libs.common.runtime.settings import from_environment
from services.janitor.settings import JanitorSettings

PATIENCE = 10.0
"""Seconds for servers to answer."""
TURN = 30.0
"""Seconds to wait for a janitor to end what it is at."""
WHERE = {"postgres": "DATABASE_URL", "nats": "NATS_URL", "s3": "S3_ENDPOINT_URL"}
NEWLINE = "\n"
MIGRATED = "check that the database is migrated as far as this version (docs/security.md), then give the command again"
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


class Exit(IntEnum):
    """argparse ends with 2 for a wrong call."""

    DONE = 0
    FAILED = 1
    """It could not be done, or not to the end; stderr says why, and the command may be given again."""
    FOUND = 3
    """Something is still to be done about what was found."""


Command = Callable[[argparse.Namespace, JanitorSettings, Connections], Awaitable[Exit]]


def parser(name: str, description: str) -> argparse.ArgumentParser:
    ends = "Exit codes: 0 done, nothing is left to do; 1 it could not be done, stderr says why; 2 wrong call; 3 something is left to do."
    made = argparse.ArgumentParser(prog=f"python -m services.janitor.{name}", description=description, epilog=ends)
    made.add_argument("--json", action="store_true", help="one line of JSON for each thing found, and a last one in numbers")
    return made


def run(command: Command, options: argparse.Namespace, needed: Collection[str]) -> int:
    """The command's exit code, once all that it needs answers. It reads the janitor's environment."""
    settings = from_environment(JanitorSettings)
    set_up_logs("command", "CRITICAL")  # stdout is the command's own
    fault_points.arm(settings.fault_points_dir)
    try:
        return asyncio.run(_run(command, options, settings, needed))
    except Failure as failure:
        return say(f"{failure.message}; nothing is half done, give the command again", Exit.FAILED)
    except KeyboardInterrupt:
        return say("interrupted; give the command again to go on", Exit.FAILED)
    except BrokenPipeError:
        raise
    except Exception as error:  # noqa: BLE001  whatever it is, an operator is to be told in words
        return say(f"broken off: {str(error).partition(NEWLINE)[0]}; {MIGRATED}", Exit.FAILED)


async def _run(command: Command, options: argparse.Namespace, settings: JanitorSettings, needed: Collection[str]) -> Exit:
    async with connections(settings, "command", needed=needed) as c:
        for name in needed:
            try:
                async with asyncio.timeout(PATIENCE):
                    await c.health.until_answers(name)
            except TimeoutError:
                raise Failure(Code.RETRYABLE_ERROR, f"{name} does not answer; check {WHERE[name]} and that the server runs") from None
        return await command(options, settings, c)


@asynccontextmanager
async def in_turn(store: EventStore, name: str) -> AsyncIterator[None]:
    """Alone, as the janitors' sweep of this name is. Raises Failure where one of them is at it for long."""
    deadline = asyncio.get_running_loop().time() + TURN
    while True:
        async with store.lease(name) as ours:
            if ours:
                yield
                return
        if asyncio.get_running_loop().time() > deadline:
            raise Failure(Code.RETRYABLE_ERROR, "a janitor is at the same work just now; try again in a few minutes")
        await asyncio.sleep(0.5)


def tell(what: msgspec.Struct, words: str, *, json: bool) -> None:
    """One line on stdout."""
    sys.stdout.write((msgspec.json.encode(what).decode() if json else words) + "\n")


def say(text: str, code: Exit = Exit.DONE) -> Exit:
    sys.stderr.write(f"{text}\n")
    return code


def span(text: str) -> timedelta:
    """10m, 90s, 2h, 3d. Raises what argparse shows."""
    parts = re.fullmatch(r"(\d{1,6})([smhd])", text)
    if not parts:
        raise argparse.ArgumentTypeError("give a time as 90s, 10m, 2h or 3d")
    given: dict[str, Any] = {UNITS[parts[2]]: int(parts[1])}
    return timedelta(**given)
