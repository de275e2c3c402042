"""The same chain with nothing around it: nats-py and asyncpg alone, one event a stage. What this machine gives at most.

Orders come as lines of JSON on stdin, each is answered by one on stdout, as in node/chain.mjs. Times are seconds.
"""

import asyncio
import json
import os
import sys
import time
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import nats
import uvloop
from nats.aio.msg import Msg
from nats.js import JetStreamContext

STAGES = ("resolver", "clipper", "asr", "burner")
STREAM = "BARE"
LANES = 64
"""Messages of one stage in hand, and requests on their way."""
CONNECTIONS = 10
IDLE = 1.0
TABLE = """
CREATE TABLE IF NOT EXISTS bare_events
  (job_id uuid NOT NULL, type text NOT NULL, at timestamptz NOT NULL DEFAULT now(), event jsonb NOT NULL);
CREATE INDEX IF NOT EXISTS bare_events_job ON bare_events (job_id);
"""
EVENT = "INSERT INTO bare_events (job_id, type, event) VALUES ($1, $2, $3::jsonb)"


class Chain:
    """All four stages, and who asks them."""

    def __init__(self, js: JetStreamContext, pool: Any) -> None:
        self._js, self._pool = js, pool
        self._event = "{}"
        self._began = dict[UUID, float]()
        self._ended = dict[UUID, asyncio.Future[float]]()

    async def _stage(self, name: str, lane: JetStreamContext.PullSubscription) -> None:
        """Until it is cancelled."""
        places, works = asyncio.Semaphore(LANES), set[asyncio.Task[None]]()
        while True:
            await places.acquire()
            places.release()
            try:
                messages = await lane.fetch(LANES - len(works), timeout=IDLE)
            except nats.errors.TimeoutError:
                continue
            for message in messages:
                await places.acquire()
                works.add(work := asyncio.create_task(self._handle(name, message)))
                work.add_done_callback(works.discard)
                work.add_done_callback(lambda _: places.release())

    async def _handle(self, name: str, message: Msg) -> None:
        job = UUID(bytes=message.data)
        self._began.setdefault(job, time.perf_counter())
        await self._pool.execute(EVENT, job, name, self._event)
        if name == STAGES[-1]:
            self._ended[job].set_result(time.perf_counter())
        else:
            await self._js.publish(f"bare.{STAGES[STAGES.index(name) + 1]}", message.data)
        await message.ack_sync()

    async def answer(self, order: dict[str, Any]) -> dict[str, Any]:
        self._event = json.dumps(order["event"])
        load = self._many if order["load"] == "many" else self._alone
        lanes = {name: await self._js.pull_subscribe(f"bare.{name}", durable=name, stream=STREAM) for name in STAGES}
        stages = [asyncio.create_task(self._stage(name, lane)) for name, lane in lanes.items()]
        found = await load(order["jobs"])
        for stage in stages:
            stage.cancel()
        await asyncio.gather(*stages, return_exceptions=True)
        for lane in lanes.values():  # one that goes on asking while nothing comes does not hear what comes at last
            await lane.unsubscribe()
        return found

    async def _many(self, count: int) -> dict[str, Any]:
        jobs, places, began = self._jobs(count), asyncio.Semaphore(LANES), time.perf_counter()

        async def request(job: UUID) -> None:
            async with places:
                await self._js.publish(f"bare.{STAGES[0]}", job.bytes)

        await asyncio.gather(*map(request, jobs))
        last = max([await self._ended[job] for job in jobs])
        await self._until_acked()
        return {"jobs": list(map(str, jobs)), "seconds": last - began}

    async def _alone(self, count: int) -> dict[str, Any]:
        jobs, hops, wholes = self._jobs(count), list[float](), list[float]()
        for job in jobs:
            began = time.perf_counter()
            await self._js.publish(f"bare.{STAGES[0]}", job.bytes)
            wholes.append(await self._ended[job] - began)
            hops.append(self._began[job] - began)
        await self._until_acked()
        return {"jobs": list(map(str, jobs)), "hops": hops, "wholes": wholes}

    def _jobs(self, count: int) -> list[UUID]:
        jobs = [uuid4() for _ in range(count)]
        self._ended |= {job: asyncio.get_running_loop().create_future() for job in jobs}
        return jobs

    async def _until_acked(self) -> None:
        while (await self._js.stream_info(STREAM)).state.messages:
            await asyncio.sleep(0.01)


async def main() -> None:
    client = await nats.connect(os.environ["NATS_URL"])
    pool = await asyncpg.create_pool(os.environ["DATABASE_URL"], min_size=CONNECTIONS, max_size=CONNECTIONS)
    await pool.execute(TABLE)
    js = client.jetstream()
    await js.add_stream(name=STREAM, subjects=["bare.*"], retention="workqueue")
    chain = Chain(js, pool)
    print("{}", flush=True)  # ready
    while order := await asyncio.to_thread(sys.stdin.readline):
        print(json.dumps(await chain.answer(json.loads(order))), flush=True)


if __name__ == "__main__":
    uvloop.run(main())
