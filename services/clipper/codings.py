"""H.264 and H.265 tracks for the splicer: where copying may begin, which encoder goes with them, how a player takes both. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from services.clipper.bitstream import h264, hevc
from services.clipper.bitstream.h264_configuration import AvcConfiguration, free_parameter_ids, merged
from services.clipper.bitstream.h264_parameters import sequence_parameters
from services.clipper.bitstream.hevc_configuration import HevcConfiguration
from services.clipper.bitstream.hevc_metadata import static_metadata
from services.clipper.bitstream.nal import BrokenBitstream, nal_units
from services.clipper.bitstream.picture_format import Colour, PictureFormat
from services.clipper.bitstream.random_access import RandomAccess, random_access
from services.clipper.mp4.sample_entry import configuration, fourcc, with_configuration
from services.clipper.self_describing import PLAYED, SelfDescribing, self_describing

AVC, HEVC = b"avcC", b"hvcC"
PLAYED_AVC = frozenset({"yuv420p", "yuvj420p", "yuv422p", "yuv444p", "yuv420p10le", "yuv422p10le"})
PLAYED_HEVC = frozenset({"yuv420p", "yuvj420p", "yuv420p10le"})
"""What MP4 players play, by ffmpeg's names of pixel formats: of H.264 what both Chromium and Firefox do."""


class Coding(Protocol):
    """How one track is coded. Every method may raise BrokenBitstream."""

    @property
    def pixel_format(self) -> str | None: ...

    @property
    def is_interlaced(self) -> bool: ...

    def access(self, sample: bytes) -> RandomAccess:
        """Whether decoding may begin at this keyframe."""
        ...

    def is_reference(self, sample: bytes) -> bool:
        """Whether other pictures may need this one."""
        ...

    def encoder(self, part: int) -> dict[str, Any]:
        """ffmpeg's options to encode part 0, 1 … of a clip so that it goes with the track."""
        ...

    def entries(self, source: bytes, encoded: Sequence[bytes], *, with_source: bool) -> tuple[bytes, ...]:
        """The sample entries of a clip, from the track's own and those of the encoded parts; `with_source`: some samples are copied."""
        ...

    def description(self, part: int | None) -> int:
        """Which of them, from 1, belongs to the samples of part 0, 1 …, or, None, to those that are copied from beside a part."""
        ...

    def keyframe(self, sample: bytes, *, encoded: bytes | None, is_first: bool) -> bytes | None:
        """What a keyframe becomes in a clip that has encoded parts, or None for as it is.

        `encoded`: the sample entry of the part that it is in, None when it is copied. `is_first`: copying begins with it.
        """
        ...


@dataclass(frozen=True, slots=True)
class Avc:
    """H.264. Each encoded part has parameter sets of its own id, and one avcC holds them all."""

    configuration: AvcConfiguration
    pixel_format: str | None
    is_interlaced: bool

    def access(self, sample: bytes) -> RandomAccess:
        return random_access(sample, "h264", self.configuration.length_size)

    def is_reference(self, sample: bytes) -> bool:
        return h264.is_reference(sample, self.configuration.length_size)

    def encoder(self, part: int) -> dict[str, Any]:
        free = free_parameter_ids(self.configuration)
        if part >= len(free):
            raise BrokenBitstream("no parameter set id is free")
        return {"c:v": "libx264", "preset": "veryfast", "x264-params": f"sps-id={free[part]}:open-gop=0"}

    def entries(self, source: bytes, encoded: Sequence[bytes], *, with_source: bool) -> tuple[bytes, ...]:
        records = [AvcConfiguration.from_bytes(_content(entry, AVC)) for entry in encoded]
        whole, *rest = [self.configuration, *records] if with_source else records
        for record in rest:
            whole = merged(whole, record)
        return (with_configuration(source, AVC, whole.to_bytes()),) if records else (source,)

    def description(self, part: int | None) -> int:  # noqa: ARG002  one entry for all
        return 1

    def keyframe(self, sample: bytes, *, encoded: bytes | None, is_first: bool) -> bytes | None:  # noqa: ARG002  nothing is to be changed
        return None


@dataclass(frozen=True, slots=True)
class Hevc:
    """H.265. x265 can't choose its ids: so each part has a sample entry, and its keyframes carry the parameter sets too."""

    configuration: HevcConfiguration
    pixel_format: str | None
    sub_layers: int
    metadata: Mapping[int, bytes] = field(default_factory=dict)
    """`static_metadata` of the source: every keyframe is to have it, for it holds up to the next one (ITU-T H.265 D.3.28)."""
    is_interlaced: bool = False

    def access(self, sample: bytes) -> RandomAccess:
        return random_access(sample, "hevc", self.configuration.length_size)

    def is_reference(self, sample: bytes) -> bool:
        return hevc.is_reference(sample, self.configuration.length_size, self.sub_layers)

    def encoder(self, part: int) -> dict[str, Any]:  # noqa: ARG002  parts don't differ
        return {"c:v": "libx265", "preset": "veryfast", "x265-params": "log-level=error:open-gop=0:repeat-headers=0", "tag:v": "hvc1"}

    def entries(self, source: bytes, encoded: Sequence[bytes], *, with_source: bool) -> tuple[bytes, ...]:
        contents = [_content(entry, HEVC) for entry in encoded]
        for content in contents:
            picture = HevcConfiguration.from_bytes(content).pictured()
            if _uncoloured(picture) != _uncoloured(self.configuration.pictured()):
                raise BrokenBitstream(f"{self.configuration.pictured()} is not {picture}")
        own = tuple(with_configuration(source, HEVC, content) for content in contents)
        return (source, *own) if with_source else own

    def description(self, part: int | None) -> int:
        return 1 if part is None else 2 + part

    def keyframe(self, sample: bytes, *, encoded: bytes | None, is_first: bool) -> bytes | None:
        """A CRA where copying begins says itself that what precedes it is of another stream."""
        record = self.configuration if encoded is None else HevcConfiguration.from_bytes(_content(encoded, HEVC))
        linked = hevc.as_broken_link(sample, record.length_size) if is_first and encoded is None else sample
        return hevc.with_parameters(self._with_metadata(linked, record.length_size), record)

    def _with_metadata(self, sample: bytes, length_size: int) -> bytes:
        known = static_metadata(nal_units(sample, length_size))
        return hevc.with_units(sample, [unit for kind, unit in self.metadata.items() if kind not in known], length_size)


def coding_of(entry: bytes | None, keyframe: bytes = b"") -> Coding | None:
    """How a track with this sample entry, and this keyframe among its samples, is coded; None for what we don't splice.

    Raises BrokenBitstream.
    """
    if entry is None:
        return None
    match fourcc(entry):
        case b"avc1" | b"avc3":
            record = AvcConfiguration.from_bytes(_content(entry, AVC))
            interlaced = any(not sequence_parameters(unit).frames_only for unit in record.sequences)
            return Avc(record, record.pictured().pixel_format, interlaced)
        case b"hvc1" | b"hev1":
            other = HevcConfiguration.from_bytes(_content(entry, HEVC))
            sequence = other.sequence()
            return Hevc(other, sequence.picture.pixel_format, sequence.sub_layers, _metadata(other, keyframe))
        case b"vp09" | b"av01":
            return self_describing(entry)
        case _:
            return None


def _metadata(configuration: HevcConfiguration, keyframe: bytes) -> dict[int, bytes]:
    declared = (unit for array in configuration.arrays for unit in array.units if unit)
    return static_metadata((*declared, *nal_units(keyframe, configuration.length_size)))


def _uncoloured(picture: PictureFormat) -> PictureFormat:
    """Colours may be told by one and left out by the other, but the range may not differ."""
    return replace(picture, colour=Colour(picture.colour.is_full_range))


def is_played(coding: Coding) -> bool:
    """Whether MP4 players play it as it is."""
    if isinstance(coding, SelfDescribing):
        return coding.pixel_format in PLAYED
    return coding.pixel_format in (PLAYED_AVC if isinstance(coding, Avc) else PLAYED_HEVC)


def carries_other_parameters(coding: Coding, sample: bytes) -> bool:
    """Whether a keyframe brings parameter sets that the sample entry lacks: a stream that changes on its way."""
    if isinstance(coding, Avc):
        return h264.carries_parameters(sample, coding.configuration)
    return isinstance(coding, Hevc) and hevc.carries_parameters(sample, coding.configuration)


def _content(entry: bytes, kind: bytes) -> bytes:
    found = configuration(entry, kind)
    if found is None:
        raise BrokenBitstream(f"a sample entry without {kind.decode()}")
    return found
