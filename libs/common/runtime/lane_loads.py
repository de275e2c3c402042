"""How much waits in every lane of the work stream, and for how long: for the janitor's metrics and the operator's overview."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from libs.common.domain.events import SUBJECTS, Priority, StageName
from libs.common.domain.subjects import CLIPS, durable, subject_for
from libs.common.runtime.jetstream import JetStreamBus
from libs.common.runtime.stored_messages import Depth, StoredMessages


@dataclass(frozen=True, slots=True)
class LaneLoad:
    """One stage's messages of one priority. `oldest_seconds` is the age of the oldest; 0 when there is none."""

    stage: StageName
    lane: Priority
    depth: Depth
    oldest_seconds: float = 0.0


async def lane_loads(bus: JetStreamBus, now: datetime) -> list[LaneLoad]:
    """All lanes, stage by stage. Raises Failure(outage="nats")."""
    work = StoredMessages(bus, CLIPS)
    depths = await work.depths()
    lanes = [(stage, lane) for stage in StageName for lane in Priority]
    return await asyncio.gather(*(_load(work, depths, stage, lane, now) for stage, lane in lanes))


async def _load(work: StoredMessages, depths: Mapping[str, Depth], stage: StageName, lane: Priority, now: datetime) -> LaneLoad:
    depth = depths.get(durable(stage, lane), Depth(0, 0))
    oldest = None if depth.is_idle else await work.first(subject_for(SUBJECTS[stage], lane))
    return LaneLoad(stage, lane, depth, max(0.0, (now - oldest.stored_at).total_seconds()) if oldest else 0.0)
