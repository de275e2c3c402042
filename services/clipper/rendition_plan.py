"""What a clip's other forms are: their sizes, the ffmpeg commands that make them of ORIGINAL, and what must be found in them. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import ffmpeg

from libs.common.domain.values import AudioFormat, Preset, VerticalFit
from services.clipper.ffmpeg_plan import CLEAN, GLOBAL, MP4, PROGRESS, Encoding, opened, seconds
from services.clipper.inspected import UNSPECIFIED, Form
from services.clipper.output_checks import Expected, Sight
from services.clipper.rendition_sizes import Size, blurred_size, filling, gif_size, inside, shorter_side, vertical_canvas

ORIGINAL = "original.mp4"
VIDEO = "video/mp4"
PALETTE = "palette.png"
CUBE = "sdr.cube"
TIMESCALE = 90_000
GIF_RATE = "25/2"
"""Frames a second, of eight hundredths each: GIF counts in hundredths."""
LONGEST_GIF = 120.0
"""Seconds. A longer one is larger than any film of it."""
SHORTER_SIDES = {"720p": 720, "1080p": 1080}
HD = 720
STEREO = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Original:
    """The clip. `size` in square pixels, turned as it is shown; `transfer` and `matrix` as in ITU-T H.273.

    `sights`: a few of its frames, upright. `sound_end`: when its sound is over; `sound`: its codec.
    """

    size: Size
    is_hdr: bool
    matrix: int
    duration: float
    frames: tuple[float, ...]
    sights: tuple[Sight, ...]
    sound: str | None
    sound_end: float
    channels: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The commands run one after the other; the last of them writes `name`."""

    name: str
    media_type: str
    commands: tuple[list[str], ...]
    form: Form
    expected: Expected


def misfit(preset: Preset, original: Original) -> str | None:
    """Why the preset can't be made of this clip, in words for the client; None if it can."""
    if preset == "audio":
        return None if original.sound else "the clip has no sound"
    if not original.frames:
        return "the clip has no picture"
    if preset == "gif" and original.duration > LONGEST_GIF:
        return f"the clip is longer than {LONGEST_GIF:.0f} s, too long for a GIF"
    return None


def rendition_plan(preset: Preset, fit: VerticalFit, audio: AudioFormat, original: Original, encoding: Encoding) -> Plan:
    """For a preset that is no misfit."""
    match preset:
        case "audio":
            return _m4a(original, encoding) if audio == "m4a" else _mp3(original, encoding)
        case "gif":
            return _gif(original, encoding)
        case "vertical":
            canvas = vertical_canvas(original.size, fit)
            return _video("clip.vertical.mp4", canvas, _vertical(original, canvas, fit), original, encoding, sights=_unseen(original))
        case _:
            size = shorter_side(original.size, SHORTER_SIDES[preset])
            sights = _unseen(original) if original.is_hdr else original.sights
            return _video(f"clip.{preset}.mp4", size, _scaled(original, size), original, encoding, sights=sights)


def _unseen(original: Original) -> tuple[Sight, ...]:
    """The frames are there and decode; they look otherwise."""
    return tuple(Sight(sight.at, None) for sight in original.sights)


def _scaled(original: Original, size: Size) -> list[str]:
    """Square pixels of yuv420p; HDR by the table, which says what it looks like in BT.709."""
    scale = f"scale={size[0]}:{size[1]}:flags=bicubic"
    if original.is_hdr:
        told = "setparams=range=tv:color_primaries=bt709:color_trc=bt709:colorspace=bt709"
        toned = [f"{scale}:in_color_matrix=bt2020", "format=gbrp12", f"lut3d=file={CUBE}", "scale=out_color_matrix=bt709:out_range=tv"]
        return [*toned, "format=yuv420p", told, "setsar=1"]
    return [*_said(original), f"{scale}:out_range=tv", "format=yuv420p", "setsar=1"]


def _said(original: Original) -> list[str]:
    """What says nothing of its colours is taken by its size, and small pictures are taken for BT.601: so HD says what it is."""
    is_silent_hd = original.matrix == UNSPECIFIED and min(original.size) >= HD
    return ["setparams=color_primaries=bt709:color_trc=bt709:colorspace=bt709"] if is_silent_hd else []


def _vertical(original: Original, canvas: Size, fit: VerticalFit) -> list[str]:
    width, height = canvas
    if fit == "crop":
        return [*_scaled(original, filling(original.size, canvas)), f"crop={width}:{height}"]
    fitted = inside(original.size, canvas)
    place = f"{(width - fitted[0]) // 4 * 2}:{(height - fitted[1]) // 4 * 2}"
    if fit == "pad":
        return [*_scaled(original, fitted), f"pad={width}:{height}:{place}:black"]
    small = blurred_size(canvas)
    cover = filling(fitted, small)
    behind = f"scale={cover[0]}:{cover[1]},crop={small[0]}:{small[1]},gblur=sigma=4,scale={width}:{height}:flags=bicubic,setsar=1"
    whole = ",".join(_scaled(original, fitted))
    return [f"{whole},split[front][back];[back]{behind}[blurred];[blurred][front]overlay={place}", "format=yuv420p"]


def _video(name: str, size: Size, filters: Sequence[str], original: Original, encoding: Encoding, *, sights: tuple[Sight, ...]) -> Plan:
    """Every frame at its own time."""
    options: dict[str, Any] = {
        **CLEAN,
        **MP4,
        "filter:v": ",".join(filters),
        "fps_mode": "passthrough",
        "enc_time_base:v": f"1:{TIMESCALE}",
        "video_track_timescale": str(TIMESCALE),
        "c:v": "libx264",
        "preset": "veryfast",
        "crf": str(encoding.crf),
        "threads": str(encoding.threads),
        **(_aac(original) if original.sound else {}),
    }
    expected = Expected(
        duration=original.duration, frames=original.frames, has_video=True, has_audio=original.sound is not None, sights=sights, size=size
    )
    command = _command(encoding, ["v:0", *(["a:0"] if original.sound else [])], name, options)
    return Plan(name=name, media_type=VIDEO, commands=(command,), form="mov", expected=expected)


def _aac(original: Original) -> dict[str, Any]:
    if original.sound == "aac":
        return {"c:a": "copy"}
    return {"c:a": "aac", "b:a": "192k" if original.channels <= STEREO else "384k"}


def _m4a(original: Original, encoding: Encoding) -> Plan:
    command = _command(encoding, ["a:0"], "clip.m4a", {**CLEAN, **MP4, "f": "ipod", **_aac(original)})
    return Plan(name="clip.m4a", media_type="audio/mp4", commands=(command,), form="mov", expected=_heard(original, is_mp4=True))


def _mp3(original: Original, encoding: Encoding) -> Plan:
    """MP3 has no times: a late beginning and gaps become silence, and what an edit list hides at the end is cut off."""
    options = {
        **CLEAN,
        "f": "mp3",
        "filter:a": f"aresample=async=1:min_hard_comp=0.01:first_pts=0,atrim=end={seconds(original.sound_end)}",
        "c:a": "libmp3lame",
        "b:a": "192k",
        "ac": str(min(original.channels, STEREO) or STEREO),
    }
    command = _command(encoding, ["a:0"], "clip.mp3", options)
    expected = _heard(original, is_mp4=False)
    return Plan(name="clip.mp3", media_type="audio/mpeg", commands=(command,), form="mp3", expected=expected)


def _heard(original: Original, *, is_mp4: bool) -> Expected:
    return Expected(duration=original.sound_end, frames=None, has_video=False, has_audio=True, is_mp4=is_mp4)


def _gif(original: Original, encoding: Encoding) -> Plan:
    """In two runs: in one ffmpeg would hold all frames until it knows the colours of the last."""
    size = gif_size(original.size)
    frames = [*_gif_frames(original), *_scaled(original, size)]
    palette = _command(
        encoding, ["v:0"], PALETTE, {"filter:v": f"{','.join(frames)},palettegen", "frames:v": "1", "update": "1", "f": "image2"}
    )
    drawn = _filtered(opened(ORIGINAL, "mov", encoding)["v:0"], frames)
    colours = ffmpeg.input(PALETTE, f="png_pipe", protocol_whitelist="file")  # type: ignore[no-untyped-call]  # the library has no types
    indexed = ffmpeg.filter([drawn, colours], "paletteuse", dither="bayer", bayer_scale=4)
    arguments = ffmpeg.output(indexed, "clip.gif", f="gif", loop="0").get_args()
    expected = Expected(duration=original.duration, frames=None, has_video=True, has_audio=False, size=size, is_mp4=False)
    command = [encoding.program, *GLOBAL, *PROGRESS, *arguments]
    return Plan(name="clip.gif", media_type="image/gif", commands=(palette, command), form="gif", expected=expected)


def _gif_frames(original: Original) -> list[str]:
    """At one rate, the last one again until the clip is over: ffmpeg takes it for as long as one of that rate."""
    return [f"fps={GIF_RATE}", "tpad=stop=-1:stop_mode=clone", f"trim=end={seconds(original.duration)}"]


def _filtered(stream: Any, filters: Sequence[str]) -> Any:
    """The same filters that `filter:v` takes, in a graph with more than one input."""
    for name, _, arguments in (one.partition("=") for one in filters):
        positional = [part for part in arguments.split(":") if part and "=" not in part]
        named = dict(part.split("=", 1) for part in arguments.split(":") if "=" in part)
        stream = stream.filter(name, *positional, **named)
    return stream


def _command(encoding: Encoding, selectors: Sequence[str], name: str, options: dict[str, Any]) -> list[str]:
    source = opened(ORIGINAL, "mov", encoding)
    return [encoding.program, *GLOBAL, *PROGRESS, *ffmpeg.output(*(source[s] for s in selectors), name, **options).get_args()]
