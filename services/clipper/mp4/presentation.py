"""How a track's edit list presents its media: which samples are shown, and when on the movie's clock. Pure."""

from dataclasses import dataclass, replace

import numpy as np

from services.clipper.mp4.edits import TO_THE_END, Edit
from services.clipper.mp4.sample_table import Mask, Media, Samples


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Presentation:
    """`first` and `end` are times on the media's clock, which is `shift` ahead of the movie's. All in ticks of the track's timescale."""

    media: Media
    first: int
    end: int
    shift: int
    is_sound: bool

    @property
    def begins(self) -> int | None:
        """On the movie's clock; None: nothing is shown."""
        if not self.media.count:
            return None
        return (self.media.first_presented(-TO_THE_END) if self.first == -TO_THE_END else self.first) - self.shift

    def samples(self, start: int, end: int) -> Samples:
        """Those around two times on the movie's clock; see Media.around."""
        return self._shown(self.media.expanded(*self.media.around(start + self.shift, end + self.shift)))

    def every(self) -> Samples:
        return self._shown(self.media.expanded(0, self.media.count))

    def none(self) -> Samples:
        return self.media.expanded(0, 0)

    def _shown(self, samples: Samples) -> Samples:
        if not self.shift and self.first == -TO_THE_END:
            return samples
        decode, present = samples.decode - self.shift, samples.present - self.shift
        return replace(samples, decode=decode, present=present, is_hidden=self._is_hidden(samples))

    def _is_hidden(self, samples: Samples) -> Mask:
        """A picture is shown if it begins within the edit, sound if any of it is in there."""
        length = np.maximum(samples.duration, 1) if self.is_sound else 1
        return (samples.present + length <= self.first) | (samples.present >= self.end)


def presentation(media: Media, edit: Edit | None, handler: str) -> Presentation:
    """Raises NotUnderstood for an edit that shows nothing.

    For pictures this is ffmpeg's rule: the clock begins with the first that begins within the edit, not with a part of the one before it.
    """
    is_sound = handler == "soun"
    if edit is None or not media.count:
        return Presentation(media=media, first=-TO_THE_END, end=TO_THE_END, shift=0, is_sound=is_sound)
    first = edit.media_time if is_sound else media.first_presented(edit.media_time)
    return Presentation(media=media, first=first, end=edit.media_time + edit.duration, shift=first - edit.delay, is_sound=is_sound)
