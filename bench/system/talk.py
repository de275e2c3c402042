"""What the system's jobs are cut from: the numbered pictures of the benchmarks' sources, with a person who reads in place of beeps."""

from collections.abc import Sequence
from dataclasses import dataclass

from bench.cutting.cuts import FRAMES, Cut, Index, at_keyframes
from bench.processes import output_of
from bench.sources import Source, make
from tools.sample import recording

DRAWN = 5000
"""Ranges drawn at random to have met each of the few that there are."""


@dataclass(frozen=True)
class Talk(Source):
    """A source in whose loops of speech no two ranges begin at the same word."""

    @property
    def name(self) -> str:
        return f"{self.height}p-gop{self.gop}-{self.seconds}s-speech"

    @property
    def has_beeps(self) -> bool:
        return False


async def make_talk(talk: Talk) -> None:
    """If it is not there yet."""
    pictures = Source(talk.height, talk.gop, talk.seconds)
    await make([pictures])
    if not talk.path.exists():
        inputs = ["-i", str(pictures.path), "-stream_loop", "-1", "-i", str(recording())]
        sound = ["-map", "1:a", "-c:a", "aac", "-b:a", "128k", "-ar", "48000", "-ac", "2"]
        partial = talk.path.with_suffix(".part.mp4")
        whole = ["-t", str(talk.seconds), "-movflags", "+faststart", str(partial)]
        await output_of(["ffmpeg", "-v", "error", "-y", *inputs, "-map", "0:v", "-c:v", "copy", *sound, *whole])
        partial.rename(talk.path)


def each_once(index: Index, *, seed: int, frames: int = FRAMES) -> Sequence[Cut]:
    """Every range of so many pictures from keyframe to keyframe, in a random order: a transcript of one is no other's."""
    return list(dict.fromkeys(at_keyframes(index, DRAWN, seed=seed, frames=frames)))
