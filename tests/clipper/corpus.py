"""Sources in all the shapes that people bring, small and made by ffmpeg; and which ranges are cut out of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from tests import media
from tests.clipper.judging import GRACE, Asked, Source
from tests.media import UNEVEN_BEEPS, gop, hevc

BASE = "BASE"
"""In a shape's arguments: the plain file that it is made of."""
FRAMES = 150


@dataclass(frozen=True, slots=True)
class Shape:
    """How a source is made. A player shows it turned by `turn` degrees clockwise, and plays its audio track number `track`."""

    name: str
    suffix: str
    write: Callable[[Path], Path]
    turn: int = 0
    track: int = 0

    def made_in(self, folder: Path) -> Path:
        """Its file, made when it is asked for first."""
        path = folder / f"{self.name}{self.suffix}"
        return path if path.exists() else self.write(path)


def sound(*options: str) -> tuple[str, ...]:
    return (*UNEVEN_BEEPS, "-c:a", *options)


AAC = sound("aac", "-b:a", "64k")
STEREO = ("-af", f"{UNEVEN_BEEPS[1]},pan=stereo|c0=c0|c1=c0")
PLAIN: dict[str, Any] = {"frames": FRAMES, "video": gop(30), "audio": AAC}


def _shape(name: str, suffix: str = ".mp4", **options: Any) -> Shape:
    return Shape(name, suffix, partial(media.make, **PLAIN | options))


def _derived(name: str, suffix: str, *arguments: str, track: int = 0, base: str = ".mp4", **options: Any) -> Shape:
    """Made by ffmpeg of a plain file, whose name takes the place of BASE."""

    def write(path: Path) -> Path:
        plain = media.make(path.with_name(f"{name}-base{base}"), **PLAIN | options)
        return media.converted(path, *(str(plain) if part == BASE else part for part in arguments))

    return Shape(name, suffix, write, track=track)


def _copy(name: str, suffix: str, *options: str, **more: Any) -> Shape:
    """The plain file's streams in another container."""
    return _derived(name, suffix, "-i", BASE, "-map", "0", "-c", "copy", *options, **more)


def _turned(degrees: int) -> Shape:
    return Shape(f"turned-{degrees}", ".mp4", lambda path: media.turned(media.make(path, **PLAIN), degrees), turn=degrees)


def _frame_rate(rate: str, bframes: int, audio: Sequence[str]) -> Shape:
    """Four and a half seconds, a keyframe about every second."""
    numerator, _, denominator = rate.partition("/")
    name = str(round(int(numerator) / int(denominator or 1), 3))
    a_second = round(float(name))
    return _shape(f"{name}-fps", rate=rate, frames=a_second * 9 // 2, video=gop(a_second, bframes=bframes), audio=tuple(audio))


DROPPED = ("-vf", "select='not(eq(mod(n,7),3))*not(between(n,61,75))'", "-fps_mode", "vfr", "-enc_time_base", "1:90000")
HDR10 = ":hdr10=1:master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1):max-cll=1000,400"
BT2020 = ("-color_primaries", "bt2020", "-color_trc", "smpte2084", "-colorspace", "bt2020nc")
BT709 = ("-color_primaries", "bt709", "-color_trc", "bt709", "-colorspace", "bt709", "-color_range", "tv")
TEN_BIT = "yuv420p10le"
VP9 = ("-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-g", "30", "-b:v", "500k")
VP8 = ("-c:v", "libvpx", "-threads", "1", "-deadline", "realtime", "-cpu-used", "8", "-g", "30", "-b:v", "500k")
AV1 = ("-c:v", "libaom-av1", "-usage", "realtime", "-cpu-used", "8", "-g", "30", "-b:v", "500k", "-pix_fmt", "yuv420p")
MP3 = sound("libmp3lame", "-b:a", "64k", "-ar", "44100")
SILENT_FIRST = ("-i", BASE, "-f", "lavfi", "-i", "anullsrc=r=48000:cl=mono:d=5", "-c:v", "copy", "-c:a", "aac", "-shortest")

SHAPES: tuple[Shape, ...] = (
    _frame_rate("24000/1001", 3, AAC),
    _frame_rate("24", 2, sound("aac", "-ar", "44100", *STEREO)),
    _frame_rate("25", 0, AAC),
    _frame_rate("30000/1001", 3, sound("aac", *STEREO)),
    _frame_rate("50", 2, AAC),
    _frame_rate("60000/1001", 3, MP3),
    _frame_rate("60", 2, AAC),
    _shape("variable-rate", video=(*gop(30), *DROPPED)),
    _shape("variable-rate-mkv", ".mkv", video=(*gop(45), *DROPPED)),
    _shape("all-intra", frames=90, video=gop(1, bframes=0)),
    _shape("short-gop", video=gop(12)),
    _shape("one-gop", video=gop(250, bframes=3)),
    _shape("b-pyramid", video=gop(48, bframes=3, more=":b-pyramid=normal:b-adapt=0:ref=4")),
    _shape("open-gop", video=gop(30, bframes=3, more=":open-gop=1:b-adapt=0")),
    _shape("main-profile", video=gop(60, bframes=3, more=":cabac=1:weightp=2:8x8dct=1:ref=3")),
    _shape("faststart", after=("-movflags", "+faststart")),
    _shape("fragmented", after=("-movflags", "frag_keyframe+empty_moov")),
    _shape("fragmented-moof", after=("-movflags", "frag_keyframe+empty_moov+default_base_moof")),
    _shape("cmaf", after=("-movflags", "cmaf+frag_keyframe", "-frag_duration", "500000")),
    _shape("matroska", ".mkv", audio=sound("ac3")),
    _shape("matroska-opus", ".mkv", audio=sound("libopus")),
    _shape("quicktime-pcm", ".mov", audio=sound("pcm_s16le")),
    _shape("avi-h264", ".avi", video=gop(30, bframes=0), audio=MP3),
    _shape("avi-mpeg4", ".avi", video=("-c:v", "mpeg4", "-g", "25", "-q:v", "2"), audio=MP3),
    _shape("flv", ".flv", audio=sound("aac", "-ar", "44100")),
    _shape("transport", ".ts", audio=sound("mp2")),
    _copy("transport-late-clock", ".ts", "-output_ts_offset", "5000"),
    _copy("transport-wrap", ".ts", "-output_ts_offset", "95441", audio=sound("mp2"), base=".ts"),
    _shape("webm-vp9", ".webm", frames=100, video=VP9, audio=sound("libopus")),
    _shape("webm-vp8", ".webm", frames=100, video=VP8, audio=sound("libvorbis")),
    _shape("vp9-mp4", frames=100, video=VP9, audio=sound("libopus")),
    _shape("av1-mp4", frames=100, video=AV1),
    _shape("hevc", video=hevc(30), after=("-movflags", "+faststart")),
    _shape("hevc-open", video=hevc(30, is_open=True)),
    _shape("hevc-10-bit-open", video=hevc(30, pixels=TEN_BIT, is_open=True), audio=sound("ac3")),
    _shape("hevc-hdr10", video=(*hevc(30, pixels=TEN_BIT, more=HDR10), *BT2020)),
    _shape("hevc-open-mkv", ".mkv", video=hevc(30, is_open=True)),
    _shape("hevc-10-bit-mkv", ".mkv", video=hevc(45, pixels=TEN_BIT)),
    _shape("hevc-ts", ".ts", video=hevc(30, is_open=True)),
    _shape("high-10", video=(*gop(30), "-pix_fmt", TEN_BIT)),
    _shape("high-422", video=(*gop(30), "-pix_fmt", "yuv422p")),
    _shape("high-444", video=(*gop(30), "-pix_fmt", "yuv444p")),
    _shape("full-range", video=(*gop(30), "-pix_fmt", "yuvj420p")),
    _shape("bt709", video=(*gop(30), *BT709)),
    _shape("odd-size-444", video=(*gop(30), "-vf", "format=yuv444p,crop=159:95:0:0:exact=1", "-pix_fmt", "yuv444p")),
    _shape("odd-size-vp9", ".webm", frames=100, video=(*VP9, "-vf", "crop=159:95:0:0:exact=1"), audio=None),
    _shape("interlaced", rate="25", video=(*gop(25, more=":tff=1"), "-flags", "+ildct+ilme")),
    _turned(90),
    _turned(180),
    _turned(270),
    _derived("trimmed", ".mp4", "-ss", "1.3", "-i", BASE, "-c", "copy", frames=200, video=gop(60)),
    _derived("late-sound", ".mp4", "-i", BASE, "-itsoffset", "0.7", "-i", BASE, "-map", "0:v", "-map", "1:a", "-c", "copy"),
    _derived("late-picture", ".mp4", "-itsoffset", "0.7", "-i", BASE, "-i", BASE, "-map", "0:v", "-map", "1:a", "-c", "copy"),
    _shape("late-sound-mkv", ".mkv", audio=("-af", f"{UNEVEN_BEEPS[1]},atrim=start=1.2", "-c:a", "aac")),
    _shape("short-sound", audio=("-af", f"{UNEVEN_BEEPS[1]},atrim=end=2.4", "-c:a", "aac")),
    _shape("no-sound", audio=None),
    _derived("two-tracks", ".mp4", *SILENT_FIRST, "-map", "0:v", "-map", "0:a", "-map", "1:a"),
    _derived("default-track", ".mkv", *SILENT_FIRST, *("-map", "0:v", "-map", "1:a", "-map", "0:a"), "-disposition:a:0", "0",
             *("-disposition:a:1", "default"), track=1),
    _shape("only-aac", ".m4a", video=None, seconds=5, audio=AAC, after=("-f", "mp4")),
    _shape("only-mp3", ".mp3", video=None, seconds=5, audio=MP3),
    _shape("only-flac", ".flac", video=None, seconds=5, audio=sound("flac")),
    _shape("only-wav", ".wav", video=None, seconds=5, audio=sound("pcm_s16le")),
)  # fmt: skip


EVERYDAY = {
    *("29.97-fps", "variable-rate-mkv", "b-pyramid", "cmaf", "interlaced", "odd-size-444", "turned-90"),
    *("quicktime-pcm", "avi-mpeg4", "flv", "transport-wrap", "webm-vp9", "webm-vp8", "av1-mp4"),
    *("hevc-10-bit-open", "hevc-hdr10", "hevc-ts"),
    *("trimmed", "late-sound", "late-picture", "default-track", "only-flac", "only-mp3"),
}
"""Names of shapes: among them each container (but WAV, which test_renditions cuts), codec and feature is there at least once."""


def ranges(source: Source, seed: str, count: int = 2) -> list[Asked]:
    """`count` ranges of different kinds, chosen by the seed; now and then the first of them is asked for with `fast` as well."""
    random = Random(seed)
    kinds = SOUND_KINDS if source.media.video is None else PICTURE_KINDS
    chosen = [kind(random, source) for kind in random.sample(kinds, min(count, len(kinds)))]
    asked = [_settled(source, Asked(why, start, end)) for why, start, end in chosen]
    return [*asked, *([Asked(asked[0].why, asked[0].start, asked[0].end, "fast")] if random.random() < 1 / 3 else [])]


def _settled(source: Source, asked: Asked) -> Asked:
    """In whole milliseconds, as clients ask; and so that no frame lies so near to an edge that rounding decides."""
    start, end = (_off_the_edge(source, round(max(edge, 0.0), 3)) for edge in (asked.start, asked.end))
    return Asked(asked.why, start, end)


def _off_the_edge(source: Source, edge: float) -> float:
    near = abs(source.playback.times - (edge - GRACE)) < 0.0001  # clocks round by that at the most
    return round(edge + 0.001, 3) if near.any() else edge


Kind = tuple[str, float, float]
"""Why, and the range before it is settled."""


def _times(source: Source) -> list[float]:
    return [float(time) for time in source.playback.times if time >= 0]


def _length(random: Random) -> float:
    return random.uniform(0.6, 1.6)


def _at_the_start(random: Random, source: Source) -> Kind:
    first = _times(source)[0] if source.media.video else 0.0
    return "at the very start", 0.0, first + _length(random)


def _at_the_end(random: Random, source: Source) -> Kind:
    last = min(source.end, _times(source)[-1]) if source.media.video else source.end
    return "at the very end", last - _length(random), source.media.duration or source.end


def _from_frame(why: str, away: int, random: Random, source: Source) -> Kind:
    """So many frames away from a keyframe that is not too near to the end."""
    times = _times(source)
    early = [key for key in source.keys if 0 <= key < times[-1] - 0.8] or times[:1]
    start = times[max(times.index(random.choice(early)) + away, 0)]
    return why, start, min(start + _length(random), source.end)


def _a_few_frames(random: Random, source: Source) -> Kind:
    times = _times(source)
    first = random.randrange(len(times) - 12)
    return "a few frames", times[first], times[first + random.randint(3, 9)]


def _off_the_grid(random: Random, source: Source) -> Kind:
    times = _times(source)
    start = random.uniform(times[0], times[-1] - 2.2)
    return "off the grid, over keyframes", start, start + random.uniform(1.5, 2.2)


def _sound_anywhere(random: Random, source: Source) -> Kind:
    start = random.uniform(0.0, source.end - 2.5)
    return "anywhere", start, start + random.uniform(0.5, 2.5)


PICTURE_KINDS: tuple[Callable[[Random, Source], Kind], ...] = (
    _at_the_start,
    _at_the_end,
    partial(_from_frame, "on a keyframe", 0),
    partial(_from_frame, "a frame after a keyframe", 1),
    partial(_from_frame, "a frame before a keyframe", -1),
    _a_few_frames,
    _off_the_grid,
)
SOUND_KINDS: tuple[Callable[[Random, Source], Kind], ...] = (_at_the_start, _at_the_end, _sound_anywhere)
