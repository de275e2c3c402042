"""`python -m libs.common.runtime.bootstrap`: makes the streams, their consumers and the buckets. May run as often as one likes."""

import asyncio
import sys

from libs.common.domain.failures import Failure
from libs.common.runtime import streams
from libs.common.runtime.jetstream import open_bus
from libs.common.runtime.logs import logger, set_up_logs
from libs.common.runtime.object_store import open_object_store
from libs.common.runtime.settings import CommonSettings, from_environment

log = logger(__name__)

PATIENCE = 60.0
"""Seconds that the servers may take to answer."""
PAUSE = 0.5


class BootstrapFailed(RuntimeError):
    """What still stood in the way when the patience ended, in the server's words."""


async def bootstrap(settings: CommonSettings, *, patience: float = PATIENCE) -> list[str]:
    """Make and mend everything; return the durability rules that are broken all the same. Raises BootstrapFailed."""
    async with open_bus(settings.nats_url.reveal(), name="bootstrap") as bus, open_object_store(settings) as objects:
        deadline = asyncio.get_running_loop().time() + patience
        while True:
            try:
                await bus.ping()
                await streams.ensure(bus.js, replicas=settings.stream_replicas, deliveries=streams.Deliveries.of(settings))
                await objects.ensure_buckets()
                return await streams.problems(bus.js, settings)
            except Failure as failure:
                if asyncio.get_running_loop().time() > deadline:
                    raise BootstrapFailed(failure.message) from failure
                log.warning("not ready yet", error=failure.message)
                await asyncio.sleep(PAUSE)


def main() -> None:
    settings = from_environment(CommonSettings)
    set_up_logs("bootstrap", settings.log_level, worker=settings.worker, secrets=settings.secrets)
    try:
        problems = asyncio.run(bootstrap(settings))
    except BootstrapFailed as error:
        sys.exit(f"Clipstream's servers are not ready after {PATIENCE:.0f} s: {error}")
    for problem in problems:
        log.error("a durability rule is broken", problem=problem)
    if problems and settings.environment == "production":
        sys.exit("Clipstream refuses these streams in production:\n  " + "\n  ".join(problems))
    log.info("streams, consumers and buckets are in place")


if __name__ == "__main__":
    main()
