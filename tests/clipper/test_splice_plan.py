"""The decision what is copied and what is encoded anew, on made-up streams whose every reference is known."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from libs.common.domain.failures import Code, Failure
from services.clipper.bitstream.random_access import RandomAccess
from services.clipper.splice_plan import FEWEST_COPIED, HELD_FRAMES, Pictures, Reason, SplicePlan, Stretch, splice_plan
from tests.clipper.made_up import Case, Group, Stream, cases, coded
from tests.thorough import IS_THOROUGH

USABLE = (RandomAccess.CLEAN, RandomAccess.OPEN)
unhurried = settings(max_examples=100 if IS_THOROUGH else 60, deadline=None)


def planned(case: Case) -> SplicePlan:
    assume(case.plan is not None)
    assert case.plan is not None
    return case.plan


def parts(plan: SplicePlan, pictures: Pictures) -> list[int]:
    """When the frames of head, copied and tail are shown."""
    middle = sorted(int(pictures.present[place]) for place in plan.copied)
    return [*(plan.head.frames if plan.head else ()), *middle, *(plan.tail.frames if plan.tail else ())]


def keyframe_before(case: Case) -> int | None:
    """The last one at or before the start, if decoding can begin there."""
    stream = case.stream
    keys = [place for place, picture in enumerate(stream.pictures) if picture.access and stream.time(place) <= case.start]
    last = max(keys, key=stream.time, default=None)
    return last if last is not None and stream.is_seen(last) and stream.pictures[last].access in USABLE else None


def runs(case: Case, begin: int) -> Iterator[list[int]]:
    """The sets of pictures from a keyframe on, in decode order, that are shown one after the other with nothing missing between them."""
    stream = case.stream
    places = [place for place in range(begin, len(stream.pictures)) if stream.time(place) >= stream.time(begin)]
    seen = [time for time in stream.seen if time >= stream.time(begin)]
    unmet: set[int] = set()
    for count, (place, time) in enumerate(zip(places, seen, strict=False), 1):
        unmet ^= {stream.time(place)} ^ {time}
        if not unmet:
            yield places[:count]


def is_exact(case: Case) -> bool:
    return case.accuracy == "exact" or keyframe_before(case) is None


@given(cases().filter(is_exact))
@unhurried
def test_the_parts_are_exactly_the_frames_of_the_range_each_once_and_in_order(case: Case):
    plan = planned(case)
    assert parts(plan, case.window[0]) == case.asked
    assert list(plan.frames[1:]) == case.asked[1:]


@given(cases())
@unhurried
def test_a_copied_picture_refers_only_to_those_copied_before_it(case: Case):
    planned(case)
    before: set[int] = set()
    for place in case.copied:
        assert case.stream.pictures[place].needs <= before
        assert before or case.stream.pictures[place].access in USABLE
        assert case.stream.is_seen(place)
        before.add(place)
    assert case.copied == sorted(before)


@given(cases())
@unhurried
def test_all_that_the_encoded_frames_refer_to_is_there_to_be_decoded(case: Case):
    plan, places, stream = planned(case), case.window[1], case.stream
    for stretch in filter(None, (plan.head, plan.tail)):
        decoded = {places[place] for place in stretch.needed}
        frames = {place for place in decoded if stream.is_seen(place) and stream.time(place) in stretch.frames}
        assert len(frames) == len(stretch.frames)
        assert stream.needed(frames) <= decoded
        assert stream.pictures[min(decoded)].access


@given(cases().filter(is_exact))
@unhurried
def test_as_much_is_copied_as_can_be_from_the_first_keyframe_on(case: Case):
    planned(case)
    stream, asked = case.stream, set(case.asked)
    keys = [n for n, picture in enumerate(stream.pictures) if picture.access in USABLE and stream.is_seen(n) and stream.time(n) in asked]
    most = [run for run in runs(case, keys[0]) if asked.issuperset(map(stream.time, run))][-1] if keys else []
    assert case.copied == (most if len(most) in (len(asked), *range(FEWEST_COPIED, len(asked))) else [])


@given(cases("fast").filter(lambda case: not is_exact(case)))
@unhurried
def test_fast_is_a_copy_from_the_keyframe_before_to_the_first_place_where_nothing_is_missing(case: Case):
    plan, begin = planned(case), keyframe_before(case)
    assert begin is not None
    possible = list(runs(case, begin))
    complete = [run for run in possible if max(map(case.stream.time, run)) >= case.asked[-1]]
    assert (plan.how, plan.reason) == ("copy", Reason.FAST)
    assert case.copied == (complete[0] if complete else possible[-1])
    assert list(plan.frames) == parts(plan, case.window[0])


@given(cases())
@unhurried
def test_the_reason_says_what_was_done(case: Case):
    plan = planned(case)
    shape = (plan.head is not None, bool(plan.copied), plan.tail is not None)
    assert shape in {
        Reason.FAST: {(False, True, False)},
        Reason.ON_KEYFRAME: {(False, True, False)},
        Reason.OFF_KEYFRAME: {(True, True, False), (True, True, True)},
        Reason.END_ACROSS_FRAMES: {(False, True, True)},
        Reason.NO_KEYFRAME_INSIDE: {(True, False, False)},
    }.get(plan.reason, ())
    assert plan.how == ("reencode" if not shape[1] else "smart" if shape[0] or shape[2] else "copy")


@given(cases())
@unhurried
def test_the_clip_begins_with_its_first_frame_and_ends_after_its_last(case: Case):
    plan, frame = planned(case), case.window[0].frame
    times = parts(plan, case.window[0])
    is_held = is_exact(case) and times[0] - case.start > HELD_FRAMES * frame
    assert plan.frames[0] == plan.origin == (case.start if is_held else times[0])
    following = min((time for time in case.stream.seen if time > times[-1]), default=None)
    assert plan.end > times[-1]
    assert following is None or plan.end <= following
    assert following is None or following > times[-1] + frame or plan.end == following


@given(cases())
@unhurried
def test_there_is_a_plan_wherever_decoding_can_begin_before_the_range(case: Case):
    assert (case.plan is None) == (case.stream.time(0) > case.asked[0])


@st.composite
def hostile(draw: st.DrawFn) -> Pictures:
    """Pictures with any times, any keyframes, any of them hidden."""
    count = draw(st.integers(1, 12))
    present = draw(st.lists(st.integers(-3, 12), min_size=count, max_size=count))
    hidden = draw(st.lists(st.booleans(), min_size=count, max_size=count))
    access = draw(st.dictionaries(st.integers(0, count - 1), st.sampled_from(RandomAccess), max_size=count))
    following = draw(st.none() | st.integers(-3, 20))
    return Pictures(
        present=np.array(present), is_hidden=np.array(hidden), access=access, frame=draw(st.integers(1, 3)), following=following
    )


@given(hostile(), st.integers(-3, 12), st.integers(1, 12), st.sampled_from(["exact", "fast"]))
@example(
    Pictures(present=np.array([12, 10]), is_hidden=np.zeros(2, bool), access={1: RandomAccess.CLEAN}, frame=1, following=None),
    10,
    3,
    "exact",
)
@settings(max_examples=300 if IS_THOROUGH else 100, deadline=None)
def test_pictures_that_make_no_sense_are_planned_whole_or_not_at_all(pictures: Pictures, start: int, length: int, accuracy):
    assume(((pictures.present >= start) & (pictures.present < start + length) & ~pictures.is_hidden).any())
    plan = splice_plan(pictures, start, start + length, accuracy)
    if plan is None:
        return
    frames = parts(plan, pictures)
    assert frames == sorted(set(frames))
    assert frames[1:] == list(plan.frames[1:])
    assert plan.end > plan.frames[-1]
    assert not any(pictures.is_hidden[place] for place in plan.copied)


# What it comes to, on streams that are easily drawn.


def every_second(*groups: Group, count: int = 3, visible: range | None = None) -> Stream:
    """25 frames a second from zero on."""
    pictures = coded(groups or [Group(25, bframes=2)] * count)
    return Stream(pictures, [40 * n for n in range(len(pictures))], visible or range(len(pictures)))


def plan_of(stream: Stream, start: int, end: int, accuracy: str = "exact") -> SplicePlan:
    plan = Case(stream, start, end, accuracy).plan
    assert plan is not None
    return plan


def test_from_a_keyframe_on_all_is_copied():
    plan = plan_of(every_second(), 1000, 2000)
    assert (plan.how, plan.reason, plan.origin, plan.end, len(plan.copied)) == ("copy", Reason.ON_KEYFRAME, 1000, 2000, 25)


def test_between_keyframes_only_the_frames_before_the_next_one_are_encoded():
    plan = plan_of(every_second(), 800, 2000)
    assert (plan.how, plan.reason, plan.tail) == ("smart", Reason.OFF_KEYFRAME, None)
    assert plan.head == Stretch(range(25), (800, 840, 880, 920, 960))
    assert plan.frames == tuple(range(800, 2000, 40))


def test_frames_at_the_end_that_need_one_beyond_it_are_encoded():
    plan = plan_of(every_second(), 1000, 1800)  # frame 44 refers to frame 46
    assert (plan.how, plan.reason, plan.head) == ("smart", Reason.END_ACROSS_FRAMES, None)
    assert plan.tail is not None
    assert plan.tail.frames == (1760,)


def test_without_a_keyframe_inside_all_is_encoded():
    plan = plan_of(every_second(), 1040, 1960)
    assert (plan.how, plan.reason, plan.tail) == ("reencode", Reason.NO_KEYFRAME_INSIDE, None)
    assert plan.head is not None
    assert plan.head.frames == tuple(range(1040, 1960, 40))


def test_a_few_frames_are_not_worth_a_seam():
    assert plan_of(every_second(), 960, 1000 + 40 * (FEWEST_COPIED - 1)).how == "reencode"
    assert plan_of(every_second(Group(25), Group(25)), 960, 1000 + 40 * FEWEST_COPIED).how == "smart"


def test_pictures_shown_before_an_open_keyframe_are_left_out_of_the_copy():
    stream = every_second(Group(22, bframes=2), Group(25, bframes=2, kind="open", leading=3))
    plan = plan_of(stream, 800, 2000)
    assert plan.head is not None
    assert plan.head.frames == (800, 840, 880, 920, 960)
    assert plan.head.needed == range(26)  # with the keyframe, to which its leading pictures refer
    assert plan.copied == (22, *range(26, 50))


def test_an_open_keyframe_of_h264_is_no_place_to_begin():
    stream = every_second(Group(22, bframes=2), Group(25, bframes=2, kind="h264 open", leading=3), Group(25))
    assert plan_of(stream, 1000, 2000).how == "reencode"
    assert min(plan_of(stream, 1000, 3000).frames) == 1000
    assert plan_of(stream, 1000, 3000).how == "smart"


def test_fast_begins_at_the_keyframe_before_and_ends_with_the_anchor_after():
    plan = plan_of(every_second(), 1400, 1800, "fast")
    assert (plan.how, plan.reason, plan.origin, plan.end) == ("copy", Reason.FAST, 1000, 1880)


def test_fast_without_a_keyframe_before_is_exact():
    stream = every_second(Group(25, kind="h264 open"), Group(25), Group(25))
    plan = plan_of(stream, 600, 2000, "fast")
    assert (plan.how, plan.reason, plan.origin) == ("smart", Reason.OFF_KEYFRAME, 600)


def test_a_frame_that_comes_late_is_shown_from_the_start_on():
    stream = Stream(coded([Group(30)] * 2), [*range(0, 800, 40), *range(2000, 3600, 40)], range(60))
    plan = plan_of(stream, 1000, 3000)
    assert (plan.origin, plan.frames[:3]) == (1000, (1000, 2040, 2080))


def test_the_last_frame_before_a_standstill_is_held_to_the_end():
    stream = Stream(coded([Group(30)] * 2), [*range(0, 1600, 40), *range(4000, 4800, 40)], range(60))
    assert plan_of(stream, 1200, 3000).end == 3000
    assert plan_of(stream, 1200, 1500).end == 1520


def test_the_last_frame_of_the_source_is_shown_for_its_time():
    assert plan_of(every_second(), 1000, 5000).end == 3000


def test_hidden_pictures_are_decoded_but_not_shown():
    plan = plan_of(every_second(visible=range(10, 75)), 0, 2000)
    assert (plan.how, plan.origin, plan.frames[1]) == ("smart", 0, 440)
    assert plan.head is not None
    assert plan.head.needed.start == 0


def test_two_pictures_at_one_time_are_not_told_apart():
    twice = Pictures(present=np.array([0, 40, 40]), is_hidden=np.zeros(3, bool), access={0: RandomAccess.CLEAN}, frame=40, following=None)
    assert splice_plan(twice, 0, 100, "exact") is None
    assert splice_plan(replace(twice, access={}), 0, 30, "exact") is None


@pytest.mark.parametrize(("start", "end"), [(3000, 4000), (-500, 0), (1001, 1039)])
def test_a_range_without_a_picture_is_refused(start: int, end: int):
    with pytest.raises(Failure) as refused:
        Case(every_second(), start, end, "exact").plan  # noqa: B018  it is made when it is asked for
    assert refused.value.code is Code.RANGE_OUTSIDE_SOURCE
