"""Makes the read model anew from the events: `python -m services.api.rebuild_command`. Lists fill up again within minutes."""

import asyncio
import sys

from libs.common.domain.failures import Failure
from libs.common.domain.job import Job
from libs.common.runtime.event_store import PostgresEventStore
from libs.common.runtime.postgres import Connection, open_pool
from libs.common.runtime.settings import from_environment
from services.api.read_model import ReadModel
from services.api.settings import ApiSettings


def main() -> int:
    try:
        asyncio.run(_rebuild(from_environment(ApiSettings)))
    except Failure as failure:
        sys.stderr.write(f"{failure.message}\n")
        return 1
    sys.stderr.write("the rows are forgotten; a running API makes them anew\n")
    return 0


async def _rebuild(settings: ApiSettings) -> None:
    async with open_pool(settings.database_url.reveal(), connections=1) as pool:
        await ReadModel(pool, PostgresEventStore(pool), _nobody).rebuild()


async def _nobody(_: Connection, __: Job) -> None:
    """Who is told of a job's end: nobody, from here."""


if __name__ == "__main__":
    sys.exit(main())
