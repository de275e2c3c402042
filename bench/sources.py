"""The benchmark's sources: numbered pictures that are hard to encode, a beep at each whole second; made once, kept in bench/.cache."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.barcode import BITS, STRIP_ROWS, strips
from bench.processes import output_of

CACHE = Path(__file__).parent / ".cache"
RATE = 30
GOPS = (60, 250)
BEEP = "0.5*sin(2*PI*1000*t)*lt(mod(t,1),0.05)"
SOUND = f"aevalsrc='{BEEP}+0.02*sin(2*PI*220*t)|{BEEP}+0.02*sin(2*PI*330*t)':s=48000"
BITRATES = {180: 150_000, 720: 2_600_000, 1080: 5_100_000}
"""As the source of the anchors in the findings; bit/s of the picture."""


@dataclass(frozen=True, slots=True)
class Source:
    """One MP4: H.264 with B-frames and closed GOPs of exactly `gop` frames, AAC; `moov` first. `loops` copies of it, one after another."""

    height: int
    gop: int
    seconds: int
    loops: int = 1

    @property
    def width(self) -> int:
        return self.height * 16 // 9

    @property
    def name(self) -> str:
        return f"{self.height}p-gop{self.gop}-{self.seconds * self.loops}s"

    @property
    def path(self) -> Path:
        return CACHE / f"{self.name}.mp4"

    @property
    def pictures(self) -> int:
        """How many different numbers there are: after that many pictures they begin again."""
        return self.seconds * RATE

    @property
    def has_beeps(self) -> bool:
        """Whether sound tells where its pictures are: that of loops drifts against them."""
        return self.loops == 1

    @property
    def title(self) -> str:
        return f"{self.height}p GOP {self.gop}, {self.seconds * self.loops / 60:g} min"


async def make(sources: Sequence[Source]) -> None:
    """Those that are not there yet."""
    CACHE.mkdir(exist_ok=True)
    for height, seconds in sorted({(s.height, s.seconds) for s in sources}):
        bases = [Source(height, gop, seconds) for gop in GOPS]
        if not all(base.path.exists() for base in bases):
            print(f"making {seconds} s of {height}p, once …", flush=True)
            await _encode(bases)
    for source in sources:
        if not source.path.exists():
            await _loop(source)


async def _encode(bases: Sequence[Source]) -> None:
    """The same pictures with each GOP in one go: drawing them costs as much as a fast encode."""
    first = bases[0]
    names = [f"v{n}" for n in range(len(bases))]
    size, strip = f"{first.width}x{first.height}", f"{first.width}:{STRIP_ROWS}"
    picture = f"testsrc2=s={size}:r={RATE},noise=alls=10:allf=t"
    graph = f"[1]scale={strip}:flags=neighbor,format=yuv420p[bar];[0][bar]overlay=0:0,format=yuv420p,split={len(names)}"
    inputs = ["-f", "lavfi", "-i", picture, "-f", "rawvideo", "-pix_fmt", "gray", "-s", f"{BITS}x2", "-r", str(RATE), "-i", "-"]
    command = ["ffmpeg", "-v", "error", "-y", *inputs, "-f", "lavfi", "-i", SOUND]
    command += ["-filter_complex", graph + "".join(f"[{name}]" for name in names)]
    for name, base in zip(names, bases, strict=True):
        command += [*_output(name, base), str(_unfinished(base))]
    await output_of(command, strips(first.pictures))
    for base in bases:
        _unfinished(base).rename(base.path)


def _output(name: str, base: Source) -> list[str]:
    picture = ["-map", f"[{name}]", "-c:v", "libx264", "-preset", "superfast", "-b:v", str(BITRATES[base.height]), "-bf", "3"]
    gop = ["-g", str(base.gop), "-x264-params", f"keyint={base.gop}:min-keyint={base.gop}:scenecut=0"]
    return [*picture, *gop, "-map", "2:a", "-c:a", "aac", "-b:a", "128k", "-t", str(base.seconds), "-movflags", "+faststart"]


async def _loop(source: Source) -> None:
    """By copying; its times drift by some frames, so they are read from its packets, never reckoned."""
    print(f"making {source.title}, once …", flush=True)
    base = Source(source.height, source.gop, source.seconds)
    inputs = ["-stream_loop", str(source.loops - 1), "-i", str(base.path)]
    partial = _unfinished(source)
    await output_of(["ffmpeg", "-v", "error", "-y", *inputs, "-map", "0", "-c", "copy", "-movflags", "+faststart", str(partial)])
    partial.rename(source.path)


def _unfinished(source: Source) -> Path:
    return source.path.with_suffix(".part.mp4")
