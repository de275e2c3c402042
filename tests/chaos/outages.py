"""A server away for long while submissions go on: what the API says, what it costs, and how soon work goes on afterwards."""

import asyncio
import time
from typing import Any

import aiohttp

from tests.chaos.kills import AGAIN, until_working
from tests.chaos.load import load
from tests.chaos.submissions import Answered
from tests.chaos.system import System
from tests.chaos.table import Case

NAMES = ("nats", "postgres", "s3", "provider")
KINDS = ("clip", "subtitled", "fast", "burned")
MARGIN = 0.2
"""Seconds at either end of an outage in which an answer may be of the time before or after."""


async def outage(system: System, name: str, seconds: float) -> Case:
    """`recoveries`: from the server's return to the next sign that work goes on."""
    case = Case(f"{name} away for {seconds:g} s", times=1, bound=AGAIN, uncharged=True)
    server: Any = system.provider if name == "provider" else system.servers.started[name]
    async with load(system, case, every=0.8, kinds=KINDS):
        await asyncio.sleep(2)
        await server.kill()
        began = time.time()
        await _status_calls(system, case, name, seconds)
        ended = time.time()
        await server.start()
        case.recoveries.append(await until_working(system, name))
    over = await system.until_over(case.jobs, seconds=120)
    case.notes.append(f"the last job ended {over - ended:.1f} s after the return")
    _judge_answers(case, name, _within(system, began, ended))
    return case


async def _status_calls(system: System, case: Case, name: str, seconds: float) -> None:
    """One each second of the outage: the API itself stays up."""
    end, known = time.monotonic() + seconds, next(iter(case.jobs), None)
    wanted = {503} if name == "postgres" else {200}
    while time.monotonic() < end:
        if known and (status := await _status(system, f"/api/jobs/{known}")) not in wanted:
            case.broken.append(f"a status call was answered {status}")
        await asyncio.sleep(1)


async def _status(system: System, path: str) -> int:
    try:
        async with system.http.get(path) as answer:
            return answer.status
    except aiohttp.ClientError:
        return 0


def _within(system: System, began: float, ended: float) -> list[Answered]:
    """Submissions that were sent and answered while the server was away."""
    answered = system.submissions.answered
    return [answer for answer in answered if answer.at >= began + MARGIN and answer.at + answer.seconds <= ended - MARGIN]


def _judge_answers(case: Case, name: str, answers: list[Answered]) -> None:
    """Without Postgres none is taken on, and each is told when to come back. Else all are: their uploads are known to be complete."""
    fits: dict[str, Any] = {
        "nats": lambda answer: answer.status == 202,
        "provider": lambda answer: answer.status == 202,
        "postgres": lambda answer: answer.status == 503 and answer.has_retry_after,
        "s3": lambda answer: answer.status == 202,
    }
    wrong = [answer for answer in answers if not fits[name](answer)]
    slowest = max((answer.seconds for answer in answers), default=0.0)
    case.notes.append(f"{len(answers)} submissions meanwhile, the slowest answer in {slowest:.1f} s")
    if wrong:
        told = sorted({f"{answer.status} {answer.code}{'' if answer.has_retry_after else ' without Retry-After'}" for answer in wrong})
        case.broken.append(f"{len(wrong)} of {len(answers)} submissions were answered {', '.join(told)}")
    if not answers:
        case.broken.append("nothing was answered meanwhile")
