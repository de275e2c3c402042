"""How ffmpeg by itself makes a clip, on made-up packets: what is encoded is exactly the frames of the range."""

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.domain.failures import Code, Failure
from libs.common.domain.values import AudioTrack, VideoTrack
from libs.common.runtime.media import Media, Packet, VideoStream
from services.clipper.cut_plan import LONGEST_AUDIO_PACKET, CutPlan, covers, cut_plan, sound_plan
from services.clipper.frames import GRACE, PacketIndex, Wanted, wanted
from services.clipper.splice_plan import Reason

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

SOUND = replace(MEDIA, video=None, video_stream=None)


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


def planned(index: PacketIndex, want: Wanted, accuracy: str = "exact", media: Media = MEDIA) -> CutPlan:
    return cut_plan(media, index, want, accuracy, Reason.FORMAT)


@given(ranges(), st.sampled_from(["exact", "fast"]))
def test_a_clip_holds_every_frame_of_the_range_and_no_other(case: tuple[PacketIndex, Wanted], accuracy: str):
    index, want = case
    plan = planned(index, want, accuracy)
    assert (plan.how, plan.reason) == ("reencode", Reason.FORMAT)
    assert clip_frames(plan) == pytest.approx(source_frames(index, want.start, want.end))
    assert plan.are_frames_sure


@given(ranges())
def test_edges_lie_between_frames(case: tuple[PacketIndex, Wanted]):
    index, want = case
    plan = planned(index, want)
    distances = [abs(p.time - plan.origin - edge) for p in index.video if p.time is not None for edge in (plan.first_edge, plan.last_edge)]
    assert min(distances) > 0.2 / RATE


@given(ranges())
def test_a_clip_ends_when_its_last_frame_and_its_sound_are_over(case: tuple[PacketIndex, Wanted]):
    index, want = case
    plan = planned(index, want)
    last, following = source_frames(index, want.start, want.end)[-1], source_frames(index, want.end, 1e9)[:1]
    assert plan.end == pytest.approx(max(min([*following, last + 1 / RATE]), plan.end if plan.has_audio else 0.0))
    assert plan.audio_end == pytest.approx(want.end - plan.origin)


def test_a_clip_says_why_it_was_not_spliced():
    assert cut_plan(MEDIA, index_of(gops(5, 50, 2)), Wanted(2.0, 6.0), "exact", Reason.UNVERIFIED).reason is Reason.UNVERIFIED


def test_times_rounded_to_milliseconds_mean_the_frame_they_were_rounded_from():
    thirds = tuple(replace(p, time=(p.time or 0) * 25 * 1001 / 30000) for p in gops(5, 50, 0))
    plan = planned(index_of(thirds), Wanted(0.067, 0.1))
    assert clip_frames(plan) == pytest.approx([2 * 1001 / 30000])


def test_sound_alone_is_encoded_from_the_start_to_the_sample():
    plan = planned(PacketIndex((), sound(30), None, is_whole=True), Wanted(2.345, 6.0), media=SOUND)
    assert (plan.how, plan.reason, plan.origin, plan.end, plan.audio_end) == ("reencode", Reason.AUDIO_ONLY, 2.345, 6.0, 6.0 - 2.345)
    assert (plan.frames, plan.has_video, plan.has_audio) == ((), False, True)


def test_sound_alone_is_copied_from_the_nearest_packet_when_it_is_to_be_fast():
    plan = planned(PacketIndex((), sound(30), None, is_whole=True), Wanted(2.345, 6.0), "fast", SOUND)
    assert (plan.how, plan.reason) == ("copy", Reason.FAST)
    assert plan.origin == 110 * 1024 / 48000


@pytest.mark.parametrize(("codec", "packet"), [("opus", 0.02), ("aac", LONGEST_AUDIO_PACKET + 0.001), ("aac", 0.0)])
def test_sound_that_players_do_not_play_or_that_is_laid_too_roughly_is_encoded_even_when_fast(codec: str, packet: float):
    media = replace(SOUND, audio=AudioTrack(codec=codec, sample_rate=48000, channels=2))
    packets = tuple(replace(p, duration=packet) for p in sound(30))
    assert planned(PacketIndex((), packets, None, is_whole=True), Wanted(2.0, 6.0), "fast", media).how == "reencode"


def test_sound_beside_a_spliced_picture_is_read_from_before_it():
    plan = sound_plan(MEDIA, 5.0, 7.5)
    assert plan is not None
    assert (plan.how, plan.seek, plan.origin, plan.end, plan.audio_end) == ("reencode", 3.0, 5.0, 7.5, 2.5)
    assert (plan.has_video, plan.has_audio) == (False, True)
    near = sound_plan(MEDIA, 1.0, 2.0)
    assert near is not None
    assert near.seek is None
    assert sound_plan(replace(MEDIA, audio=None), 5.0, 7.5) is None


def test_packets_without_times_are_encoded_and_not_counted():
    blind = tuple(replace(p, time=None) for p in gops(5, 50, 0))
    plan = planned(index_of(blind), Wanted(2.0, 6.0))
    assert (plan.how, plan.are_frames_sure, len(plan.frames)) == ("reencode", False, 100)


def test_what_precedes_the_first_keyframe_does_not_come_out():
    plan = planned(PacketIndex(gops(5, 50, 0)[10:], sound(30), None, is_whole=True), Wanted(0.5, 4.0))
    assert (plan.is_held, plan.frames[1], plan.are_frames_sure) == (True, 2.04 - 0.5, True)


def test_frames_shown_before_the_first_keyframe_may_not_come_out():
    video = gops(3, 25, 2, is_open=True)
    cut_off = video[next(n for n, p in enumerate(video) if p.time == 1.0) :]
    index = PacketIndex(cut_off, sound(30), None, is_whole=True)
    assert not planned(index, Wanted(0.5, 2.0)).are_frames_sure
    assert planned(index, Wanted(1.0, 2.0)).are_frames_sure


def test_a_picture_without_a_keyframe_is_unreadable():
    index = index_of(tuple(replace(p, is_key=False) for p in gops(5, 50, 0)))
    with pytest.raises(Failure) as refused:
        planned(index, Wanted(2.0, 4.0))
    assert refused.value.code is Code.SOURCE_UNREADABLE


def test_hidden_packets_are_not_shown():
    hidden = tuple(replace(p, is_hidden=(p.time or 0) < 3.0) for p in gops(5, 50, 0))
    plan = planned(index_of(hidden), Wanted(2.0, 4.0))
    assert plan.frames[0] == 0.0
    assert (plan.is_held, len(plan.frames)) == (True, 25)


@pytest.mark.parametrize(("start", "end"), [(10.0, 11.0), (9.0, 12.0), (9.99, 10.001)])
def test_a_range_with_nothing_in_it_is_refused(start: float, end: float):
    with pytest.raises(Failure) as refused:
        planned(index_of(gops(5, 50, 2), sound(10)), Wanted(start, end))
    assert refused.value.code is Code.RANGE_OUTSIDE_SOURCE


def test_a_client_counts_from_where_players_do():
    assert wanted(1.4, 2.0, 4.0) == Wanted(3.4, 5.4)


def test_an_index_covers_a_range_when_a_keyframe_comes_before_it():
    video = gops(5, 50, 2)[1:]
    assert not covers(PacketIndex(video, (), 0.5, is_whole=False), MEDIA, Wanted(1.0, 3.0))
    assert covers(PacketIndex(video, (), 0.5, is_whole=False), MEDIA, Wanted(2.0, 3.0))
    assert covers(PacketIndex(video, (), None, is_whole=False), MEDIA, Wanted(1.0, 3.0))
