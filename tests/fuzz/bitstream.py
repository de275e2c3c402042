"""The clipper's reading of coded pictures: parameter sets, and what a sample is."""

import subprocess
from collections.abc import Iterable, Iterator
from functools import partial

from services.clipper.bitstream import av1, h264, hevc, vp9
from services.clipper.bitstream.h264_configuration import AvcConfiguration, free_parameter_ids, merged
from services.clipper.bitstream.hevc_configuration import HevcConfiguration
from services.clipper.bitstream.hevc_metadata import static_metadata
from services.clipper.bitstream.nal import BrokenBitstream
from services.clipper.bitstream.random_access import random_access
from tests.fuzz.target import Target


def avc(record: bytes) -> None:
    found = AvcConfiguration.from_bytes(record)
    found.to_bytes()
    found.pictured()
    free_parameter_ids(found)
    merged(found, found)


def hvc(record: bytes) -> None:
    found = HevcConfiguration.from_bytes(record)
    found.to_bytes()
    static_metadata(found.parameters)
    found.pictured()


def avc_sample(sample: bytes) -> None:
    h264.is_idr(sample, 4)
    h264.is_reference(sample, 2)
    random_access(sample, "h264", 4)


def hevc_sample(sample: bytes) -> None:
    hevc.picture_kind(sample, 4)
    hevc.is_reference(sample, 4, 1)
    random_access(sample, "hevc", 4)
    hevc.as_broken_link(sample, 4)


def av1_sample(sample: bytes) -> None:
    av1.is_random_access(sample)
    list(av1.units(sample))


def vp9_sample(sample: bytes) -> None:
    vp9.is_keyframe(sample)
    vp9.frame_header(sample)


def records(kind: bytes, codec: str) -> Iterator[bytes]:
    """Of a short film in this coding."""
    film = "ffmpeg -v error -f lavfi -i testsrc2=size=128x72:duration=0.2 -x265-params log-level=none -f mp4 -movflags empty_moov"
    data = subprocess.run([*film.split(), "-c:v", codec, "-"], check=True, capture_output=True).stdout
    at = data.index(kind)
    yield data[at + 4 : at - 4 + int.from_bytes(data[at - 4 : at])]


def sampled(*samples: str) -> Iterable[bytes]:
    return [bytes.fromhex(sample) for sample in samples]


TARGETS = (
    Target(name="h264_configuration", run=avc, allowed=(BrokenBitstream,), seeds=partial(records, b"avcC", "libx264")),
    Target(name="hevc_configuration", run=hvc, allowed=(BrokenBitstream,), seeds=partial(records, b"hvcC", "libx265")),
    Target(
        name="h264_sample",
        run=avc_sample,
        allowed=(BrokenBitstream,),
        seeds=lambda: sampled("0000000265880000000341aabb", "00000002060000000001"),
    ),
    Target(name="hevc_sample", run=hevc_sample, allowed=(BrokenBitstream,), seeds=lambda: sampled("0000000426018000000000042a01ac00")),
    Target(
        name="av1_sample", run=av1_sample, allowed=(BrokenBitstream,), seeds=lambda: sampled("12000a0b0000002c7ff3fffffc0800320410000000")
    ),
    Target(name="vp9_sample", run=vp9_sample, allowed=(BrokenBitstream,), seeds=lambda: sampled("824983420013f00bf6003824", "8600409200")),
)
