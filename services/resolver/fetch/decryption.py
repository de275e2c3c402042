"""AES-128 as HLS uses it (RFC 8216 4.3.2.4): whole pieces in CBC, padded by PKCS7. What Cryptodome raises becomes a Failure here."""

from collections.abc import Generator, Iterable

from Cryptodome.Cipher import AES

from libs.common.domain.failures import Code, Failure

BLOCK = 16


def decrypted(chunks: Iterable[bytes], key: bytes, iv: bytes) -> Generator[bytes, None, None]:
    """The last block is held back until the end, for its padding. Raises Failure for what was not encrypted so."""
    if len(key) != BLOCK or len(iv) != BLOCK:
        raise Failure(Code.SOURCE_UNREADABLE, "the video's key is none")
    cipher, held = AES.new(key, AES.MODE_CBC, iv=iv), b""
    for chunk in chunks:
        held += chunk
        ready = max(len(held) - 1, 0) // BLOCK * BLOCK
        yield cipher.decrypt(held[:ready])
        held = held[ready:]
    if len(held) != BLOCK:
        raise Failure(Code.SOURCE_UNREADABLE, "a piece of the video is encrypted in a way that can't be read")
    yield unpadded(cipher.decrypt(held))


def unpadded(block: bytes) -> bytes:
    """As it is where there is no padding: some packagers leave it out."""
    size = block[-1]
    return block[:-size] if 0 < size <= BLOCK and block.endswith(bytes([size]) * size) else block
