"""Sample entries (ISO/IEC 14496-12 8.5.2): the boxes in them that configure a decoder, and what sound they hold. Pure."""

import struct
from dataclasses import dataclass

from services.clipper.mp4.boxes import Box, NotUnderstood, box, outermost
from services.clipper.mp4.descriptors import audio_configuration, decoder_description

VISUAL_FIELDS = 78
AUDIO_FIELDS = {0: 28, 1: 44, 2: 64}
"""Bytes before the boxes, by version of the entry: 1 and 2 are QuickTime's."""
VERSION_AT = 8
CHANNELS_AT = 16
QUICKTIME_LONG = 2
LONG_RATE_AT = 32
HIGHEST_RATE = 1_000_000
LARGEST_RATE = 0xFFFF
BITS = 16
FULL_BOX_FIELDS = 4
CODECS = {
    b"mp4a": "aac",
    b".mp3": "mp3",
    b"ac-3": "ac3",
    b"ec-3": "eac3",
    b"Opus": "opus",
    b"fLaC": "flac",
    b"alac": "alac",
    **dict.fromkeys((b"sowt", b"twos", b"lpcm", b"ipcm", b"fpcm", b"in24", b"in32", b"fl32", b"fl64", b"raw ", b"NONE"), "pcm"),
}
OBJECT_TYPES = {0x40: "aac", 0x66: "aac", 0x67: "aac", 0x68: "aac", 0x69: "mp3", 0x6B: "mp3", 0xA5: "ac3", 0xA6: "eac3", 0xAD: "opus"}
"""objectTypeIndication (ISO/IEC 14496-1 7.2.6.6.2, as registered)."""

AUDIO = frozenset({*CODECS, b"enca"})


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioEntry:
    """`codec` as ffmpeg names it, "pcm" for all of those.

    `object_type`: of AAC, the audio object type (ISO/IEC 14496-3 1.5.1): 2 is LC, 5 and 29 are HE-AAC signalled as such; else None.
    `sample_rate` in Hz: of AAC as decoded, without an extension that is not signalled so.
    `channels`: of AAC as decoded; else as the entry has it, where some writers put 2 for one channel as well.
    """

    codec: str
    object_type: int | None
    sample_rate: int
    channels: int


def fourcc(entry: bytes) -> bytes:
    return outermost(entry).kind


def configuration(entry: bytes, kind: bytes) -> bytes | None:
    """The content of the entry's avcC, hvcC, vpcC, av1C or esds box; None where there is none. Raises NotUnderstood for a broken entry."""
    found = _configuration(outermost(entry), kind)
    return found.content if found else None


def with_configuration(entry: bytes, kind: bytes, new: bytes) -> bytes:
    """The entry with another content in that box. Raises NotUnderstood where it has none."""
    root = outermost(entry)
    found = root.child(kind, _fields(root))
    if found is None:
        raise NotUnderstood(f"no {kind!r} box")
    return box(root.kind, entry[root.body : found.start], box(kind, new), entry[found.end : root.end])


def _configuration(root: Box, kind: bytes) -> Box | None:
    """QuickTime keeps esds in a box of its own, called wave."""
    found = root.child(kind, _fields(root))
    wave = None if found else root.child(b"wave", _fields(root))
    return wave.child(kind) if wave else found


def _fields(root: Box) -> int:
    """Bytes of the entry's content before its boxes."""
    if root.kind not in AUDIO:
        return VISUAL_FIELDS
    (version,) = root.unpack("H", VERSION_AT)
    if version not in AUDIO_FIELDS:
        raise NotUnderstood(f"a sound description of version {version}")
    return AUDIO_FIELDS[version]


def audio_of(entry: bytes) -> AudioEntry | None:
    """What sound the entry describes; None where it can't be told. Raises NotUnderstood for a broken entry."""
    root = outermost(entry)
    if root.kind == b"mp4a":
        return _described(root)
    if root.kind not in CODECS:
        return None
    channels, sample_rate = _fields_of(root)
    return AudioEntry(codec=CODECS[root.kind], object_type=None, sample_rate=sample_rate, channels=channels)


def _fields_of(root: Box) -> tuple[int, int]:
    """Channels, and the sample rate in Hz (ISO/IEC 14496-12 12.2.3; QuickTime File Format, sound sample descriptions)."""
    if root.unpack("H", VERSION_AT)[0] == QUICKTIME_LONG:
        rate, channels = root.unpack("dI", LONG_RATE_AT)
        return channels, int(rate) if 0 < rate <= HIGHEST_RATE else 0
    channels, _, _, _, rate = root.unpack("HHHHI", CHANNELS_AT)
    return channels, rate >> 16


def plain_audio(entry: bytes) -> bytes:
    """An mp4a entry as MP4 has it, where QuickTime's has a longer head and its esds in a wave box (ISO/IEC 14496-14 5.6.1)."""
    root, esds, sound = outermost(entry), configuration(entry, b"esds"), audio_of(entry)
    if root.kind != b"mp4a" or sound is None or esds is None:
        raise NotUnderstood("no MPEG-4 sound description")
    rate = sound.sample_rate << 16 if sound.sample_rate <= LARGEST_RATE else 0
    fields = struct.pack(">HHIHHHHI", 0, 0, 0, sound.channels, BITS, 0, 0, rate)
    return box(root.kind, entry[root.body : root.body + VERSION_AT], fields, box(b"esds", esds))


def _described(root: Box) -> AudioEntry | None:
    """An mp4a entry by its descriptors: the fields before them may be wrong, of AAC above all."""
    esds = _configuration(root, b"esds")
    if esds is None:
        return None
    described = decoder_description(esds.content[FULL_BOX_FIELDS:])
    codec = OBJECT_TYPES.get(described.object_type)
    if codec == "aac":
        aac = audio_configuration(described.specific)
        channels = aac.channels or _fields_of(root)[0]
        return AudioEntry(codec=codec, object_type=aac.object_type, sample_rate=aac.sample_rate, channels=channels)
    channels, sample_rate = _fields_of(root)
    return AudioEntry(codec=codec, object_type=None, sample_rate=sample_rate, channels=channels) if codec else None
