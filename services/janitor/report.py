"""What a clean-up removed, or would remove: counts, bytes and examples by kind, to be read by people or programs. Pure."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime

SAMPLES = 3
UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")
STEP = 1024


@dataclass(slots=True)
class Tally:
    """What there was of one kind. `size` is in bytes, as far as it is known without asking for each; `oldest` is when the first was due."""

    count: int = 0
    size: int = 0
    oldest: datetime | None = None
    samples: list[str] = field(default_factory=list)

    def add(self, sample: str, size: int, at: datetime | None) -> None:
        self.count += 1
        self.size += size
        if at and (self.oldest is None or at < self.oldest):
            self.oldest = at
        if len(self.samples) < SAMPLES:
            self.samples.append(sample)

    def words(self, kind: str) -> str:
        size = size_in_words(self.size) if self.size else ""
        oldest = f"oldest of {self.oldest:%F %T} UTC" if self.oldest else ""
        return ", ".join(part for part in (f"{self.count:,} {kind}", size, oldest) if part)


@dataclass(slots=True)
class Report:
    """By kind, in the order in which they were first met. `more` are waiting and were not looked at; `left` are not to go yet."""

    tallies: dict[str, Tally] = field(default_factory=dict)
    more: Counter[str] = field(default_factory=Counter)
    left: Counter[str] = field(default_factory=Counter)

    def note(self, kind: str, sample: str, *, size: int = 0, at: datetime | None = None) -> None:
        self.tallies.setdefault(kind, Tally()).add(sample, size, at)

    @property
    def counts(self) -> dict[str, int]:
        return {kind: tally.count for kind, tally in self.tallies.items()}

    @property
    def total(self) -> int:
        """What goes, of all kinds, those that nobody looked at included."""
        return sum(self.counts.values()) + self.more.total()

    def lines(self) -> list[str]:
        """For people; examples are indented below their kind."""
        told = [line for kind, tally in self.tallies.items() for line in (tally.words(kind), f"  such as {', '.join(tally.samples)}")]
        more = [f"{count:,} more {kind}, not looked at one by one" for kind, count in self.more.items()]
        return [*told, *more, *(f"{count:,} {kind}" for kind, count in self.left.items())]

    def as_data(self) -> dict[str, object]:
        """For programs: sizes in bytes, times as ISO 8601."""
        found: dict[str, object] = {
            kind: {"count": tally.count, "bytes": tally.size, "oldest": tally.oldest and tally.oldest.isoformat(), "samples": tally.samples}
            for kind, tally in self.tallies.items()
        }
        others = {"more": self.more, "left": self.left}
        return found | {name: dict(counts) for name, counts in others.items() if counts}


def size_in_words(size: float) -> str:
    """1536 is 1.5 KiB."""
    for unit in UNITS[:-1]:
        if size < STEP:
            return f"{size:.0f} {unit}" if unit == UNITS[0] else f"{size:.1f} {unit}"
        size /= STEP
    return f"{size:.1f} {UNITS[-1]}"
