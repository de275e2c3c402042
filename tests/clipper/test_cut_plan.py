"""The decision how to cut, on made-up packets: what is copied is exactly right, and all else is encoded exactly."""

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.domain.events import AudioTrack, VideoTrack
from libs.common.domain.failures import Code, Failure
from libs.common.runtime.media import Media, Packet, VideoStream
from services.clipper.cut_plan import CutPlan, covers, cut_plan, wanted
from services.clipper.frames import GRACE, PacketIndex, Wanted

RATE = 25
MEDIA = Media(
    container="mov",
    start_time=0.0,
    duration=20.0,
    video=VideoTrack(codec="h264", width=160, height=96, frame_rate=RATE),
    audio=AudioTrack(codec="aac", sample_rate=48000, channels=2),
    video_stream=VideoStream(index=0, time_base=Fraction(1, 12800), pixel_format="yuv420p", rotation=0),
    audio_index=1,
    streams=2,
)


def gops(count: int, length: int, bframes: int, *, is_open: bool = False, begin: float = 0.0) -> tuple[Packet, ...]:
    """Packets in decode order: each group is a keyframe, then anchors before the B-frames that are shown before them."""
    order: list[tuple[int, bool]] = []
    for gop in range(count):
        first = gop * length
        order.append((first, True))
        if is_open and gop:
            order += [(n, False) for n in range(first - bframes, first)]
        last = first + length - (bframes if is_open and gop < count - 1 else 0)
        position = first + 1
        while position < last:
            anchor = min(position + bframes, last - 1)
            order += [(anchor, False), *((n, False) for n in range(position, anchor))]
            position = anchor + 1
    return tuple(
        Packet(0, begin + shown / RATE, begin + (decoded - bframes) / RATE, 1 / RATE, is_key=key)
        for decoded, (shown, key) in enumerate(order)
    )


def sound(seconds: float, begin: float = 0.0) -> tuple[Packet, ...]:
    step = 1024 / 48000
    return tuple(Packet(1, begin + n * step, begin + n * step, step, is_key=True) for n in range(int(seconds / step)))


def index_of(video: tuple[Packet, ...], audio: tuple[Packet, ...] | None = None) -> PacketIndex:
    return PacketIndex(video, sound(30) if audio is None else audio, None, is_whole=True)


def source_frames(index: PacketIndex, start: float, end: float) -> list[float]:
    return sorted(p.time for p in index.video if p.time is not None and start - GRACE <= p.time < end - GRACE)


def clip_frames(plan: CutPlan) -> list[float]:
    return [plan.origin + frame for frame in plan.frames]


sources = st.builds(
    gops,
    count=st.integers(3, 6),
    length=st.integers(4, 40),
    bframes=st.integers(0, 3),
    is_open=st.booleans(),
    begin=st.sampled_from([0.0, 1.4, 95443.7]),
)


@st.composite
def ranges(draw: st.DrawFn) -> tuple[PacketIndex, Wanted]:
    video = draw(sources)
    begin, last = min(p.time for p in video if p.time is not None), max(p.time for p in video if p.time is not None)
    index = PacketIndex(video, sound(last - begin, begin), None, is_whole=True)
    grid = st.integers(0, round((last - begin) * RATE)).map(lambda n: begin + n / RATE)
    anywhere = st.integers(0, int((last - begin) * 1000)).map(lambda ms: begin + ms / 1000)
    start, end = sorted((draw(grid | anywhere), draw(grid | anywhere)))
    return index, Wanted(start, end + 1 / RATE)


@given(ranges())
def test_exact_holds_every_frame_of_the_range_and_no_other(case: tuple[PacketIndex, Wanted]):
    index, want = case
    plan = cut_plan(MEDIA, index, want, "exact")
    assert clip_frames(plan) == pytest.approx(source_frames(index, want.start, want.end))
    assert plan.are_frames_sure


@given(ranges(), st.sampled_from(["exact", "fast"]))
def test_what_is_copied_is_a_run_of_packets_that_needs_nothing_else(case: tuple[PacketIndex, Wanted], accuracy):
    index, want = case
    plan = cut_plan(MEDIA, index, want, accuracy)
    if plan.how != "copy":
        return
    kept = [n for n, p in enumerate(index.video) if p.time is not None and plan.first_edge <= p.time - plan.origin < plan.last_edge]
    key = index.video[kept[0]]
    assert key.is_key
    assert key.time == plan.origin
    skipped = [index.video[n] for n in range(kept[0], kept[-1] + 1) if n not in kept]
    assert all(p.time is not None and p.time < plan.origin for p in skipped)
    assert not (skipped and accuracy == "exact")
    assert len(kept) == len(plan.frames)
    assert max(p.decode_time for p in (index.video[n] for n in kept) if p.decode_time is not None) - plan.origin == pytest.approx(
        plan.last_decode
    )


@given(ranges())
def test_fast_begins_at_the_keyframe_before_and_covers_the_range(case: tuple[PacketIndex, Wanted]):
    index, want = case
    plan = cut_plan(MEDIA, index, want, "fast")
    keys = [p.time for p in index.video if p.is_key and p.time is not None and p.time <= want.start + GRACE]
    assert plan.how == "copy"
    assert plan.origin == max(keys)
    assert clip_frames(plan) == pytest.approx(source_frames(index, plan.origin, plan.end))
    assert set(source_frames(index, want.start, want.end)) <= set(source_frames(index, plan.origin, plan.end))
    assert len(source_frames(index, want.end, plan.end)) <= 3


@given(ranges())
def test_edges_lie_between_frames(case: tuple[PacketIndex, Wanted]):
    index, want = case
    plan = cut_plan(MEDIA, index, want, "exact", may_copy=False)
    distances = [abs(p.time - plan.origin - edge) for p in index.video if p.time is not None for edge in (plan.first_edge, plan.last_edge)]
    assert min(distances) > 0.2 / RATE


def test_a_closed_group_of_pictures_is_copied():
    plan = cut_plan(MEDIA, index_of(gops(5, 50, 2)), Wanted(2.0, 6.0), "exact")
    assert (plan.how, plan.origin, plan.end, len(plan.frames), plan.copies_audio) == ("copy", 2.0, 6.0, 100, True)


def test_a_start_between_keyframes_is_encoded():
    plan = cut_plan(MEDIA, index_of(gops(5, 50, 2)), Wanted(2.04, 6.0), "exact")
    assert (plan.how, plan.reason) == ("reencode", "the first frame is no keyframe")


def test_an_end_that_needs_a_frame_beyond_it_is_encoded():
    plan = cut_plan(MEDIA, index_of(gops(5, 50, 2)), Wanted(2.0, 5.0 + 2 / RATE), "exact")
    assert (plan.how, plan.reason) == ("reencode", "no run of packets is exactly the range")


def test_times_rounded_to_milliseconds_mean_the_frame_they_were_rounded_from():
    thirds = tuple(replace(p, time=(p.time or 0) * 25 * 1001 / 30000) for p in gops(5, 50, 0))
    plan = cut_plan(MEDIA, index_of(thirds), Wanted(0.067, 0.1), "exact")
    assert clip_frames(plan) == pytest.approx([2 * 1001 / 30000])


def test_sound_of_another_codec_is_encoded_beside_a_copied_picture():
    opus = replace(MEDIA, audio=AudioTrack(codec="opus", sample_rate=48000, channels=2))
    plan = cut_plan(opus, index_of(gops(5, 50, 2)), Wanted(2.0, 6.0), "exact")
    assert (plan.how, plan.has_audio, plan.copies_audio) == ("copy", True, False)


@pytest.mark.parametrize(("codec", "pixel_format"), [("vp9", "yuv420p"), ("h264", "yuv422p10le"), ("mpeg2video", "yuv420p")])
def test_video_that_players_do_not_play_is_encoded(codec: str, pixel_format: str):
    assert MEDIA.video
    assert MEDIA.video_stream
    video = VideoTrack(codec=codec, width=160, height=96, frame_rate=RATE)
    odd = replace(MEDIA, video=video, video_stream=replace(MEDIA.video_stream, pixel_format=pixel_format))
    plan = cut_plan(odd, index_of(gops(5, 50, 2)), Wanted(2.0, 6.0), "fast")
    assert (plan.how, plan.reason) == ("reencode", "MP4 players don't play the source's video")


def test_packets_without_times_are_encoded_and_not_counted():
    blind = tuple(replace(p, time=None) for p in gops(5, 50, 0))
    plan = cut_plan(MEDIA, index_of(blind), Wanted(2.0, 6.0), "exact")
    assert (plan.how, plan.are_frames_sure, len(plan.frames)) == ("reencode", False, 100)


def test_a_range_that_an_index_ends_within_is_not_copied():
    video = tuple(p for p in gops(5, 50, 2) if p.decode_time is not None and p.decode_time < 5.9)
    plan = cut_plan(MEDIA, PacketIndex(video, sound(30), None, is_whole=False), Wanted(2.0, 6.0), "exact")
    assert plan.how == "reencode"


def test_hidden_packets_are_not_shown():
    hidden = tuple(replace(p, is_hidden=(p.time or 0) < 3.0) for p in gops(5, 50, 0))
    plan = cut_plan(MEDIA, index_of(hidden), Wanted(2.0, 4.0), "exact")
    assert plan.frames[0] == 0.0
    assert (plan.is_held, len(plan.frames)) == (True, 25)


@pytest.mark.parametrize(("start", "end"), [(10.0, 11.0), (9.0, 12.0), (9.99, 10.001)])
def test_a_range_with_nothing_in_it_is_refused(start: float, end: float):
    with pytest.raises(Failure) as refused:
        cut_plan(MEDIA, index_of(gops(5, 50, 2), sound(10)), Wanted(start, end), "exact")
    assert refused.value.code is Code.RANGE_OUTSIDE_SOURCE


def test_a_client_counts_from_where_players_do():
    assert wanted(replace(MEDIA, start_time=1.4), 2.0, 4.0) == Wanted(3.4, 5.4)


def test_an_index_covers_a_range_when_a_keyframe_comes_before_it():
    video = gops(5, 50, 2)[1:]
    assert not covers(PacketIndex(video, (), 0.5, is_whole=False), MEDIA, Wanted(1.0, 3.0))
    assert covers(PacketIndex(video, (), 0.5, is_whole=False), MEDIA, Wanted(2.0, 3.0))
    assert covers(PacketIndex(video, (), None, is_whole=False), MEDIA, Wanted(1.0, 3.0))
