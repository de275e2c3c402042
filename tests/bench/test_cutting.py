"""The benchmark's own sources, cuts and judges, on a few seconds of small pictures."""

from pathlib import Path

import pytest

from bench import sources
from bench.cutting.cuts import Cut, Index, anywhere, at_keyframes, index_of
from bench.cutting.exact_cuts import Made
from bench.cutting.judge import faults, playing_faults
from bench.cutting.peers import copying, encoding
from bench.cutting.playing import Read, sought
from bench.cutting.playing import faults as shown_faults
from bench.cutting.reading import index_bytes, needed
from bench.processes import spent_by

FRAMES = 60


@pytest.fixture(scope="module")
async def index(tmp_path_factory: pytest.TempPathFactory) -> Index:
    """Six seconds made of twice three, a keyframe every two seconds and where the second half begins."""
    sources.CACHE = tmp_path_factory.mktemp("sources")
    source = sources.Source(180, 60, 3, loops=2)
    await sources.make([source])
    return await index_of(source)


@pytest.fixture
def cut(index: Index) -> Cut:
    return anywhere(index, 1, seed=1, frames=FRAMES)[0]


def test_packets_tell_each_picture_and_the_keyframes(index: Index) -> None:
    assert len(index.shown) == 180
    assert index.keys.tolist() == [0, 60, 90, 150]


def test_cuts_begin_where_they_are_asked_to(index: Index) -> None:
    assert {cut.first for cut in at_keyframes(index, 50, seed=1, frames=FRAMES)} == {0, 90}
    assert {cut.first for cut in at_keyframes(index, 50, seed=1, frames=FRAMES, ends_at_keyframe=False)} == {0, 60, 90}
    for cut in anywhere(index, 50, seed=1, frames=FRAMES):
        assert cut.first not in index.keys
        assert cut.first_time - 0.0145 <= cut.start <= cut.first_time + 0.0005


def test_after_a_loop_the_numbers_begin_again(index: Index) -> None:
    [cut] = [cut for cut in at_keyframes(index, 50, seed=1, frames=FRAMES, ends_at_keyframe=False) if cut.first == 60][:1]
    assert cut.numbers == [*range(60, 90), *range(30)]


async def test_an_encoded_clip_is_exact_and_a_copied_one_is_not(cut: Cut, tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    await spent_by(encoding(cut, str(cut.source.path), clip))
    assert await playing_faults(clip, cut) == []
    await spent_by(copying(cut, str(cut.source.path), clip))
    assert await faults(clip, cut) != []


async def test_a_clip_a_frame_off_is_told(index: Index, cut: Cut, tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    await spent_by(encoding(cut, str(cut.source.path), clip))
    late = Cut(cut.source, cut.first + 1, cut.frames, cut.start, cut.end, float(index.shown[cut.first + 1]))
    [fault] = await playing_faults(clip, late)
    assert fault.startswith("60 pictures from ")


async def test_a_file_that_is_no_clip_is_told(cut: Cut, tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    clip.write_text("no clip")
    [fault] = await playing_faults(clip, cut)
    assert fault.startswith("it can't be decoded")
    assert "0 pictures in the file" in await faults(clip, cut)


def test_what_a_cut_needs_is_less_than_all_and_more_than_the_index(index: Index) -> None:
    [whole] = at_keyframes(index, 1, seed=1, frames=150, ends_at_keyframe=False)
    part = at_keyframes(index, 1, seed=1, frames=FRAMES)[0]
    size = index.source.path.stat().st_size
    assert index_bytes(index.source.path) < needed(index, part) < needed(index, whole) <= size


def test_a_browser_is_held_to_every_picture_it_was_asked_for(cut: Cut) -> None:
    made = Made(cut, Path("clip.mp4"), cpu=0.0, path="smart")
    numbers = [cut.numbers[n] for n in (0, *sought(made))]
    assert shown_faults(made, Read(numbers, FRAMES / 30)) == ""
    assert "pictures" in shown_faults(made, Read([numbers[0] + 1, *numbers[1:]], FRAMES / 30))
    assert "never shown" in shown_faults(made, None)
    assert "9.0 s long" in shown_faults(made, Read(numbers, 9.0))
