"""The resolver as the benchmark sees it: warm, behind its guard; for each order on stdin one visit, and one line of `words` on stdout."""

import asyncio
import os
import sys
from pathlib import Path
from typing import BinaryIO

import msgspec
import uvloop

from libs.common.domain.failures import Failure
from libs.common.runtime.egress import Guard, open_guard
from libs.common.runtime.logs import set_up_logs
from libs.common.runtime.nursery import Nursery
from libs.common.runtime.settings import from_environment
from services.resolver.children import open_children
from services.resolver.fetch.words import Fetched, Refused, Said, encoded
from services.resolver.settings import ResolverSettings
from services.resolver.visit import visit


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """Fetch [start, end) seconds of what is behind `url` into `folder`."""

    url: str
    start: float
    end: float
    folder: str


async def work(answers: BinaryIO) -> None:
    """One after another."""
    settings = from_environment(ResolverSettings)
    set_up_logs("resolver", settings.log_level)
    async with open_guard(settings.url_rules, settings.name_servers) as guard, open_children(settings.caps.max_bytes) as children:
        while line := await asyncio.to_thread(sys.stdin.buffer.readline):
            answers.write(encoded(await _answer(msgspec.json.decode(line, type=Order), guard, children, settings)))
            answers.flush()


async def _answer(order: Order, guard: Guard, children: Nursery, settings: ResolverSettings) -> Said:
    said: list[Said] = []

    async def hear(line: Said) -> None:
        if isinstance(line, Fetched):
            said.append(line)

    try:
        await visit(order.url, order.start, order.end, Path(order.folder), hear, guard=guard, children=children, settings=settings)
    except Failure as failure:
        return Refused(code=failure.code, message=failure.message)
    return said[-1]


def main() -> None:
    """Answers have the true stdout for themselves; logs go where stderr goes."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    uvloop.run(work(answers))


if __name__ == "__main__":
    main()
