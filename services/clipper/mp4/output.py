"""What a composed movie is to hold, as values: its tracks, and of each sample where its bytes are now."""

from dataclasses import dataclass

import numpy as np

from services.clipper.mp4.edits import Edit
from services.clipper.mp4.sample_table import IntArray, Mask, Samples


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OutputSamples:
    """One element of each array a sample, in decode order. Times are ticks of the track's timescale."""

    file: IntArray
    """Which input its bytes are in. File 0 is the main one, whose order of bytes is kept."""
    offset: IntArray
    size: IntArray
    duration: IntArray
    """Decode times begin at 0 and grow by this."""
    composition: IntArray
    """Presentation less decode time; may be negative."""
    is_sync: Mask
    description: IntArray
    """Which sample entry, from 1."""

    @classmethod
    def of(cls, samples: Samples, *, duration: IntArray, composition: IntArray, file: int = 0, entry: int | None = None) -> "OutputSamples":
        """Those of one input, as they lie there. `entry` is for all of them, where they don't keep their own."""
        return cls(
            file=np.full_like(samples.offset, file),
            offset=samples.offset,
            size=samples.size,
            duration=duration,
            composition=composition,
            is_sync=samples.is_sync,
            description=samples.description if entry is None else np.full_like(samples.description, entry),
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OutputTrack:
    """`matrix`, `width`, `height` and `language` are as in Track. Without an edit the media is shown as it is."""

    handler: str
    timescale: int
    entries: tuple[bytes, ...]
    samples: OutputSamples
    matrix: bytes
    width: int
    height: int
    language: bytes
    edit: Edit | None

    @property
    def duration(self) -> int:
        """Of the media, in ticks."""
        return int(self.samples.duration.sum())
