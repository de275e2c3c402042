import numpy as np

from bench.barcode import BITS, numbers, strips


def test_every_number_is_read_back_from_its_strip_at_any_width() -> None:
    rows = np.frombuffer(strips(3000), np.uint8).reshape(3000, 2, BITS)[:, 0]
    for block in (16, 64, 96):
        assert numbers(np.repeat(rows, block, axis=1)).tolist() == list(range(3000))
