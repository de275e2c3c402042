"""MPEG audio frames, layers II and III, as MP3 files are made of (ISO 11172-3 and 13818-3, 2.4.2.3). Pure."""

HEADER_BYTES = 4

_SYNC = 0xFFE0
_BIT_RATES = 14
_II, _III = 0b10, 0b01
_KBPS = {
    (True, _III): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (True, _II): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (False, _III): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, _II): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
"""Bit rates by whether it is MPEG 1, and by layer."""
_SAMPLE_RATES = (44100, 48000, 32000)
_HALVED = {0b11: 0, 0b10: 1, 0b00: 2}
"""How often the sample rates are halved, by version: MPEG 1, 2 and 2.5."""


def begins_with_frames(head: bytes) -> bool:
    """Whether two frames of one kind follow each other. One is not enough: from a false one ffprobe searches on, a request a byte."""
    size = frame_size(head)
    second = head[size : size + HEADER_BYTES]
    return size > 0 and frame_size(second) > 0 and _kind(second) == _kind(head)


def frame_size(header: bytes) -> int:
    """Bytes of the frame that this header begins; 0 for what is no header, and for a free bit rate."""
    if len(header) < HEADER_BYTES or int.from_bytes(header[:2], "big") & _SYNC != _SYNC:
        return 0
    halved, layer = _HALVED.get(header[1] >> 3 & 3), header[1] >> 1 & 3
    bit_rate, sample_rate = header[2] >> 4, header[2] >> 2 & 3
    if halved is None or layer not in {_II, _III} or not 1 <= bit_rate <= _BIT_RATES or sample_rate == len(_SAMPLE_RATES):
        return 0
    bits_per_second = _KBPS[halved == 0, layer][bit_rate - 1] * 1000
    samples = 576 if halved and layer == _III else 1152
    return samples // 8 * bits_per_second // (_SAMPLE_RATES[sample_rate] >> halved) + (header[2] >> 1 & 1)


def _kind(header: bytes) -> tuple[int, int]:
    """Version, layer and sample rate."""
    return header[1] & 0xFE, header[2] & 0x0C
