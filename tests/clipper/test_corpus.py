"""Every shape of source, cut at several ranges, and each clip judged by decoding it. `CORPUS_SEED` asks for other ranges."""

import asyncio
import os
from pathlib import Path

import numpy as np
import pytest

from libs.common.domain.failures import Failure
from tests.clipper.corpus import EVERYDAY, SHAPES, Shape, ranges
from tests.clipper.judging import Asked, Source, faults, source_of
from tests.clipper.running import DEMUXERS, Clipper

SEED = os.environ.get("CORPUS_SEED", "7")
OWN_OPUS = "Error parsing Opus packet header"
"""ffmpeg 8 says this of the last packet of a file that it wrote itself."""
LEAST_BEEPS = 7
"""In a source: so that silence is never taken for sound in step."""

CASES = [
    pytest.param(shape, id=f"{shape.name}-seed-{SEED}", marks=() if shape.name in EVERYDAY else pytest.mark.thorough) for shape in SHAPES
]


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("shapes")


def test_what_is_cut_every_day_is_among_the_shapes():
    assert {shape.name for shape in SHAPES} >= EVERYDAY


@pytest.mark.parametrize("shape", CASES)
async def test_a_source_of_any_shape_is_cut_right(clipper: Clipper, shapes: Path, shape: Shape):
    path = await asyncio.to_thread(shape.made_in, shapes)
    source = await asyncio.to_thread(source_of, path, DEMUXERS[shape.suffix], turn=shape.turn, track=shape.track)
    asked = ranges(source, f"{shape.name}-{SEED}")
    assert [line for line in source.playback.complaints.splitlines() if OWN_OPUS not in line] == []
    assert np.all(np.diff(source.playback.numbers) > 0)
    assert len(source.playback.beeps) >= LEAST_BEEPS or source.media.audio is None
    found = [line for lines in await asyncio.gather(*(wrong(clipper, source, one) for one in asked)) for line in lines]
    assert not found, "\n".join(found)


async def wrong(clipper: Clipper, source: Source, asked: Asked) -> list[str]:
    """What is wrong with the clip of this range, a line each."""
    try:
        clip = await clipper.cut(source.path, asked.start, asked.end, asked.accuracy)
    except Failure as failure:
        return [f"{asked}: {failure.code}: {failure}"]
    found = await asyncio.to_thread(faults, source, asked, clip.event, clip.path)
    return [f"{asked} ({clip.event.cut_path}): {fault}" for fault in found]
