"""HDR as BT.709: what must be true of the curve, and of the table made of it."""

import numpy as np
import pytest

from services.clipper.tone_map import CUBE_SIZE, HLG, PQ, cube, sdr

PAPER = {PQ: 0.58, HLG: 0.75}
"""The level of white paper (ITU-R BT.2408)."""


def gray(level: float, transfer: int) -> float:
    mapped = sdr(np.full((1, 3), level), transfer)
    assert np.ptp(mapped) < 0.01
    return float(mapped[0, 0])


@pytest.mark.parametrize("transfer", [PQ, HLG])
def test_black_is_black_paper_is_bright_and_the_peak_is_white(transfer: int):
    assert gray(0.0, transfer) < 0.02
    assert 0.8 < gray(PAPER[transfer], transfer) < 0.9
    assert gray(1.0, transfer) == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize("transfer", [PQ, HLG])
def test_what_is_brighter_never_becomes_darker(transfer: int):
    levels = [gray(float(level), transfer) for level in np.linspace(0, 1, 65)]
    assert levels == sorted(levels)


def test_a_colour_of_bt2020_stays_that_colour():
    red, green, blue = sdr(np.array([[0.55, 0.1, 0.1]]), PQ)[0]
    assert red > 0.7
    assert max(green, blue) < 0.3


def test_the_table_has_red_change_fastest():
    lines = cube(PQ).splitlines()
    assert lines[0] == f"LUT_3D_SIZE {CUBE_SIZE}"
    assert len(lines) == 1 + CUBE_SIZE**3
    rows = np.array([list(map(float, line.split())) for line in lines[1:]])
    assert rows[CUBE_SIZE - 1].tolist() == pytest.approx(sdr(np.array([[1.0, 0.0, 0.0]]), PQ)[0].tolist(), abs=1e-4)
