"""`python -m bench.scaling.slow_disk`: how many synced writes a message waits for, one after the other, on three message servers.

Each write of theirs is made so many milliseconds slower (strace), so that nothing else matters: what goes through tells the number.
"""

import argparse
import asyncio
import os
import shutil
import sys
import tempfile
from collections import Counter
from pathlib import Path

from nats.aio.msg import Msg
from nats.errors import TimeoutError as NothingCame
from nats.js import JetStreamContext

from libs.common.domain.events import SUBJECTS, StageName
from libs.common.domain.subjects import CLIPS
from libs.common.runtime import streams
from libs.common.runtime.background import running
from tests.runtime import nats_cluster
from tests.runtime.own_nats import connected_bus

DELAYS = (5, 10)
"""Milliseconds."""
SECONDS = 15.0
LANES = 64
STAGES = (StageName.RESOLVER, StageName.CLIPPER, StageName.ASR)
"""Of a job without subtitles."""
BODY = b"x" * 600
PATIENCE = 30.0
SYNCED = "fsync,fdatasync,pwrite64"
"""With sync_interval: always the server opens its files with O_SYNC, and writes them at a place."""


SERVER = nats_cluster.PROGRAM


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.scaling.slow_disk", description=__doc__)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    seconds = parser.parse_args().seconds
    if not shutil.which("strace"):
        sys.exit("strace is not installed")
    for delay in DELAYS:
        jobs = asyncio.run(_passed(delay, seconds)) / seconds
        writes = 1000 / delay / jobs / len(STAGES)
        print(f"{delay} ms a write: {60 * jobs:.0f} jobs of {len(STAGES)} messages a minute, so {writes:.1f} writes a message", flush=True)


async def _passed(delay: int, seconds: float) -> int:
    """Jobs that went through all stages, LANES of them at a time."""
    with tempfile.TemporaryDirectory() as folder:
        nats_cluster.PROGRAM = _slowed(Path(folder) / "slow-nats-server", delay)
        async with nats_cluster.nats_cluster(Path(folder)) as cluster, connected_bus(cluster.url) as bus:
            await streams.ensure(bus.js, replicas=nats_cluster.NODES, deliveries=streams.USUAL)
            done = Counter[str]()
            lines = [asyncio.Queue[Msg]() for _ in STAGES]
            pulls = [_pulled(bus.js, stage, line) for stage, line in zip(STAGES, lines, strict=True)]
            async with running(*pulls, *(_lane(bus.js, lines, done) for _ in range(LANES))):
                await asyncio.sleep(seconds)
            return done["jobs"]


def _slowed(script: Path, delay: int) -> Path:
    inject = f"-e trace={SYNCED} -e inject={SYNCED}:delay_exit={1000 * delay}"
    script.write_text(f'#!/bin/sh\nexec strace -o {os.devnull} --seccomp-bpf -f {inject} {SERVER} "$@"\n')
    script.chmod(0o700)
    return script


async def _pulled(js: JetStreamContext, stage: StageName, line: asyncio.Queue[Msg]) -> None:
    consumer = await js.pull_subscribe_bind(durable=stage, stream=CLIPS)
    while True:
        try:
            for message in await consumer.fetch(LANES, timeout=1):
                line.put_nowait(message)
        except NothingCame:
            continue


async def _lane(js: JetStreamContext, lines: list[asyncio.Queue[Msg]], done: Counter[str]) -> None:
    """For ever: each stage's message is answered by the next one's, then acked."""
    subjects = [SUBJECTS[stage] for stage in STAGES]
    while True:
        await js.publish(subjects[0], BODY, timeout=PATIENCE)
        for line, following in zip(lines, [*subjects[1:], None], strict=True):
            message = await line.get()
            if following:
                await js.publish(following, BODY, timeout=PATIENCE)
            await message.ack_sync(timeout=PATIENCE)
        done["jobs"] += 1


if __name__ == "__main__":
    main()
