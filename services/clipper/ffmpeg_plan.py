"""The ffmpeg commands of the clipper, as whole argument lists. Pure; file names are fixed and relative to the attempt's folder.

Every source is read with `-itsoffset`, so that the clip's zero is zero whatever the source's clock says and wherever reading begins.
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import ffmpeg

from libs.common.runtime.media import Media, input_options
from services.clipper.cut_plan import CutPlan
from services.clipper.inspected import PICTURE_HEIGHT, PICTURE_WIDTH

CLIP = "clip.mp4"
SOUND = "sound.mp4"
WINDOW = "window.mp4"
BURNED = "clip.subbed.mp4"
SUBTITLES = "subs.ass"
FONTS = "fonts"
FONTS_CONFIG = "fonts.conf"

GLOBAL = ("-hide_banner", "-nostdin", "-v", "error", "-y")
PROGRESS = ("-progress", "pipe:1", "-stats_period", "0.5")
CLEAN: dict[str, Any] = {"map_metadata": "-1", "map_chapters": "-1", "dn": None, "sn": None}
"""Nothing of the source but picture and sound: no titles, chapters, data, fonts."""
MP4: dict[str, Any] = {"f": "mp4", "movflags": "+faststart+negative_cts_offsets"}
"""Index first; and frames that begin at zero without an edit list, for the players that ignore those."""
_COPY_SHIFT = 0.001
_LARGEST_SHIFT = 0.016
WINDOW_TIMESCALE = 35_280_000
"""Of a movie whose edit lists are to tell any track's time exactly: a multiple of 90,000, 48,000 and 44,100."""
_STEREO = 2
_SURROUND = 6
_SMALLEST = 2
_LAYOUTS = "mono|stereo|3.0|4.0|5.0|5.1|7.1"
"""Those that AAC has a number for (ISO/IEC 14496-3 table 1.19): speakers at the side, as AC-3 and DTS have them, count as at the back."""


@dataclass(frozen=True, slots=True)
class Encoding:
    """How pictures are encoded: the program, x264's constant rate factor, and the threads of each codec."""

    program: str
    crf: int
    threads: int


@dataclass(frozen=True, slots=True)
class Edge:
    """One encoded part of a spliced clip: its name, ffmpeg's name for its pixel format, and the encoder's options."""

    name: str
    pixel_format: str
    options: dict[str, Any]

    @property
    def source(self) -> str:
        return f"{self.name}.in.mp4"

    @property
    def output(self) -> str:
        return f"{self.name}.mp4"

    @property
    def thumb(self) -> str:
        return f"{self.name}.gray"


def cut_command(url: str, media: Media, plan: CutPlan, encoding: Encoding, *, output: str = CLIP) -> list[str]:
    options = _copied(plan) if plan.how == "copy" else _encoded(media, plan, encoding)
    source = _source(url, media, plan, encoding, shift=_shift(plan))
    return [encoding.program, *GLOBAL, *PROGRESS, *_clock(media), *_to_mp4(source, _maps(media, plan), output, options)]


def window_command(url: str, media: Media, since: float | None, until: float, zero: float, encoding: Encoding, *, audio: bool) -> list[str]:
    """Writes WINDOW: the packets from the keyframe before `since` up to `until`, as they are, with second `zero` of the source at 0.

    `zero` is whole, and before all of them; so every clock can tell it, and none counts below zero.
    """
    seek: dict[str, Any] = {} if since is None else {"ss": seconds(since)}
    source = opened(url, media.container, encoding, **seek, seek_timestamp="1", noaccurate_seek=None, itsoffset=seconds(-zero))
    picture = media.video_stream
    selectors = [str(index) for index in (picture and picture.index, media.audio_index if audio else None) if index is not None]
    timescale = {"video_track_timescale": str(picture.time_base.denominator)} if picture and picture.time_base.numerator == 1 else {}
    tag = {"tag:v": "hvc1"} if media.video and media.video.codec == "hevc" else {}
    options = {**CLEAN, "c": "copy", "to": seconds(until - zero), "f": "mp4", "movie_timescale": WINDOW_TIMESCALE, **timescale, **tag}
    arguments = ffmpeg.output(*(source[selector] for selector in selectors), WINDOW, **options).get_args()
    return [encoding.program, *GLOBAL, *PROGRESS, "-copyts", *arguments]


def edge_command(edge: Edge, first: int, after: int, timescale: int, encoding: Encoding) -> list[str]:
    """Writes the edge's output: its source's frames of ticks [first, after), each for its own time; and its thumb, the first of them."""
    kept = (
        opened(edge.source, "mov", encoding)["v:0"].filter("trim", start_pts=first, end_pts=after).filter("setpts", "PTS-STARTPTS").split()
    )
    thumb = kept[1].filter("trim", end_frame=1).filter("scale", PICTURE_WIDTH, PICTURE_HEIGHT, flags="area").filter("format", "gray")
    options = {
        "f": "mp4",
        "fps_mode": "passthrough",
        "enc_time_base:v": f"1:{timescale}",
        "video_track_timescale": str(timescale),
        "pix_fmt": edge.pixel_format,
        "crf": str(encoding.crf),
        "threads": str(encoding.threads),
        **edge.options,
    }
    outputs = ffmpeg.merge_outputs(ffmpeg.output(kept[0], edge.output, **options), ffmpeg.output(thumb, edge.thumb, f="rawvideo"))
    return [encoding.program, *GLOBAL, *PROGRESS, "-copyts", *outputs.get_args()]


def _to_mp4(source: Any, selectors: list[str], output: str, options: dict[str, Any]) -> list[str]:
    arguments: list[str] = ffmpeg.output(*(source[selector] for selector in selectors), output, **CLEAN, **MP4, **options).get_args()
    return arguments


def _clock(media: Media) -> tuple[str, ...]:
    """ffmpeg is to take the source's times as they are: else it mends what it takes for a jump, and ffmpeg 8 takes a seek for one.

    MP4 has no jumps; and there it must not be, for with it a copy leaves out what lies before the seek, by rounding the keyframe too.
    """
    return () if media.container == "mov" else ("-copyts",)


def _source(url: str, media: Media, plan: CutPlan, encoding: Encoding, *, shift: float) -> Any:
    """The source, whose second `plan.origin` is `shift`, read from the keyframe that the clip needs."""
    seek: dict[str, Any] = {} if plan.seek is None else {"ss": seconds(plan.seek)}
    zero = 0.0 if _clock(media) else plan.seek or 0.0
    offset = seconds(zero - plan.origin + shift)
    return opened(url, media.container, encoding, **seek, seek_timestamp="1", noaccurate_seek=None, itsoffset=offset)


def opened(url: str, demuxer: str, encoding: Encoding, **options: Any) -> Any:
    guarded = {**input_options(url, demuxer), "threads": str(encoding.threads), **options}
    return ffmpeg.input(url, **guarded)  # type: ignore[no-untyped-call]  # the library has no types


def _maps(media: Media, plan: CutPlan) -> list[str]:
    picture = [str(media.video_stream.index)] if plan.has_video and media.video_stream else []
    sound = [str(media.audio_index)] if plan.has_audio else []
    return picture + sound


def _shift(plan: CutPlan) -> float:
    """A copy drops what is before zero, and its first packet must not be, by rounding."""
    return _COPY_SHIFT if plan.how == "copy" else 0.0


def _copied(plan: CutPlan) -> dict[str, Any]:
    """Sound alone; it ends about with the packet that is nearest to the clip's end."""
    stop = plan.audio_end - _LARGEST_SHIFT + _COPY_SHIFT
    return {"c:a": "copy", "copypriorss": "0", "t": seconds(stop), "output_ts_offset": seconds(-_COPY_SHIFT)}


def _encoded(media: Media, plan: CutPlan, encoding: Encoding) -> dict[str, Any]:
    video = _video_encoded(media, plan, encoding) if plan.has_video else {}
    return {**video, **(_audio_encoded(media, plan) if plan.has_audio else {})}


def _video_encoded(media: Media, plan: CutPlan, encoding: Encoding) -> dict[str, Any]:
    """The edges lie between frames, so no rounding takes one too many; a held first frame is moved to zero."""
    trim = f"trim=start={seconds(plan.first_edge)}:end={seconds(plan.last_edge)}"
    held = ["setpts=if(eq(N\\,0)\\,0\\,PTS)"] if plan.is_held else []
    return {
        "filter:v": ",".join([trim, *held, *_even(media)]),
        **_x264(media.video_stream.time_base if media.video_stream else None, encoding),
    }


def _even(media: Media) -> list[str]:
    """yuv420p has pixels in twos: a line too many is left out, but one alone made two."""
    if media.video is None or not (media.video.width % 2 or media.video.height % 2):
        return []
    if min(media.video.width, media.video.height) < _SMALLEST:
        return ["scale=max(2\\,trunc(iw/2)*2):max(2\\,trunc(ih/2)*2)"]
    return ["crop=trunc(iw/2)*2:trunc(ih/2)*2:0:0"]


def _x264(base: Fraction | None, encoding: Encoding) -> dict[str, Any]:
    """Frames keep their own times (vfr), counted by the source's clock, whose ticks last `base` seconds."""
    return {
        "fps_mode": "vfr",
        **({"enc_time_base:v": f"{base.numerator}:{base.denominator}"} if base else {}),
        "c:v": "libx264",
        "preset": "veryfast",
        "crf": str(encoding.crf),
        "pix_fmt": "yuv420p",
        "threads": str(encoding.threads),
    }


def _audio_encoded(media: Media, plan: CutPlan) -> dict[str, Any]:
    """Cut to the sample; gaps and a late beginning become silence, so that sound stays in step where players ignore timestamps.

    By itself aresample leaves gaps below 100 ms open.
    """
    channels = media.audio.channels if media.audio else _STEREO
    return {
        "filter:a": f"atrim=start=0:end={seconds(plan.audio_end)},aresample=async=1:min_hard_comp=0.01:first_pts=0"
        f",aformat=channel_layouts={_LAYOUTS}",
        "c:a": "aac",
        "b:a": "192k" if channels <= _STEREO else "384k",
        **({"ac": str(_STEREO)} if channels > _SURROUND else {}),
    }


def burn_command(
    timescale: int, encoding: Encoding, *, has_audio: bool, is_hdr: bool = False, original_size: tuple[int, int] | None = None
) -> list[str]:
    """Renders SUBTITLES into CLIP's picture, as BURNED, with the fonts of FONTS_CONFIG. All names are ours, so nothing needs escaping.

    `timescale`: ticks a second of the clip's picture.
    What is HDR stays so, in the ten bits that its curve needs; MP4 players take that as H.265.
    `original_size`: of a picture whose pixels are not square, its size in such as are, for letters as wide as they should be.
    """
    squared = f":original_size={original_size[0]}x{original_size[1]}" if original_size else ""
    picture = {**_x264(Fraction(1, timescale) if timescale else None, encoding), **(x265_of_ten_bits(encoding) if is_hdr else {})}
    options = {"filter:v": f"ass=filename={SUBTITLES}{squared}", **picture, "c:a": "copy"}
    selectors = ["v:0", "a:0"] if has_audio else ["v:0"]
    environment = ("env", "FONTCONFIG_PATH=.", f"FONTCONFIG_FILE={FONTS_CONFIG}")
    source = opened(CLIP, "mov", encoding)
    return [*environment, encoding.program, *GLOBAL, *PROGRESS, *_to_mp4(source, selectors, BURNED, options)]


def x265_of_ten_bits(encoding: Encoding) -> dict[str, Any]:
    return {
        "c:v": "libx265",
        "pix_fmt": "yuv420p10le",
        "tag:v": "hvc1",
        "x265-params": f"log-level=error:pools={encoding.threads}",
    }


def fonts_config() -> str:
    """fontconfig's own file: the fonts that are linked in FONTS, and none of the machine's, so that a text looks the same everywhere."""
    return f"""<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig><dir prefix="cwd">{FONTS}</dir><cachedir>fonts.cache</cachedir></fontconfig>
"""


def source_thumb_command(url: str, media: Media, plan: CutPlan, encoding: Encoding) -> list[str]:
    """The source's frame at the clip's zero, tiny and gray, as raw bytes on stdout."""
    source = _source(url, media, plan, encoding, shift=0.0)
    index = str(media.video_stream.index) if media.video_stream else "v:0"
    return _thumb(encoding, source[index], f"trim=start={seconds(plan.first_edge)},", _clock(media))


def _thumb(encoding: Encoding, stream: Any, trim: str = "", clock: tuple[str, ...] = ()) -> list[str]:
    picture = f"{trim}scale={PICTURE_WIDTH}:{PICTURE_HEIGHT}:flags=area,format=gray"
    arguments = ffmpeg.output(stream, "-", **{"f": "rawvideo", "frames:v": "1", "fps_mode": "passthrough", "filter:v": picture}).get_args()
    return [encoding.program, *GLOBAL, *clock, *arguments]


def seconds(value: float) -> str:
    return f"{round(value, 6) + 0.0:.6f}"  # plus zero, for zero has a sign
