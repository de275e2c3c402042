"""The bytes of pieces in a row, as one stream that a demuxer reads: what initialises the decoder, then each piece, decrypted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from services.resolver.fetch.decryption import decrypted
from services.resolver.fetch.outside import Chunks, Outside
from services.resolver.fetch.pieces import Key, Part, Piece
from services.resolver.sources import container_of

MAX_INITIAL_BYTES = 4 << 20
MAX_KEY_BYTES = 64


@dataclass(slots=True)
class PieceChain:
    """Reads a track's pieces. What initialises decoders, and keys, are read once."""

    outside: Outside
    headers: Mapping[str, str] = field(repr=False)
    _small: dict[Part, bytes] = field(default_factory=dict, repr=False)

    def chunks(self, run: Sequence[Piece]) -> Chunks:
        """The bytes of pieces of one group. Raises Failure."""
        if run[0].initial:
            yield self._initial(run[0].initial, run[0].key)
        for piece in run:
            yield from self._decrypted(self.outside.chunks(piece.part, self.headers), piece.key)

    def _initial(self, part: Part, key: Key | None) -> bytes:
        """It may be encrypted like the pieces or not: its first bytes tell."""
        found = self._read(part, MAX_INITIAL_BYTES)
        return found if container_of(found) else b"".join(self._decrypted((part for part in [found]), key))

    def _decrypted(self, chunks: Chunks, key: Key | None) -> Chunks:
        return decrypted(chunks, self._read(Part(key.url), MAX_KEY_BYTES), key.iv) if key else chunks

    def _read(self, part: Part, most: int) -> bytes:
        if part not in self._small:
            self._small[part] = self.outside.small(part, self.headers, most)[1]
        return self._small[part]
