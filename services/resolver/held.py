"""Which files of its own a job has, what of the source each holds, and how source.ready says it. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from libs.common.domain.events import SourceReady
from libs.common.domain.values import Section, Segment


@dataclass(frozen=True, slots=True)
class Held:
    """A file that holds the source from `start` to `end`, seconds of its time; infinite where that is all of it."""

    ready: SourceReady
    start: float
    end: float

    def holds(self, part: Segment) -> bool:
        return self.start <= part.start and part.end <= self.end


def is_held(files: Sequence[Held], part: Segment) -> bool:
    return any(file.holds(part) for file in files)


def source_ready(files: Sequence[Held], parts: Sequence[Segment]) -> SourceReady:
    """A file that holds all parts speaks for itself. Of several, where each part is; the event's own fields are the first's."""
    first = files[0].ready
    if whole := next((file.ready for file in files if all(map(file.holds, parts))), None):
        return whole
    return replace(first, sections=tuple(_section(part, next(file.ready for file in files if file.holds(part)), first) for part in parts))


def _section(part: Segment, file: SourceReady, first: SourceReady) -> Section:
    return Section(
        start=part.start,
        end=part.end,
        source_key=file.source_key,
        size=file.size,
        clock_offset=file.clock_offset,
        container=file.container if file.container != first.container else None,
    )
