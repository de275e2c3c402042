"""Runs checks: topics at the same time, a topic's checks in turn, each under its time limit. All run, whatever the others find."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

from libs.common.domain.failures import Failure
from libs.common.runtime.doctor.findings import Finding, Seen, failed, skipped

Value = TypeVar("Value")
Look = Callable[[], Awaitable[Seen | Sequence[Seen]]]
USUAL_LIMIT = 10.0
BROKEN = "This is the doctor's own mistake: please tell its makers."


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One look at one thing. `needs` names an earlier check of the topic, without which this one can tell nothing.

    `advice` is given where the look raises a Failure or takes longer than `seconds`.
    """

    topic: str
    name: str
    look: Look
    needs: str | None = None
    advice: str = "Look at its own logs."
    seconds: float = USUAL_LIMIT


async def examine(checks: Sequence[Check]) -> list[Finding]:
    """What all of them found, by topic, in their order."""
    topics = dict.fromkeys(check.topic for check in checks)
    found = await asyncio.gather(*(_in_turn([check for check in checks if check.topic == topic]) for topic in topics))
    return [finding for findings in found for finding in findings]


async def _in_turn(checks: Sequence[Check]) -> list[Finding]:
    found: list[Finding] = []
    unknown: set[str] = set()
    for check in checks:
        seen = [skipped(f"nothing can be told before “{check.needs}” is right")] if check.needs in unknown else await _seen(check)
        if any(one.state in {"failed", "skipped"} for one in seen):
            unknown.add(check.name)
        found += [Finding(check.topic, check.name, one.state, one.text, one.advice) for one in seen]
    return found


async def _seen(check: Check) -> Sequence[Seen]:
    """A check that breaks is a finding too. What broke it is not shown: it may hold a secret."""
    try:
        async with asyncio.timeout(check.seconds):
            seen = await check.look()
    except Failure as failure:
        return [failed(failure.message, check.advice)]
    except TimeoutError:
        return [failed(f"no answer within {check.seconds:g} s", check.advice)]
    except Exception as error:  # noqa: BLE001  one check must not cost the others
        return [failed(f"the check broke: {type(error).__name__}", BROKEN)]
    return [seen] if isinstance(seen, Seen) else seen


async def aside(work: Callable[[], Value]) -> Value:
    """Blocking work in a thread that nobody waits for: a disk that hangs must not hold up the end of the process."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Value] = loop.create_future()

    def settle(value: Value | None, error: Exception | None) -> None:
        if done.done():
            return
        if error:
            done.set_exception(error)
        else:
            done.set_result(value)  # type: ignore[arg-type]  # None only where Value is that

    def run() -> None:
        value, error = None, None
        try:
            value = work()
        except Exception as raised:  # noqa: BLE001  it is raised where the work is awaited
            error = raised
        with suppress(RuntimeError):  # the loop is over
            loop.call_soon_threadsafe(settle, value, error)

    threading.Thread(target=run, daemon=True).start()
    return await done
