"""The command that joins segments, whole; where each slot ends; and which section a segment is read from."""

from dataclasses import replace
from fractions import Fraction

import pytest

from libs.common.domain.failures import Code, Failure
from libs.common.domain.values import Section, Segment
from services.clipper.ffmpeg_plan import Encoding
from services.clipper.join_plan import MIB, Coding, Part, expected_join, join_command, most_parts, slot, source_of, too_many, usual_rate
from services.clipper.output_checks import Sight
from tests.builders import ready

ENCODING = Encoding("ffmpeg", 20, 2)
CODING = Coding(is_hdr=False, channels=2, is_even=True)
GLOBAL = "env MALLOC_ARENA_MAX=2 ffmpeg -hide_banner -nostdin -v error -y -progress pipe:1 -stats_period 0.5"
FLAGS = "-map_chapters -1 -map_metadata -1 -movflags +faststart+negative_cts_offsets"
FIRST = Part(name="part-0.mp4", length=0.1, frames=(0.0, 0.04, 0.08), has_audio=True, sights=(Sight(0.0, b"a"), Sight(0.08, b"b")))
SECOND = replace(FIRST, name="part-1.mp4", length=0.12)
SECTIONS = tuple(
    Section(start=start, end=start + 10.0, source_key=f"sources/{start}", size=5, clock_offset=start) for start in (0.0, 100.0)
)


def source(name: str) -> str:
    return f"-f mov -format_whitelist mov -max_pixels 33177600 -max_streams 64 -protocol_whitelist file -threads 1 -i {name}"


def command(*parts: Part, coding: Coding = CODING) -> str:
    return " ".join(join_command(parts, coding, ENCODING))


def test_pictures_are_put_where_they_belong_and_sound_is_cut_to_the_sample():
    assert command(FIRST, SECOND) == (
        f"{GLOBAL} {source('part-0.mp4')} {source('part-1.mp4')} -filter_complex "
        "[0:v:0]settb=1/90000[s0];[s0]setpts=PTS+0[s1];[s1]format=yuv420p[s2];"
        "[1:v:0]settb=1/90000[s3];[s3]setpts=PTS+9000[s4];[s4]format=yuv420p[s5];[s2][s5]interleave=nb_inputs=2[s6];"
        "[0:a:0]aresample=48000:async=1:first_pts=0:min_hard_comp=0.01[s7];[s7]apad[s8];[s8]atrim=end_sample=4800[s9];"
        "[1:a:0]aresample=48000:async=1:first_pts=0:min_hard_comp=0.01[s10];[s10]apad[s11];[s11]atrim=end_sample=5760[s12];"
        "[s9][s12]concat=a=1:n=2:v=0[s13] "
        "-map [s6] -map [s13] -f mp4 -b:a 192k -c:a aac -c:v libx264 -crf 20 -dn -enc_time_base:v 1:90000 -force_key_frames 0.099000 "
        f"-fps_mode passthrough {FLAGS} -pix_fmt yuv420p -preset veryfast -sn -threads 2 -video_track_timescale 90000 "
        "-x264-params fps=25 clip.mp4"
    )


def test_a_part_without_sound_is_silent():
    silent = command(replace(FIRST, has_audio=False), SECOND)
    assert " -f lavfi -i anullsrc=r=48000 " in silent
    assert ":a:0]atrim=end_sample=4800[" in silent
    assert "-c:a" not in command(*(replace(part, has_audio=False) for part in (FIRST, SECOND)))


def test_hdr_stays_hdr_and_odd_sides_are_made_even():
    hdr = command(FIRST, SECOND, coding=Coding(is_hdr=True, channels=2, is_even=False))
    assert "crop=trunc(iw/2)*2:trunc(ih/2)*2:0:0" in hdr
    assert "-c:v libx265 " in hdr
    assert "-x265-params log-level=error:pools=2:fps=25 clip" in hdr


def test_every_frame_and_every_edge_is_expected_at_its_time():
    expected = expected_join((FIRST, SECOND))
    assert expected.frames == pytest.approx((0.0, 0.04, 0.08, 0.1, 0.14, 0.18))
    assert [(round(sight.at, 3), sight.picture) for sight in expected.sights] == [(0.0, b"a"), (0.08, b"b"), (0.1, b"a"), (0.18, b"b")]
    assert (expected.duration, expected.sound_end) == pytest.approx((0.22, 0.22))


def test_a_slot_ends_with_its_range_and_the_last_with_its_last_frame():
    frames, segment = (0.0, 0.04, 0.08), Segment(start=5.0, end=5.1)
    assert slot(5.0, 5.12, frames, segment, is_last=False) == pytest.approx(0.1)
    assert slot(5.0, 5.12, frames, segment, is_last=True) == pytest.approx(0.12)
    assert slot(5.0, 5.12, frames, Segment(start=5.0, end=5.081), is_last=False) == pytest.approx(0.084)
    assert slot(5.0, 5.1, (), segment, is_last=False) == pytest.approx(0.1)


def test_a_segment_is_read_from_the_section_that_holds_it():
    whole = ready()
    assert source_of(whole, Segment(start=1, end=2)) is whole
    fetched = ready(sections=SECTIONS)
    chosen = source_of(fetched, Segment(start=102, end=110.0004))
    assert (chosen.source_key, chosen.size, chosen.clock_offset, chosen.sections) == ("sources/100.0", 5, 100.0, ())
    with pytest.raises(Failure) as refused:
        source_of(fetched, Segment(start=5, end=12))
    assert refused.value.code is Code.RANGE_OUTSIDE_SOURCE


def test_the_usual_rate_is_that_of_most_frames():
    ntsc = replace(FIRST, frames=tuple(n * 1001 / 30000 for n in range(40)))
    assert usual_rate([ntsc, replace(ntsc, frames=(0.0, 3.0))]) == Fraction(30000, 1001)
    assert usual_rate([replace(FIRST, frames=(0.0,))]) == 25


@pytest.mark.parametrize(("size", "is_hdr", "most"), [((1920, 1080), True, 56), ((3840, 2160), False, 25), ((3840, 2160), True, 6)])
def test_so_many_parts_go_into_four_gibibytes(size: tuple[int, int], is_hdr: bool, most: int):
    assert most_parts(size[0] * size[1], 4096 * MIB, is_hdr=is_hdr) == most


def test_what_does_not_go_into_memory_is_refused_for_good_in_plain_words():
    assert most_parts(7680 * 4320, 2048 * MIB, is_hdr=True) == 0
    refused = too_many(7)
    assert (refused.retryable, refused.code, refused.message) == (
        False,
        Code.INPUT_TOO_LARGE,
        "of a picture as large as this at most 7 segments can be joined",
    )
    assert "7 segments" in refused.hint
    assert too_many(0).message == "the picture is too large to be joined from segments"


def test_a_section_in_another_container_is_read_as_that() -> None:
    elsewhere = Section(start=100, end=120, source_key="b", size=2, container="mpegts")
    fetched = ready(container="mov", sections=(Section(start=0, end=10, source_key="a", size=1), elsewhere))
    assert [source_of(fetched, Segment(start=at, end=at + 1)).container for at in (1, 101)] == ["mov", "mpegts"]
