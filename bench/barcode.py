"""The number that each picture of a benchmark's source carries: a strip of black and white blocks along its upper edge. Pure."""

import numpy as np
from numpy.typing import NDArray

BITS = 20
STRIP_ROWS = 64
"""Height of the strip in the picture, in rows; a block is a twentieth of the picture's width."""
WHITE = 128
"""Half of white: a block's middle is brighter, or it is black."""


def strips(count: int) -> bytes:
    """The strips of pictures 0 to count - 1: 20 x 2 gray pixels each, to be scaled to the picture's width without smoothing."""
    bits = np.arange(count, dtype=np.int64)[:, None] >> np.arange(BITS) & 1
    rows: NDArray[np.uint8] = (bits * 255).astype(np.uint8)
    return np.repeat(rows[:, None, :], 2, axis=1).tobytes()


def numbers(rows: NDArray[np.uint8]) -> NDArray[np.int64]:
    """The numbers in rows of gray pixels (pictures, width), each from the middle of a strip."""
    block = rows.shape[1] // BITS
    bits = rows[:, block // 2 : block * BITS : block] > WHITE
    return bits.astype(np.int64) @ (1 << np.arange(BITS, dtype=np.int64))
