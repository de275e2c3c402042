"""Messages that their consumer gave up and whose advisory never came, its stream being full, missing or purged: found where they lie."""

from contextlib import aclosing
from dataclasses import dataclass, field

from libs.common.domain.events import SUBJECTS, Priority, StageName
from libs.common.domain.subjects import durable, subject_for
from libs.common.runtime.background import every, for_ever
from libs.common.runtime.logs import logger
from libs.common.runtime.service import Connections
from libs.common.runtime.stored_messages import Depth
from services.janitor.advisories import Rescue, one_of_many
from services.janitor.schedule import alone
from services.janitor.settings import JanitorSettings

log = logger(__name__)


async def rescue_given_up(settings: JanitorSettings, c: Connections) -> None:
    """The task: one janitor at a time rescues what was given up, told of it or not, for ever."""
    rescue = Rescue(c.store, c.bus, settings.queue_max_attempts)
    unadvised = Unadvised(rescue)

    async def look() -> None:
        await unadvised.look()  # first: without its stream the other one fails
        await rescue.heed_all()

    await for_ever("rescue", alone(c.store, "advisories", look), every(settings.advisories_every_sec, c.health))


@dataclass(slots=True)
class Unadvised:
    """Two looks in a row, so that an ack that is on its way, or an advisory, may arrive."""

    rescue: Rescue
    seen: set[int] = field(default_factory=set)
    """Sequences in CLIPS, at the last look."""

    async def look(self) -> None:
        before, self.seen = self.seen, set()
        depths = await self.rescue.work.depths()
        for stage in StageName:
            for priority in Priority:
                depth = depths.get(durable(stage, priority))
                if depth and depth.is_idle and depth.max_deliver > 0:
                    await self.look_at(stage, subject_for(SUBJECTS[stage], priority), depth, before)

    async def look_at(self, stage: StageName, subject: str, depth: Depth, before: set[int]) -> None:
        async with aclosing(self.rescue.work.walk(subject)) as lying:
            async for message in lying:
                if message.sequence > depth.delivered:
                    break
                self.seen.add(message.sequence)
                if message.sequence in before:
                    log.warning("given up, and no advisory came", stage=stage, sequence=message.sequence)
                    with one_of_many(message.sequence):
                        await self.rescue.bury(message, stage, depth.max_deliver)
