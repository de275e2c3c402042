"""What a file is refused for."""

import io
import struct
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.clipper.output_checks import Expected, Found, Sight, difference, faults, is_fast_start, top_level_boxes

FRAMES = tuple(n / 25 for n in range(50))
PICTURE = bytes(range(256)) * 9
EXPECTED = Expected(duration=2.0, frames=FRAMES, has_video=True, has_audio=True, sights=(Sight(0.0, PICTURE), Sight(1.0, None)))
FOUND = Found(
    size=1000,
    duration=2.0,
    frames=FRAMES,
    begins_with_keyframe=True,
    is_monotonic=True,
    has_video=True,
    has_audio=True,
    complaints="",
    boxes=("ftyp", "moov", "free", "mdat"),
    sights=(PICTURE, b"anything"),
)


def test_what_was_expected_is_right():
    assert faults(EXPECTED, FOUND) == ()
    assert faults(EXPECTED, replace(FOUND, duration=2.05, sights=(bytes(min(255, b + 9) for b in PICTURE), b""))) == ()


@pytest.mark.parametrize(
    ("wrong", "fault"),
    [
        ({"size": 0}, "it is empty"),
        ({"has_audio": False}, "its sound is missing or unasked for"),
        ({"has_video": False}, "its picture is missing or unasked for"),
        ({"duration": 2.2}, "it is not as long as it should be"),
        ({"duration": 1.9}, "it is not as long as it should be"),
        ({"frames": FRAMES[:-1]}, "it does not hold exactly the frames of the range"),
        ({"frames": (*FRAMES, 2.0)}, "it does not hold exactly the frames of the range"),
        ({"frames": tuple(time + 0.01 for time in FRAMES)}, "it does not hold exactly the frames of the range"),
        ({"complaints": "[h264] error while decoding MB 1 2"}, "it does not decode without errors"),
        ({"boxes": ("ftyp", "mdat", "moov")}, "its index does not come first"),
        ({"begins_with_keyframe": False}, "it does not begin with a keyframe"),
        ({"is_monotonic": False}, "its samples are out of order"),
        ({"sights": (bytes(len(PICTURE)), b"anything")}, "a frame of it is not the source's"),
        ({"sights": (b"", b"anything")}, "a frame of it is not the source's"),
        ({"sights": (None, b"anything")}, "a frame of it is not the source's"),
        ({"sights": (PICTURE, None)}, "a frame of it is not the source's"),
        ({"sights": (PICTURE,)}, "a frame of it is not the source's"),
    ],
)
def test_a_wrong_file_is_refused_for_what_is_wrong(wrong: dict[str, Any], fault: str):
    assert faults(EXPECTED, replace(FOUND, **wrong)) == (fault,)


def test_where_packets_tell_no_frames_the_length_still_counts():
    unsure = replace(EXPECTED, frames=None)
    assert faults(unsure, replace(FOUND, frames=FRAMES[:-3], duration=1.9)) == ()
    assert faults(unsure, replace(FOUND, frames=FRAMES[:9], duration=0.4)) == ("it is not as long as it should be",)
    assert faults(unsure, replace(FOUND, frames=())) == ("it does not hold exactly the frames of the range",)


def test_a_last_frame_that_is_held_may_be_left_to_the_player():
    held = replace(EXPECTED, frames=(0.0, 1.2), duration=2.4)
    assert faults(held, replace(FOUND, frames=(0.0, 1.2), duration=1.3)) == ()


def test_sound_alone_has_no_keyframe_to_begin_with():
    sound = replace(EXPECTED, frames=None, has_video=False, sights=())
    assert faults(sound, replace(FOUND, frames=(), has_video=False, begins_with_keyframe=False, sights=())) == ()
    assert faults(sound, replace(FOUND, frames=(), has_video=False, sights=(), duration=2.1)) == ("it is not as long as it should be",)


def box(name: bytes, body: bytes = b"", *, is_large: bool = False) -> bytes:
    if is_large:
        return struct.pack(">I4sQ", 1, name, 16 + len(body)) + body
    return struct.pack(">I4s", 8 + len(body), name) + body


def test_boxes_are_read_in_order_without_their_bodies():
    file = box(b"ftyp", b"isom") + box(b"moov", box(b"trak")) + box(b"mdat", b"x" * 99, is_large=True) + struct.pack(">I4s", 0, b"free")
    assert tuple(top_level_boxes(io.BytesIO(file))) == ("ftyp", "moov", "mdat", "free")


@given(st.binary(max_size=200))
def test_what_is_no_mp4_has_an_end(junk: bytes):
    assert len(list(top_level_boxes(io.BytesIO(junk)))) <= 200


def test_fast_start_is_the_index_before_the_media():
    assert is_fast_start(("ftyp", "moov", "mdat"))
    assert not is_fast_start(("ftyp", "mdat", "moov"))
    assert not is_fast_start(("ftyp", "mdat"))
    assert not is_fast_start(())


def test_difference_is_the_mean_of_gray_levels():
    assert difference(b"\x00\x10", b"\x02\x0e") == 2.0
    assert difference(b"", b"") == difference(b"\x00", b"\x00\x00") == 255.0
