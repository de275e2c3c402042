"""Which parts of a source are fetched for several segments of it: those that lie close together in one go, far ones apart. Pure."""

from collections.abc import Iterable, Sequence

from libs.common.domain.values import Segment

NEAR = 60.0
"""Seconds between two segments that are fetched along rather than asked for apart."""


def parts_to_fetch(segments: Iterable[Segment]) -> tuple[Segment, ...]:
    """Disjoint parts, more than NEAR apart, in the source's order; each segment lies in one of them."""
    parts: list[Segment] = []
    for segment in sorted(segments, key=lambda segment: segment.start):
        if parts and segment.start - parts[-1].end <= NEAR:
            parts[-1] = Segment(start=parts[-1].start, end=max(parts[-1].end, segment.end))
        else:
            parts.append(segment)
    return tuple(parts)


def shared_part(segments: Sequence[Segment]) -> tuple[Segment, ...]:
    """For each segment the part that it lies in."""
    parts = parts_to_fetch(segments)
    return tuple(next(part for part in parts if part.start <= segment.start and segment.end <= part.end) for segment in segments)
