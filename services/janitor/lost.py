"""Lost messages that wait to be published again: under which id, and in which turn where there is not room for all. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count

from libs.common.domain.events import Envelope, Priority
from libs.common.domain.lanes import lane_order
from libs.common.domain.subjects import message_id
from services.janitor.overdue import Deadlines


@dataclass(frozen=True, slots=True)
class Lost:
    """The cause that a silent job's stage should be working on, and the time of the job's last event."""

    cause: Envelope
    since: datetime
    message_id: str
    """The message's own name would be dropped as a duplicate of the one that was lost."""

    @classmethod
    def of(cls, cause: Envelope, last: Envelope, now: datetime, deadlines: Deadlines) -> "Lost":
        """Named for the silence behind `last` and for how long it has lasted, counted in deadlines.

        So two looks at once make one message, and one that is lost again comes back with the next deadline.
        """
        return cls(cause, last.at, f"{message_id(cause)}:{last.id}:{(now - last.at) // deadlines.least}")


@dataclass(slots=True)
class Waiting:
    """As many as there is room for are kept of each lane, those that have waited longest."""

    room: int
    added: int = 0
    lanes: dict[Priority, list[Lost]] = field(default_factory=lambda: {priority: [] for priority in Priority})

    def add(self, lost: Lost) -> None:
        self.added += 1
        lane = self.lanes[lost.cause.priority]
        lane.append(lost)
        if len(lane) >= 2 * max(1, self.room):
            self.trim(lane)

    def trim(self, lane: list[Lost]) -> None:
        lane.sort(key=lambda lost: lost.since)
        del lane[max(0, self.room) :]

    def in_turn(self) -> Iterator[Lost]:
        """Those that there is room for, as a busy stage would take them from its lanes."""
        for lane in self.lanes.values():
            self.trim(lane)
        waiting = {priority: iter(lane) for priority, lane in self.lanes.items()}
        for turn, _ in zip(count(), range(self.room), strict=False):
            lost = next((lost for priority in lane_order(turn) if (lost := next(waiting[priority], None))), None)
            if lost is None:
                return
            yield lost
