"""A clip's poster: a JPEG of one of its pictures, as a player shows it. Made in the inspection's child, of frames decoded there."""

from collections.abc import Iterable, Sequence
from fractions import Fraction

import av
import av.filter
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.plane import VideoPlane
from av.video.reformatter import ColorRange, Colorspace

LONGEST_SIDE = 640
DARK = 20
"""Mean of luma, of 255: below it a picture is black to the eye."""
EVERY_PIXEL = 61
"""Of so many one is looked at for that."""
QUALITY = 3
"""JPEG's quantiser in libav, 1 to 31."""
AWAY = 60
"""Frames: so far into the clip a last look goes when all its chosen pictures are black."""
HD = 720
HDR = (16, 18)
"""PQ and HLG, as in tone_map, which is imported for such pictures only."""
KNOWN_AS = {6: 5, 10: 9}
"""Matrices of ITU-T H.273 by the one of the same figures, or nearly, that libswscale has: SMPTE 170M, and BT.2020 of constant luminance."""
TURNS = {90: (("transpose", "clock"),), 180: (("hflip", None), ("vflip", None)), 270: (("transpose", "cclock"),)}


def moments(shown: Sequence[int], keys: Sequence[int]) -> list[int]:
    """When the pictures to choose among are shown, best first: keyframes a third in, two thirds in, at the start; then any later one."""
    begin, end = min(shown), max(shown)
    ideal = (begin + (end - begin) // 3, begin + (end - begin) * 2 // 3, begin)
    chosen = [min(keys, key=lambda key, at=at: abs(key - at)) for at in ideal] if keys else []  # type: ignore[misc]  # mypy infers no lambda with a default
    return list(dict.fromkeys([*chosen, sorted(shown)[min(AWAY, len(shown) - 1)]]))


def poster(frames: Iterable[VideoFrame], stretch: float) -> bytes | None:
    """The first that is not black, or the least black of them all. Raises av.FFmpegError, ValueError."""
    best, brightest = None, -1.0
    for frame in frames:
        small = _small(frame, stretch)
        level = _brightness(small.planes[0])
        if level > brightest:
            best, brightest = small, level
        if level >= DARK:
            break
    return _jpeg(best) if best else None


def size_of(width: int, height: int, stretch: float) -> tuple[int, int]:
    """In square pixels, even, the longer side LONGEST_SIDE at the most."""
    wide = width * stretch
    scale = min(1.0, LONGEST_SIDE / max(wide, height))
    return max(2, round(wide * scale / 2) * 2), max(2, round(height * scale / 2) * 2)


def _small(frame: VideoFrame, stretch: float) -> VideoFrame:
    """Turned as a player turns it; JPEG has the colours of BT.601, of full range."""
    width, height = size_of(frame.width, frame.height, stretch)
    turn = round(-frame.rotation / 90) * 90 % 360
    if int(frame.color_trc) in HDR:
        frame = _without_hdr(frame, width, height)
    of = _matrix(frame)
    small = frame.reformat(width, height, "yuvj420p", of, Colorspace.ITU601, "AREA", dst_color_range=ColorRange.JPEG, threads=1)
    return _turned(small, turn)


def _matrix(frame: VideoFrame) -> Colorspace:
    """As it says; by its size where that is nothing, or one that libswscale doesn't know."""
    told = KNOWN_AS.get(int(frame.colorspace), int(frame.colorspace))
    usual = Colorspace.ITU709 if min(frame.width, frame.height) >= HD else Colorspace.ITU601
    return next((known for known in Colorspace if int(known) == told), usual)


def _without_hdr(frame: VideoFrame, width: int, height: int) -> VideoFrame:
    import numpy as np  # noqa: PLC0415  a tenth of a second that only HDR is worth

    from services.clipper.tone_map import sdr  # noqa: PLC0415  it imports numpy

    signal = frame.reformat(width, height, "rgb48le", Colorspace.BT2020, interpolation="AREA", threads=1).to_ndarray()
    mapped = sdr(signal.astype(np.float64) / 65535, int(frame.color_trc))
    return VideoFrame.from_ndarray(np.rint(mapped * 255).astype(np.uint8), format="rgb24")


def _turned(frame: VideoFrame, degrees: int) -> VideoFrame:
    """Clockwise."""
    if degrees not in TURNS:
        return frame
    graph = av.filter.Graph()
    source = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=Fraction(1, 25))
    turns = [graph.add(name, argument) for name, argument in TURNS[degrees]]
    graph.link_nodes(source, *turns, graph.add("buffersink")).configure()
    frame.pts = 0
    graph.push(frame)
    return graph.vpull()


def _brightness(luma: VideoPlane) -> float:
    some = bytes(luma)[::EVERY_PIXEL]
    return sum(some) / max(len(some), 1)


def _jpeg(frame: VideoFrame) -> bytes:
    encoder = av.CodecContext.create("mjpeg", "w")
    assert isinstance(encoder, VideoCodecContext)  # noqa: S101  for the type checker
    encoder.width, encoder.height, encoder.pix_fmt, encoder.time_base = frame.width, frame.height, "yuvj420p", Fraction(1, 25)
    encoder.color_range, encoder.thread_count = ColorRange.JPEG, 1
    encoder.qmin = encoder.qmax = QUALITY
    frame.pts = 0
    return b"".join(bytes(packet) for packet in [*encoder.encode(frame), *encoder.encode(None)])
