"""What an esds box says of its sound: MPEG-4 descriptors (ISO/IEC 14496-1 7.2.6) and AAC's configuration (14496-3 1.6). Pure."""

from dataclasses import dataclass

from services.clipper.mp4.boxes import NotUnderstood

STREAM = 3
DECODER = 4
DECODER_SPECIFIC = 5
HAS_DEPENDENCE, HAS_URL, HAS_CLOCK = 0x80, 0x40, 0x20
DECODER_FIELDS = 13
MOST_LENGTH_BYTES = 4
RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350)
RATE_FOLLOWS = 15
TYPE_FOLLOWS = 31
EXTENSIONS = (5, 29)
CHANNELS = (0, 1, 2, 3, 4, 5, 6, 8)
"""By channelConfiguration (14496-3, table 1.19)."""


@dataclass(frozen=True, slots=True)
class DecoderDescription:
    """`object_type` is objectTypeIndication; `specific` is what the decoder is set up with, empty if nothing."""

    object_type: int
    specific: bytes


@dataclass(frozen=True, slots=True)
class AudioConfiguration:
    """AudioSpecificConfig. `channels` is 0 where they are described elsewhere."""

    object_type: int
    sample_rate: int
    channels: int


def decoder_description(descriptors: bytes) -> DecoderDescription:
    """Of an esds box's content after its version and flags. Raises NotUnderstood where it is none or cut short."""
    stream = _content(descriptors, STREAM)
    decoder = _content(stream[_stream_fields(stream) :], DECODER)
    if len(decoder) < DECODER_FIELDS:
        raise NotUnderstood("a decoder's description that is cut short")
    rest = decoder[DECODER_FIELDS:]
    return DecoderDescription(decoder[0], _content(rest, DECODER_SPECIFIC) if rest[:1] == bytes([DECODER_SPECIFIC]) else b"")


def _content(data: bytes, tag: int) -> bytes:
    """Of the descriptor that `data` begins with (14496-1 8.3.3: seven bits of the length a byte)."""
    if data[:1] != bytes([tag]):
        raise NotUnderstood(f"no descriptor {tag}")
    length = 0
    for at, byte in enumerate(data[1 : 1 + MOST_LENGTH_BYTES], 2):
        length = length << 7 | byte & 0x7F
        if not byte & 0x80:
            return data[at : at + length]
    raise NotUnderstood("a descriptor without a length")


def _stream_fields(stream: bytes) -> int:
    """Bytes of an ES_Descriptor before its descriptors (7.2.6.5.1)."""
    flags, fields = int.from_bytes(stream[2:3]), 3
    fields += 2 * bool(flags & HAS_DEPENDENCE)
    fields += 1 + int.from_bytes(stream[fields : fields + 1]) if flags & HAS_URL else 0
    return fields + 2 * bool(flags & HAS_CLOCK)


class _Bits:
    def __init__(self, data: bytes) -> None:
        self._value, self._left = int.from_bytes(data[:16]), 8 * len(data[:16])

    def read(self, count: int) -> int:
        if count > self._left:
            raise NotUnderstood("a configuration that is cut short")
        self._left -= count
        return self._value >> self._left & (1 << count) - 1


def audio_configuration(specific: bytes) -> AudioConfiguration:
    """1.6.2.1. The rate is that of the extension where one is signalled first. Raises NotUnderstood."""
    bits = _Bits(specific)
    object_type = _object_type(bits)
    sample_rate, channels = _rate(bits), bits.read(4)
    if object_type in EXTENSIONS:
        sample_rate = _rate(bits)
    return AudioConfiguration(object_type, sample_rate, CHANNELS[channels] if channels < len(CHANNELS) else 0)


def _object_type(bits: _Bits) -> int:
    value = bits.read(5)
    return 32 + bits.read(6) if value == TYPE_FOLLOWS else value


def _rate(bits: _Bits) -> int:
    index = bits.read(4)
    if index == RATE_FOLLOWS:
        return bits.read(24)
    if index >= len(RATES):
        raise NotUnderstood("a reserved sample rate")
    return RATES[index]
