"""Real files, whole and damaged, read by the warm inspection: its findings beside those of ffprobe and ffmpeg."""

import dataclasses
import random
import struct
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.domain.failures import Code, Failure
from libs.common.runtime.process import Limits
from libs.common.runtime.warm_process import Warm, open_warm
from services.clipper.inspected import Inspect, Inspected, Look
from services.clipper.inspection import Sample, is_framed, length_size, run_of
from services.clipper.output_checks import LIKENESS, difference
from tests import media
from tests.thorough import IS_THOROUGH

LIMITS = Limits(wall=20, cpu=20, memory=4 << 30, file_size=1 << 20)
SMALL = dataclasses.replace(LIMITS, cpu=2, memory=1 << 30)
NEAR = 1e-4


@pytest.fixture(scope="module")
async def warm() -> AsyncIterator[Warm]:
    async with open_warm("services.clipper.inspection", workers=1) as opened:
        yield opened


async def inspected(warm: Warm, path: Path, *looks: Look, limits: Limits = LIMITS) -> Inspected:
    answer = await warm.ask(msgspec.json.encode(Inspect(str(path), looks)), limits)
    return msgspec.json.decode(answer, type=Inspected)


def frame(path: Path, number: int) -> bytes:
    """What ffmpeg makes of one picture of a file, tiny and gray."""
    picture = f"select=eq(n\\,{number}),scale=64:36:flags=area,format=gray"
    return media._run([media.FFMPEG, "-v", "error", "-i", str(path), "-vf", picture, "-frames:v", "1", "-f", "rawvideo", "-"])


def times(path: Path, stream: str) -> list[float]:
    return sorted(float(line) for line in media.told(path, "packet=pts_time", "-select_streams", stream))


def first_packet(path: Path) -> tuple[int, int]:
    """The place and the size in the file of its first picture."""
    size, place = media.told(path, "packet=pos,size", "-select_streams", "v", "-read_intervals", "%+#1")[0].split(",")
    return int(place), int(size)


def changed(source: Path, path: Path, place: int, data: bytes) -> Path:
    content = bytearray(source.read_bytes())
    content[place : place + len(data)] = data
    path.write_bytes(content)
    return path


async def test_it_finds_what_ffprobe_finds(warm: Warm, plain: Path):
    found = await inspected(warm, plain)
    assert found.video == pytest.approx(times(plain, "v"), abs=NEAR)
    assert found.audio == pytest.approx((0, 10), abs=NEAR)
    assert found.duration == pytest.approx(10, abs=0.05)
    assert (found.has_video, found.has_audio, found.codecs) == (True, True, ("h264", "aac"))
    assert (found.width, found.height) == (media.WIDTH, media.HEIGHT)
    assert (found.first_is_key, found.is_monotonic, found.complaints, found.looks) == (True, True, "", ())


@pytest.mark.parametrize("number", [0, 60, 61, 105, 299])
async def test_it_sees_the_picture_that_ffmpeg_sees(warm: Warm, plain: Path, number: int):
    found = await inspected(warm, plain, Look(number / 30, 1))
    assert found.looks[0].decoded == 1
    assert difference(found.looks[0].picture or b"", frame(plain, number)) < 1


async def test_it_decodes_as_many_frames_as_are_asked_for_and_there_are(warm: Warm, plain: Path):
    found = await inspected(warm, plain, Look(0, 7), Look(58 / 30, 5), Look(297 / 30, 10), Look(12, 3))
    assert [look.decoded for look in found.looks] == [7, 5, 3, 0]
    assert found.complaints == ""


async def test_between_two_frames_nothing_is_shown(warm: Warm, plain: Path):
    [look] = (await inspected(warm, plain, Look(1.015, 2))).looks
    assert (look.picture, look.decoded) == (None, 2)


@pytest.mark.parametrize(
    "video",
    [
        media.gop(30, more=":open-gop=1"),
        media.hevc(30, is_open=True),
        pytest.param(media.hevc(30, pixels="yuv420p10le"), marks=pytest.mark.thorough),
    ],
)
async def test_a_look_at_any_frame_decodes_without_a_complaint(warm: Warm, tmp_path: Path, video: tuple[str, ...]):
    path = media.make(tmp_path / "clip.mp4", frames=75, video=video)
    found = await inspected(warm, path, *(Look(number / 30, 2) for number in range(0, 74, 3)))
    assert {look.decoded for look in found.looks} == {2}
    assert found.complaints == ""
    for number in (0, 27, 30, 33, 60):
        assert difference(found.looks[number // 3].picture or b"", frame(path, number)) < LIKENESS / 4


@pytest.mark.parametrize("degrees", [90, 180, 270])
async def test_rotation_is_told_clockwise(warm: Warm, plain: Path, tmp_path: Path, degrees: int):
    path = tmp_path / "turned.mp4"
    path.write_bytes(plain.read_bytes())
    assert (await inspected(warm, media.turned(path, degrees), Look(0, 1))).rotation == degrees


async def test_sound_alone_and_picture_alone(warm: Warm, tmp_path: Path):
    sound = await inspected(warm, media.make(tmp_path / "sound.mp4", video=None, frames=60), Look(0, 1))
    assert (sound.has_video, sound.has_audio, sound.video, sound.complaints) == (False, True, (), "")
    assert sound.audio == pytest.approx((0, 2), abs=NEAR)
    assert [look.decoded for look in sound.looks] == [0]
    picture = await inspected(warm, media.make(tmp_path / "picture.mp4", audio=None, frames=60), Look(0, 1))
    assert (picture.has_video, picture.has_audio, picture.audio, len(picture.video)) == (True, False, None, 60)


async def test_sound_begins_and_ends_where_its_edit_list_says(warm: Warm, tmp_path: Path):
    sound = media.make(tmp_path / "sound.mp4", video=None, frames=120)
    cut = media.converted(tmp_path / "cut.mp4", "-ss", "1.01", "-i", str(sound), "-t", "1.5", "-c", "copy")
    late = media.converted(tmp_path / "late.mp4", "-itsoffset", "0.5", "-i", str(sound), "-c", "copy")
    begin, end = (await inspected(warm, cut)).audio or (9, 9)
    assert (begin, end) == (pytest.approx(0, abs=NEAR), pytest.approx(1.5, abs=0.022))
    assert ((await inspected(warm, late)).audio or (9, 9))[0] == pytest.approx(times(late, "a")[0], abs=0.03)


async def test_frames_hidden_by_an_edit_list_are_told_too(warm: Warm, plain: Path, tmp_path: Path):
    cut = media.converted(tmp_path / "cut.mp4", "-ss", "3", "-i", str(plain), "-t", "2", "-c", "copy")
    assert (await inspected(warm, cut)).video[0] == pytest.approx(-1, abs=0.01)


async def test_a_damaged_first_frame_is_told(warm: Warm, plain: Path, tmp_path: Path):
    place, size = first_packet(plain)
    noise = bytes((n * 37 + 11) & 255 for n in range(size // 2))
    found = await inspected(warm, changed(plain, tmp_path / "bad.mp4", place + size // 3, noise), Look(0, 1))
    assert found.complaints
    assert (found.looks[0].decoded, found.looks[0].picture) == (0, None)
    assert len(found.video) == 300


async def test_a_packet_whose_units_do_not_fill_it_is_told_without_a_look(warm: Warm, plain: Path, tmp_path: Path):
    place, _ = first_packet(plain)
    length = int.from_bytes(plain.read_bytes()[place : place + 4])
    found = await inspected(warm, changed(plain, tmp_path / "bad.mp4", place, struct.pack(">I", length + 1)))
    assert "the packet at 0 " in found.complaints


async def test_an_audio_configuration_that_does_not_fit_is_told(warm: Warm, plain: Path, tmp_path: Path):
    configuration = plain.read_bytes().index(b"\x05\x80\x80\x80", plain.read_bytes().index(b"esds")) + 5
    found = await inspected(warm, changed(plain, tmp_path / "bad.mp4", configuration, b"\x17\x88"))
    assert found.complaints


@pytest.mark.parametrize("share", [0.5, 0.99])
async def test_a_truncated_file_is_told(warm: Warm, plain: Path, tmp_path: Path, share: float):
    fast = media.remuxed(plain, tmp_path / "fast.mp4", "-movflags", "+faststart")
    path = tmp_path / "short.mp4"
    path.write_bytes(fast.read_bytes()[: int(fast.stat().st_size * share)])
    found = await inspected(warm, path)
    assert "beyond the file" in found.complaints


@pytest.mark.parametrize(
    "content", [b"", b"just text\n", b"#EXTM3U\n#EXTINF:1,\nfile:///etc/hostname\n", b"ffconcat version 1.0\nfile plain.mp4\n"]
)
async def test_what_is_no_mp4_is_told(warm: Warm, tmp_path: Path, content: bytes):
    path = tmp_path / "clip.mp4"
    path.write_bytes(content)
    found = await inspected(warm, path, Look(0, 1))
    assert found.complaints
    assert msgspec.structs.replace(found, complaints="") == Inspected()


async def test_a_missing_file_is_told(warm: Warm, tmp_path: Path):
    assert "No such file" in (await inspected(warm, tmp_path / "none.mp4")).complaints


async def test_a_first_frame_that_is_no_keyframe_is_told(warm: Warm, plain: Path, tmp_path: Path):
    first_key = plain.read_bytes().index(b"stss") + 12
    found = await inspected(warm, changed(plain, tmp_path / "bad.mp4", first_key, struct.pack(">I", 2)), Look(0, 1))
    assert not found.first_is_key
    assert found.looks[0].decoded == 0


async def test_times_that_stand_still_are_told(warm: Warm, plain: Path, tmp_path: Path):
    deltas = plain.read_bytes().index(b"stts") + 16
    found = await inspected(warm, changed(plain, tmp_path / "bad.mp4", deltas, struct.pack(">I", 0)))
    assert not found.is_monotonic


async def test_damage_anywhere_in_the_index_never_breaks_the_inspection(warm: Warm, plain: Path, tmp_path: Path):
    content = plain.read_bytes()
    chance, begin = random.Random(7), content.index(b"moov")
    for n in range(60 if IS_THOROUGH else 15):
        place = chance.randrange(begin, min(begin + 4000, len(content)))
        path = changed(plain, tmp_path / f"{n}.mp4", place, chance.randbytes(chance.choice((1, 4))))
        try:
            assert await inspected(warm, path, Look(0, 1), limits=SMALL)
        except Failure as failure:
            assert failure.code is Code.RETRYABLE_ERROR  # noqa: PT017  either outcome is right


UNITS = st.lists(st.binary(max_size=300), min_size=1, max_size=5)


@given(UNITS, st.sampled_from((1, 2, 4)))
def test_units_after_their_lengths_fill_a_packet(units: list[bytes], size: int):
    units = [unit[:255] for unit in units]
    packet = b"".join(len(unit).to_bytes(size) + unit for unit in units)
    assert is_framed(memoryview(packet), size)


@given(UNITS, st.data())
def test_a_packet_cut_short_within_a_unit_is_not_framed(units: list[bytes], data: st.DataObject):
    packet = b"".join(len(unit).to_bytes(4) + unit for unit in units)
    whole = {0}
    for unit in units:
        whole.add(max(whole) + 4 + len(unit))
    end = data.draw(st.integers(0, len(packet)))
    assert is_framed(memoryview(packet)[:end], 4) == (end in whole)


def test_only_codecs_of_nal_units_have_a_length_size():
    assert length_size("h264", bytes([1, 100, 0, 31, 0xFF])) == 4
    assert length_size("hevc", bytes(21) + b"\xfd") == 2
    assert length_size("h264", b"") is None
    assert length_size("av1", bytes(30)) is None


@st.composite
def tracks(draw: st.DrawFn) -> list[Sample]:
    """Groups of pictures in decode order: a keyframe, then the others of its group in any order of showing, some before it."""
    samples, shown = [], 0
    for length in draw(st.lists(st.integers(1, 8), min_size=1, max_size=5)):
        leading = draw(st.integers(0, length - 1)) if samples else 0
        others = draw(st.permutations([shown + n for n in range(length) if n != leading]))
        samples += [Sample(time, len(samples) + n, n == 0) for n, time in enumerate((shown + leading, *others))]
        shown += length
    return samples


@given(tracks(), st.integers(0, 45), st.integers(1, 6))
def test_a_run_goes_from_a_keyframe_that_is_shown_no_later_over_all_that_is_wanted(samples: list[Sample], since: int, frames: int):
    run = run_of(samples, since, frames)
    expected = tuple(sorted(sample.shown for sample in samples if sample.shown >= since)[:frames])
    assert (run.wanted if run else ()) == expected
    if run:
        assert run.first.is_key
        assert run.first.shown <= expected[0]
        among = [sample.shown for sample in samples if run.first.decoded <= sample.decoded <= run.last.decoded]
        assert set(expected) <= set(among)
        assert not any(s.is_key and s.shown <= expected[0] for s in samples[run.first.decoded + 1 :])
