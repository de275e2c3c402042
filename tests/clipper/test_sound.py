"""Which of a source's audio packets a clip gets, and where its zero lies among them, on made-up packets; no decoder is asked."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.clipper.mp4.composing import Edit
from services.clipper.mp4.sample_table import Samples
from services.clipper.sound import IN_STEP, copied_sound, is_copyable
from services.clipper.splicing import Sound
from services.clipper.window import NOTHING, Stream, local_movie
from tests import media

RATE, PACKET = 48_000, 1024


def packets(begin: int, count: int, *, packet: int = PACKET, hidden: tuple[int, int] = (0, 0)) -> Stream:
    """One after the other from tick `begin` on; so many of them hidden at either end."""
    place = np.arange(count)
    samples = Samples(
        offset=place,
        size=np.ones_like(place),
        decode=begin + packet * place,
        present=begin + packet * place,
        duration=np.full_like(place, packet),
        is_sync=np.ones(count, bool),
        description=np.ones_like(place),
        is_hidden=(place < hidden[0]) | (place >= count - hidden[1]),
    )
    return Stream(track=SimpleNamespace(timescale=RATE, entries=(b"entry",)), samples=samples, held=NOTHING)


def copied(stream: Stream, zero: int, stop: int) -> Sound | None:
    """Of the range between two ticks."""
    return copied_sound(stream, zero / RATE, stop / RATE)


def places(sound: Sound | None) -> list[int]:
    assert sound
    return sound.samples.offset.tolist()


ticks = st.integers(-3 * RATE, 3 * RATE)


@given(
    begin=ticks, count=st.integers(1, 40), zero=ticks, length=st.integers(1, RATE), hidden=st.tuples(st.integers(0, 3), st.integers(0, 3))
)
def test_sound_is_where_it_belongs_with_the_edit_list_and_nearly_so_without(begin, count, zero, length, hidden):
    stream, stop = packets(begin, count, hidden=hidden), zero + length
    first, last = begin + PACKET * hidden[0], begin + PACKET * (count - hidden[1])
    sound = copied(stream, zero, stop)
    if sound is None:
        nearest_end = stop - PACKET // 2
        assert last <= max(first, zero) or first - zero > IN_STEP * RATE or first >= nearest_end or length <= PACKET
        return
    kept = sound.samples.present
    assert np.all(np.diff(kept) == PACKET)
    assert first <= kept[0]
    assert kept[-1] + PACKET <= last
    assert kept[0] + sound.edit.media_time - sound.edit.delay == zero
    assert abs(kept[0] - zero) <= PACKET // 2 or (kept[0] == first and 0 < first - zero <= IN_STEP * RATE) or kept[-1] + PACKET == last
    assert kept[-1] + PACKET - stop <= PACKET // 2
    assert stop - (kept[-1] + PACKET) <= PACKET // 2 or kept[-1] + PACKET == last
    assert 0 < sound.edit.duration <= length - sound.edit.delay


def test_packets_from_the_nearest_to_the_start_to_the_nearest_to_the_end():
    sound = copied(packets(0, 100), 10 * PACKET + 500, 20 * PACKET + 500)
    assert places(sound) == list(range(10, 20))
    assert sound
    assert sound.edit == Edit(delay=0, media_time=500, duration=10 * PACKET - 500)
    assert places(copied(packets(0, 100), 10 * PACKET + 600, 20 * PACKET + 600)) == list(range(11, 21))


def test_a_packet_that_begins_after_the_start_is_delayed():
    sound = copied(packets(0, 100), 10 * PACKET - 400, 20 * PACKET)
    assert sound
    assert sound.edit == Edit(delay=400, media_time=0, duration=10 * PACKET)
    assert sound.end == pytest.approx((10 * PACKET + 400) / RATE)


def test_sound_that_begins_later_than_players_without_edit_lists_may_play_it_is_not_copied():
    assert copied(packets(RATE, 100), RATE - 950, 2 * RATE) is not None
    assert copied(packets(RATE, 100), RATE - 970, 2 * RATE) is None


def test_sound_that_ends_before_the_range_ends_is_copied_to_its_end():
    sound = copied(packets(0, 20), 10 * PACKET, 40 * PACKET)
    assert places(sound) == list(range(10, 20))


@pytest.mark.parametrize(
    ("stream", "zero", "stop"),
    [
        (packets(0, 20), 20 * PACKET + 100, RATE),
        (packets(RATE, 20), 0, RATE + 100),
        (packets(0, 40, hidden=(0, 20)), 20 * PACKET, RATE),
        (packets(0, 40, hidden=(20, 0)), 0, 20 * PACKET),
        (packets(0, 40, hidden=(0, 40)), 0, RATE),
        (packets(0, 0), 0, RATE),
    ],
    ids=[
        "it is over",
        "it begins with the end",
        "it is hidden from there on",
        "it is hidden up to there",
        "all is hidden",
        "there is none",
    ],
)
def test_nothing_is_copied_where_nothing_is_heard(stream: Stream, zero: int, stop: int):
    assert copied(stream, zero, stop) is None


def test_a_gap_is_not_copied():
    stream = packets(0, 100)
    gap = replace(stream.samples, present=stream.samples.present + 200 * (stream.samples.offset >= 15))
    assert copied(replace(stream, samples=gap), 10 * PACKET, 20 * PACKET) is None
    assert copied(replace(stream, samples=gap), 16 * PACKET, 20 * PACKET) is not None


def test_clocks_that_round_to_milliseconds_leave_no_gap():
    stream = packets(0, 100)
    rounded = replace(stream.samples, present=np.round(stream.samples.present / 48).astype(np.int64) * 48)
    assert places(copied(replace(stream, samples=rounded), 10 * PACKET, 20 * PACKET)) == list(range(10, 20))


def test_packets_too_long_to_be_laid_right_are_not_copied():
    assert copied(packets(0, 30, packet=1920), RATE // 4, RATE) is not None
    assert copied(packets(0, 30, packet=1921), RATE // 4, RATE) is None


@pytest.mark.parametrize(
    ("codec", "expected"),
    [(("aac",), True), (("libmp3lame",), False), (("libopus",), False), (("ac3",), False), (("alac",), False)],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_only_packets_that_mp4_players_play_and_that_decode_by_themselves_are_copied(folder, codec: tuple[str, ...], expected: bool):
    movie = local_movie(media.make(folder / f"sound-{codec[0]}.mp4", video=None, audio=("-c:a", *codec), seconds=0.5, frames=15))
    assert movie
    assert is_copyable(movie.tracks[0]) is expected
