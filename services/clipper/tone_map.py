"""HDR as it looks on a screen that knows only BT.709: one curve for posters and, as a table for ffmpeg, for renditions. Pure.

Every ffmpeg has `lut3d`; the filter that would reckon this by itself (zscale) is missing in some.
"""

import numpy as np
from numpy.typing import NDArray

Colours = NDArray[np.float64]
"""(..., 3): red, green and blue."""

PQ, HLG = 16, 18
"""The curves of HDR (ITU-T H.273 table 3)."""
HDR = frozenset({PQ, HLG})
PEAK = 1000.0
"""Candela a square metre: what HDR is mastered for, and HLG's nominal screen. What is brighter is white."""
WHITE = 203.0
"""Of a sheet of paper in HDR (ITU-R BT.2408)."""
KNEE = 0.3
"""Up to this share of white nothing is darkened."""
SCREEN_GAMMA = 2.4
HLG_KNEE = 0.5
CUBE_SIZE = 33

# ITU-R BT.2087: BT.2020's colours in BT.709's.
_TO_BT709 = np.array([[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]])
_LUMA = np.array([0.2627, 0.6780, 0.0593])


def sdr(signal: Colours, transfer: int) -> Colours:
    """Signal of BT.2020 with this curve, 0 to 1, as signal of BT.709."""
    light = (_pq(signal) if transfer == PQ else _hlg(signal)) / WHITE
    colours = np.maximum(light @ _TO_BT709.T, 0.0)
    brightest = np.maximum(colours.max(axis=-1, keepdims=True), 1e-6)
    mapped: Colours = np.clip(colours * (_rolled_off(brightest) / brightest), 0.0, 1.0) ** (1 / SCREEN_GAMMA)
    return mapped


def _pq(signal: Colours) -> Colours:
    """Candela a square metre (SMPTE ST 2084)."""
    root = signal ** (32 / 2523)
    light: Colours = 10_000 * (np.maximum(root - 0.8359375, 0.0) / (18.8515625 - 18.6875 * root)) ** (8192 / 1305)
    return light


def _hlg(signal: Colours) -> Colours:
    """Candela a square metre on the nominal screen (ITU-R BT.2100 table 5)."""
    scene = np.where(signal <= HLG_KNEE, signal**2 / 3, (np.exp((signal - 0.55991073) / 0.17883277) + 0.28466892) / 12)
    light: Colours = PEAK * scene * np.maximum(scene @ _LUMA, 1e-6)[..., None] ** 0.2
    return light


def _rolled_off(light: Colours) -> Colours:
    """A Möbius curve that goes on from KNEE without a kink, and reaches white at the peak."""
    knee, peak = KNEE, PEAK / WHITE
    a = -(knee**2) * (peak - 1) / (knee**2 - 2 * knee + peak)
    b = (knee**2 - 2 * knee * peak + peak) / (peak - 1)
    bent = (b**2 + 2 * b * knee + knee**2) / (b - a) * (light + a) / (light + b)
    return np.where(light <= knee, light, bent)


def cube(transfer: int) -> str:
    """The same as a table in the format .cube: red changes fastest."""
    steps = np.linspace(0.0, 1.0, CUBE_SIZE)
    blue, green, red = np.meshgrid(steps, steps, steps, indexing="ij")
    rows = sdr(np.stack([red, green, blue], axis=-1).reshape(-1, 3), transfer).tolist()
    return "\n".join([f"LUT_3D_SIZE {CUBE_SIZE}", *(f"{r:.5f} {g:.5f} {b:.5f}" for r, g, b in rows), ""])
