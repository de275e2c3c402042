"""Whether an outage is one: a sound that alone is refused, time and again, while others are served, is its own reason. Pure.

Times are seconds of one clock.
"""

from collections.abc import Hashable
from dataclasses import dataclass, field

TIMES = 5
"""Refusals of a sound, another one having been served before each, that say enough."""
APART = 3.0
"""Seconds between two of those, at least."""
LONGEST = 1800.0
"""Of a row of refusals where no other sound was served: a provider may well answer for its models and yet transcribe nothing."""
STALE = 300.0
"""Without a further refusal: longer than a request and the rest after it may take. Its job has ended otherwise, or was held elsewhere."""
MOST = 256
"""Rows remembered; a sound beyond them is believed."""


@dataclass(slots=True)
class Row:
    """A sound's refusals in a row."""

    since: float
    counted: float
    last: float
    times: int = 0
    is_witnessed: bool = False
    """Another sound was asked for after the last one counted, and served."""


@dataclass(slots=True)
class Suspicion:
    """What one process has seen of the sounds that it was refused, and not served since."""

    rows: dict[Hashable, Row] = field(default_factory=dict)

    def refused(self, sound: Hashable, now: float) -> bool:
        """Note it; whether it is to be taken for the sound's own fault."""
        self.rows = {each: row for each, row in self.rows.items() if now - row.last <= STALE}
        row = self.rows.get(sound)
        if row is None:
            if len(self.rows) < MOST:
                self.rows[sound] = Row(now, now, now)
            return False
        row.last = now
        if row.is_witnessed and len(self.rows) == 1 and now - row.counted >= APART:
            row.times, row.counted, row.is_witnessed = row.times + 1, now, False
        return row.times >= TIMES or now - row.since >= LONGEST

    def served(self, sound: Hashable, asked: float) -> None:
        """By the provider itself, having been asked then: it bears witness against those refused before."""
        self.close(sound)
        for row in self.rows.values():
            row.is_witnessed |= asked >= row.counted

    def close(self, sound: Hashable) -> None:
        self.rows.pop(sound, None)

    def forget(self) -> None:
        """The provider answers nothing: no sound is to blame for anything."""
        self.rows.clear()
