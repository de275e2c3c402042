"""Whether a clip is exact, as ffmpeg decodes it: each picture by its number and time, the sound beside it, nothing else in the file."""

import struct
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from bench.barcode import STRIP_ROWS, numbers
from bench.cutting.cuts import Cut
from bench.processes import ProgramFailed, output_of
from bench.sources import RATE

CLOCK = 90_000
"""Ticks a second in which times are told."""
EVEN = CLOCK // 2000
"""Half a millisecond: what a time may be off its place."""
SOUND_RATE = 48_000
LOUD = 0.15
"""Of full scale: beeps are half, the rest a fiftieth."""
SYNC = 0.020
"""Seconds that the sound may be off the picture (spec 6)."""


@dataclass(frozen=True, slots=True, eq=False)
class Played:
    """What a player would show and play. Times in ticks of CLOCK and samples of SOUND_RATE."""

    numbers: NDArray[np.int64]
    times: NDArray[np.int64]
    sound: NDArray[np.float32]
    complaints: str


async def faults(clip: Path, cut: Cut) -> list[str]:
    """What is wrong with it; nothing if it is all that an exact clip has to be."""
    found = await playing_faults(clip, cut)
    if (packets := await _packets(clip)) != cut.frames:
        found.append(f"{packets} pictures in the file")
    if not _is_fast_start(clip):
        found.append("moov comes after mdat")
    return found


async def playing_faults(clip: Path, cut: Cut) -> list[str]:
    """What is wrong with what ffmpeg shows and plays: all that is asked of a peer's clip."""
    try:
        played = await _played(clip, cut)
    except ProgramFailed as failed:
        return [f"it can't be decoded: {failed}"[:200]]
    complaints = [f"decoding complains: {played.complaints[:100]}"] if played.complaints else []
    return [*_picture_faults(played, cut), *_sound_faults(played, cut), *complaints]


async def _played(clip: Path, cut: Cut) -> Played:
    """One row from the middle of the strip is enough of each picture."""
    row = f"crop={cut.source.width}:2:0:{STRIP_ROWS // 2},format=gray"
    each = ["-map", "0:v:0", "-vf", row, "-fps_mode", "passthrough", "-enc_time_base", f"1:{CLOCK}"]
    sound = ["-map", "0:a:0", "-af", f"aresample={SOUND_RATE}:async=1:min_hard_comp=0.001:first_pts=0", "-ac", "1", "-f", "f32le"]
    with TemporaryDirectory(dir=clip.parent) as folder:
        rows, times, heard = (f"{folder}/{name}" for name in ("rows", "times", "heard"))
        outputs = [*each, "-f", "rawvideo", rows, *each, "-f", "framecrc", times, *sound, heard]
        _, complaints = await output_of(["ffmpeg", "-nostdin", "-v", "error", "-i", str(clip), *outputs])
        lines = [line for line in Path(times).read_text().splitlines() if not line.startswith("#")]
        gray = np.fromfile(rows, np.uint8).reshape(-1, 2, cut.source.width)
        return Played(
            numbers(gray[:, 0]), np.array([int(line.split(",")[2]) for line in lines]), np.fromfile(heard, np.float32), complaints
        )


def _picture_faults(played: Played, cut: Cut) -> list[str]:
    found = []
    if played.numbers.tolist() != cut.numbers:
        ends = played.numbers[[0, -1]] if len(played.numbers) else played.numbers
        found.append(f"{len(played.numbers)} pictures from {ends.tolist()}, not {cut.frames} from {[cut.numbers[0], cut.numbers[-1]]}")
    places = np.arange(len(played.times)) * (CLOCK // RATE)
    if len(places) and np.abs(played.times - places).max() > EVEN:
        found.append("pictures are not evenly spaced from zero")
    return found


def _sound_faults(played: Played, cut: Cut) -> list[str]:
    """Beeps that the clip must have are where the pictures beside them are. Those at its very edges may be cut."""
    beeps = beeps_in(played.sound)
    expected = np.arange(np.ceil(cut.first_time + 0.1), cut.first_time + cut.frames / RATE - 0.2) - cut.first_time
    if not cut.source.has_beeps:
        return []
    off = [min(abs(beeps - at), default=1.0) for at in expected]
    return [f"sound is {max(off) * 1000:.0f} ms off"] if max(off, default=0.0) > SYNC else []


def beeps_in(sound: NDArray[np.float32]) -> NDArray[np.float64]:
    """When beeps begin, in seconds."""
    loud = np.flatnonzero(np.abs(sound) > LOUD)
    return loud[np.diff(loud, prepend=-SOUND_RATE) > SOUND_RATE // 4] / SOUND_RATE


async def _packets(clip: Path) -> int:
    """Pictures in the file, those that an edit list hides as well; 0 when it can't be read."""
    count = ["-select_streams", "v:0", "-count_packets", "-show_entries", "stream=nb_read_packets", "-of", "csv=p=0"]
    try:
        told, _ = await output_of(["ffprobe", "-v", "error", "-ignore_editlist", "1", *count, str(clip)])
    except ProgramFailed:
        return 0
    return int(told.split()[0])


def _is_fast_start(clip: Path) -> bool:
    names: list[bytes] = []
    place, size = 0, clip.stat().st_size
    with clip.open("rb") as file:
        while place + 16 <= size and len(names) < 16:
            file.seek(place)
            length, name, large = struct.unpack(">I4sQ", file.read(16))
            names.append(name)
            place += max(8, large if length == 1 else length or size)
    return b"moov" in names and b"mdat" in names and names.index(b"moov") < names.index(b"mdat")
