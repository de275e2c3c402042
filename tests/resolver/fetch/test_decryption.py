"""AES-128 as HLS has it, whatever the sizes in which the bytes come."""

import pytest
from Cryptodome.Cipher import AES
from Cryptodome.Util.Padding import pad
from hypothesis import given
from hypothesis import strategies as st

from libs.common.domain.failures import Code, Failure
from services.resolver.fetch.decryption import decrypted

KEY, IV = bytes(range(16)), bytes(range(16, 32))


def encrypted(data: bytes) -> bytes:
    return AES.new(KEY, AES.MODE_CBC, iv=IV).encrypt(data)


@given(st.binary(max_size=200), st.integers(1, 50))
def test_a_piece_comes_out_as_it_was(data: bytes, step: int) -> None:
    whole = encrypted(pad(data, 16))
    chunks = (whole[at : at + step] for at in range(0, len(whole), step))
    assert b"".join(decrypted(chunks, KEY, IV)) == data


def test_a_piece_without_padding_is_taken_as_it_is() -> None:
    data = b"0123456789abcdeX" * 3
    assert b"".join(decrypted([encrypted(data)], KEY, IV)) == data


@pytest.mark.parametrize(("whole", "key"), [(b"", KEY), (b"x" * 17, KEY), (b"x" * 16, b"short")])
def test_what_was_not_encrypted_so_is_refused(whole: bytes, key: bytes) -> None:
    with pytest.raises(Failure) as refused:
        list(decrypted([whole], key, IV))
    assert refused.value.code is Code.SOURCE_UNREADABLE
