"""Reads big-endian fields from headers: whole bytes of a configuration record, and bits of a parameter set. Pure."""

from services.clipper.bitstream.nal import BrokenBitstream

MAX_EXP_GOLOMB_BITS = 32


class Bytes:
    """Whole bytes, from the first on. Reading past the end raises BrokenBitstream."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    @property
    def left(self) -> int:
        return len(self._data) - self._at

    def take(self, count: int) -> bytes:
        if count > self.left:
            raise BrokenBitstream(f"{count} bytes wanted, {self.left} are left")
        self._at += count
        return self._data[self._at - count : self._at]

    def number(self, size: int = 1) -> int:
        return int.from_bytes(self.take(size))


class Bits:
    """The bits of a raw byte sequence payload. Reading past the end raises BrokenBitstream."""

    def __init__(self, payload: bytes) -> None:
        self._payload, self._at = payload, 0

    @classmethod
    def of_nal_unit(cls, unit: bytes | memoryview, header_size: int) -> "Bits":
        """Without the emulation prevention bytes (ITU-T H.264 7.3.1, H.265 7.3.1.1)."""
        return cls(bytes(unit[header_size:]).replace(b"\0\0\3", b"\0\0"))

    def number(self, count: int) -> int:
        """u(count)."""
        end = self._at + count
        if end > 8 * len(self._payload):
            raise BrokenBitstream(f"{count} bits wanted past the end of a payload of {len(self._payload)} bytes")
        covering = int.from_bytes(self._payload[self._at // 8 : (end + 7) // 8])
        self._at = end
        return covering >> -end % 8 & (1 << count) - 1

    def flag(self) -> bool:
        return self.number(1) == 1

    def exp_golomb(self, most: int = (1 << 32) - 2) -> int:
        """ue(v), at most `most` (ITU-T H.264 9.1)."""
        zeros = 0
        while not self.flag():
            zeros += 1
            if zeros > MAX_EXP_GOLOMB_BITS:
                raise BrokenBitstream("an Exp-Golomb code without an end")
        value = (1 << zeros) - 1 + self.number(zeros)
        if value > most:
            raise BrokenBitstream(f"a value of {value} where at most {most} is possible")
        return value

    def signed_exp_golomb(self) -> int:
        """se(v) (ITU-T H.264 9.1.1)."""
        code = self.exp_golomb()
        return (code + 1) // 2 if code % 2 else -(code // 2)

    def skip_exp_golomb(self, times: int) -> None:
        for _ in range(times):
            self.exp_golomb()
