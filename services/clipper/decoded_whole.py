"""Reads what is no MP4 by decoding all of it: files of ours, MP3 and GIF, whose indexes say little. In the inspection's child."""

from fractions import Fraction
from itertools import pairwise

import av
from av.audio.frame import AudioFrame

from services.clipper.inspected import Form, Inspected

GUARDS = {"protocol_whitelist": "file", "max_streams": "4"}
STRICT = {"err_detect": "crccheck+bitstream+buffer+explode"}


def decoded_whole(path: str, form: Form) -> Inspected:
    """Its picture's frames, or its sound's length, as a decoder gives them. Raises av.FFmpegError."""
    with av.open(path, format=form, options={**GUARDS, "format_whitelist": form}) as file:
        stream = file.streams[0]
        video = next(iter(file.streams.video), None)
        stream.options = dict(STRICT)
        times, heard = [], Fraction(0)
        for frame in file.decode(stream):
            if isinstance(frame, AudioFrame):
                heard += Fraction(frame.samples, frame.sample_rate)
            elif isinstance(frame, av.VideoFrame):
                times.append(float(frame.time or 0.0))
        return Inspected(
            video=tuple(times),
            audio=(0.0, float(heard)) if heard else None,
            duration=float(heard) if heard else (file.duration or 0) / av.time_base,
            has_video=bool(times),
            has_audio=heard > 0,
            codecs=tuple(stream.codec_context.codec.canonical_name for stream in file.streams if stream.codec_context),
            width=video.width if video else 0,
            height=video.height if video else 0,
            first_is_key=True,
            is_monotonic=all(one < other for one, other in pairwise(times)),
        )
