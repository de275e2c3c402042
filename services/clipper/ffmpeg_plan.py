"""The ffmpeg commands of the clipper, as whole argument lists. Pure; file names are fixed and relative to the attempt's folder.

Every input is read with `-itsoffset`, so that the clip's zero is zero whatever the source's clock says and wherever reading begins.
"""

from dataclasses import dataclass
from typing import Any

import ffmpeg

from libs.common.runtime.media import Media, input_options
from services.clipper.cut_plan import CutPlan

CLIP = "clip.mp4"
BURNED = "clip.subbed.mp4"
SUBTITLES = "subs.ass"
FONTS = "fonts"
THUMB_WIDTH, THUMB_HEIGHT = 64, 36

_GLOBAL = ("-hide_banner", "-nostdin", "-v", "error", "-y")
_PROGRESS = ("-progress", "pipe:1", "-stats_period", "0.5")
_CLEAN: dict[str, Any] = {"map_metadata": "-1", "map_chapters": "-1", "dn": None, "sn": None}
"""Nothing of the source but picture and sound: no titles, chapters, data, fonts."""
_MP4: dict[str, Any] = {"f": "mp4", "movflags": "+faststart+negative_cts_offsets"}
"""Index first; and frames that begin at zero without an edit list, for the players that ignore those."""
_SLACK = 1.0
_LARGEST_SHIFT = 0.016
_STEREO = 2
_SURROUND = 6


@dataclass(frozen=True, slots=True)
class Encoding:
    """How pictures are encoded: the program, x264's constant rate factor, and the threads of each codec."""

    program: str
    crf: int
    threads: int


def cut_command(url: str, media: Media, plan: CutPlan, encoding: Encoding) -> list[str]:
    """Writes CLIP."""
    options = _copied(media, plan) if plan.how == "copy" else _encoded(media, plan, encoding)
    source = _source(url, media, plan, encoding, shift=_shift(plan, media))
    return [encoding.program, *_GLOBAL, *_PROGRESS, *_clock(media), *_to_mp4(source, _maps(media, plan), CLIP, options)]


def _to_mp4(source: Any, selectors: list[str], output: str, options: dict[str, Any]) -> list[str]:
    arguments: list[str] = ffmpeg.output(*(source[selector] for selector in selectors), output, **_CLEAN, **_MP4, **options).get_args()
    return arguments


def _clock(media: Media) -> tuple[str, ...]:
    """ffmpeg is to take the source's times as they are: else it mends what it takes for a jump, and ffmpeg 8 takes a seek for one.

    MP4 has no jumps; and there it must not be, for with it a copy leaves out what lies before the seek, by rounding the keyframe too.
    """
    return () if media.container == "mov" else ("-copyts",)


def _source(url: str, media: Media, plan: CutPlan, encoding: Encoding, *, shift: float) -> Any:
    """The source, whose second `plan.origin` is `shift`, read from the keyframe that the clip needs."""
    seek: dict[str, Any] = {} if plan.seek is None else {"ss": _seconds(plan.seek)}
    zero = 0.0 if _clock(media) else plan.seek or 0.0
    offset = _seconds(zero - plan.origin + shift)
    return _input(url, media.container, encoding, **seek, seek_timestamp="1", noaccurate_seek=None, itsoffset=offset)


def _input(url: str, demuxer: str, encoding: Encoding, **options: Any) -> Any:
    guarded = {**input_options(url, demuxer), "threads": str(encoding.threads), **options}
    return ffmpeg.input(url, **guarded)  # type: ignore[no-untyped-call]  # the library has no types


def _maps(media: Media, plan: CutPlan) -> list[str]:
    picture = [str(media.video_stream.index)] if plan.has_video and media.video_stream else []
    sound = [str(media.audio_index)] if plan.has_audio else []
    return picture + sound


def _shift(plan: CutPlan, media: Media) -> float:
    """A copy drops what is before zero, so its zero lies earlier by half an audio packet: sound begins with the nearest.

    Whole milliseconds, which every container's clock can tell.
    """
    if plan.how != "copy":
        return 0.0
    if not plan.has_video:
        return 0.001
    half_packet = 512 / media.audio.sample_rate if media.audio and media.audio.sample_rate else _LARGEST_SHIFT
    return int(min(half_packet, _LARGEST_SHIFT) * 1000) / 1000


def _copied(media: Media, plan: CutPlan) -> dict[str, Any]:
    """Copying ends by decode time (-t), which frames out of order and audio don't share: the filter cuts the picture by its own times."""
    shift = _shift(plan, media)
    return {
        **(_video_copy(media, plan, shift) if plan.has_video else {}),
        **(_audio_of_copy(media, plan, shift) if plan.has_audio else {}),
        "t": _seconds(_stop(plan) + shift),
        "output_ts_offset": _seconds(-shift),
    }


def _stop(plan: CutPlan) -> float:
    """Audio that is copied ends with the packet nearest to the clip's end, unless the last frame is decoded later still."""
    if not plan.copies_audio:
        return plan.audio_end + _SLACK
    return max(plan.audio_end - _LARGEST_SHIFT, plan.last_decode + 0.001)


def _video_copy(media: Media, plan: CutPlan, shift: float) -> dict[str, Any]:
    """The muxer's clock is the source's, for ffmpeg 5.1 counts in either while it opens the file, and the filter compares counts."""
    begin, end = _seconds(plan.first_edge + shift), _seconds(plan.last_edge + shift)
    tag = {"tag:v": "hvc1"} if media.video and media.video.codec == "hevc" else {}
    return {
        "c:v": "copy",
        "bsf:v": rf"noise=amount=0:drop=lt(pts*tb\,{begin})+gte(pts*tb\,{end})",
        "copypriorss": "0",
        "video_track_timescale": str(media.video_stream.time_base.denominator if media.video_stream else 90_000),
        **tag,
    }


def _audio_of_copy(media: Media, plan: CutPlan, shift: float) -> dict[str, Any]:
    return {"c:a": "copy", "copypriorss": "0"} if plan.copies_audio else _audio_encoded(media, plan, shift)


def _encoded(media: Media, plan: CutPlan, encoding: Encoding) -> dict[str, Any]:
    video = _video_encoded(media, plan, encoding) if plan.has_video else {}
    return {**video, **(_audio_encoded(media, plan, 0.0) if plan.has_audio else {})}


def _video_encoded(media: Media, plan: CutPlan, encoding: Encoding) -> dict[str, Any]:
    """The edges lie between frames, so no rounding takes one too many; a held first frame is moved to zero."""
    trim = f"trim=start={_seconds(plan.first_edge)}:end={_seconds(plan.last_edge)}"
    held = ["setpts=if(eq(N\\,0)\\,0\\,PTS)"] if plan.is_held else []
    even = ["crop=trunc(iw/2)*2:trunc(ih/2)*2:0:0"] if media.video and (media.video.width % 2 or media.video.height % 2) else []
    return {"filter:v": ",".join([trim, *held, *even]), **_x264(media, encoding)}


def _x264(media: Media, encoding: Encoding) -> dict[str, Any]:
    """Frames keep their own times (vfr), counted by the source's clock."""
    base = media.video_stream.time_base if media.video_stream else None
    return {
        "fps_mode": "vfr",
        **({"enc_time_base:v": f"{base.numerator}:{base.denominator}"} if base else {}),
        "c:v": "libx264",
        "preset": "veryfast",
        "crf": str(encoding.crf),
        "pix_fmt": "yuv420p",
        "threads": str(encoding.threads),
    }


def _audio_encoded(media: Media, plan: CutPlan, shift: float) -> dict[str, Any]:
    """Cut to the sample; gaps and a late beginning become silence, so that sound stays in step where players ignore timestamps.

    By itself aresample leaves gaps below 100 ms open.
    """
    rate, channels = (media.audio.sample_rate, media.audio.channels) if media.audio else (0, _STEREO)
    filled = f"aresample=async=1:min_hard_comp=0.01:first_pts={round(shift * rate)}"
    return {
        "filter:a": f"atrim=start={_seconds(shift)}:end={_seconds(plan.audio_end + shift)},{filled}",
        "c:a": "aac",
        "b:a": "192k" if channels <= _STEREO else "384k",
        **({"ac": str(_STEREO)} if channels > _SURROUND else {}),
    }


def burn_command(media: Media, encoding: Encoding, *, has_fonts: bool) -> list[str]:
    """Renders SUBTITLES into CLIP's picture, as BURNED; FONTS is a folder beside them. All names are ours, so nothing needs escaping."""
    source = _input(CLIP, "mov", encoding)
    fonts = f":fontsdir={FONTS}" if has_fonts else ""
    options = {"filter:v": f"ass=filename={SUBTITLES}{fonts}", **_x264(media, encoding), "c:a": "copy"}
    selectors = [str(index) for index in (media.video_stream and media.video_stream.index, media.audio_index) if index is not None]
    return [encoding.program, *_GLOBAL, *_PROGRESS, *_to_mp4(source, selectors, BURNED, options)]


def decode_command(path: str, encoding: Encoding) -> list[str]:
    """Decodes a whole MP4 and keeps nothing; any complaint goes to stderr. vfr, or uneven frame times would be one."""
    source = _input(path, "mov", encoding)
    arguments = ffmpeg.output(source, "-", f="null", map="0", fps_mode="vfr").get_args()
    return [encoding.program, *_GLOBAL, "-xerror", *arguments]


def source_thumb_command(url: str, media: Media, plan: CutPlan, encoding: Encoding) -> list[str]:
    """The source's frame at the clip's zero, tiny and gray, as raw bytes on stdout."""
    source = _source(url, media, plan, encoding, shift=0.0)
    index = str(media.video_stream.index) if media.video_stream else "v:0"
    return _thumb(encoding, source[index], f"trim=start={_seconds(plan.first_edge)},", _clock(media))


def clip_thumb_command(path: str, encoding: Encoding) -> list[str]:
    """The first frame of an MP4, as `source_thumb_command` gives the source's."""
    return _thumb(encoding, _input(path, "mov", encoding)["v:0"])


def _thumb(encoding: Encoding, stream: Any, trim: str = "", clock: tuple[str, ...] = ()) -> list[str]:
    picture = f"{trim}scale={THUMB_WIDTH}:{THUMB_HEIGHT}:flags=area,format=gray"
    arguments = ffmpeg.output(stream, "-", **{"f": "rawvideo", "frames:v": "1", "fps_mode": "passthrough", "filter:v": picture}).get_args()
    return [encoding.program, *_GLOBAL, *clock, *arguments]


def _seconds(value: float) -> str:
    return f"{round(value, 6) + 0.0:.6f}"  # plus zero, for zero has a sign
