"""The commands, whole. What they do is shown in test_cutting and test_burning; here it is seen when one changes."""

from dataclasses import replace
from fractions import Fraction

from libs.common.domain.values import VideoTrack
from libs.common.runtime.media import Media, VideoStream
from services.clipper.cut_plan import CutPlan, cut_plan, sound_plan
from services.clipper.ffmpeg_plan import (
    SOUND,
    Edge,
    Encoding,
    burn_command,
    cut_command,
    edge_command,
    source_thumb_command,
    window_command,
)
from services.clipper.frames import Wanted
from services.clipper.splice_plan import Reason
from tests.clipper.test_cut_plan import MEDIA, gops, index_of
from tests.clipper.test_cut_plan import SOUND as SOUND_ONLY

URL = "http://127.0.0.1:9/token"
ENCODING = Encoding("ffmpeg", 20, 2)
GLOBAL = "ffmpeg -hide_banner -nostdin -v error -y"
PROGRESS = "-progress pipe:1 -stats_period 0.5"
RESAMPLED = "aresample=async=1:min_hard_comp=0.01:first_pts=0,aformat=channel_layouts=mono|stereo|3.0|4.0|5.0|5.1|7.1"
INDEX = index_of(gops(5, 50, 2))


def source(offset: str, seek: str = "", guards: str = "-protocol_whitelist http,tcp") -> str:
    return (
        f"-f mov -format_whitelist mov -itsoffset {offset} -max_pixels 33177600 -max_streams 64 -noaccurate_seek "
        f"{guards} -seek_timestamp 1 {seek}-threads 2 -i {URL}"
    )


def local(name: str) -> str:
    return f"-f mov -format_whitelist mov -max_pixels 33177600 -max_streams 64 -protocol_whitelist file -threads 2 -i {name}"


def plan(start: float, end: float, accuracy: str = "exact", media: Media = MEDIA) -> CutPlan:
    return cut_plan(media, INDEX, Wanted(start, end), accuracy, Reason.FORMAT)


def cut(plan: CutPlan, media: Media = MEDIA, **output: str) -> str:
    return " ".join(cut_command(URL, media, plan, ENCODING, **output))


def test_a_re_encode():
    assert cut(plan(3.0, 5.0)) == (
        f"{GLOBAL} {PROGRESS} {source('-3.000000')} -map 0:0 -map 0:1 -f mp4 -b:a 192k -c:a aac -c:v libx264 -crf 20 -dn "
        f"-enc_time_base:v 1:12800 -filter:a atrim=start=0:end=2.000000,{RESAMPLED} "
        "-filter:v trim=start=-0.010000:end=1.990000 -fps_mode vfr -map_chapters -1 -map_metadata -1 "
        "-movflags +faststart+negative_cts_offsets -pix_fmt yuv420p -preset veryfast -sn -threads 2 clip.mp4"
    )


def test_a_copy_of_sound():
    assert cut(plan(3.0, 5.0, "fast", SOUND_ONLY), SOUND_ONLY) == (
        f"{GLOBAL} {PROGRESS} {source('-3.007000')} -map 0:1 -f mp4 -c:a copy -copypriorss 0 -dn -map_chapters -1 -map_metadata -1 "
        "-movflags +faststart+negative_cts_offsets -output_ts_offset -0.001000 -sn -t 1.985000 clip.mp4"
    )


def test_sound_for_a_spliced_picture():
    spliced = sound_plan(MEDIA, 3.0, 5.0)
    assert spliced is not None
    assert cut(spliced, output=SOUND) == (
        f"{GLOBAL} {PROGRESS} {source('-2.000000', '-ss 1.000000 ')} -map 0:1 -f mp4 -b:a 192k -c:a aac -dn "
        f"-filter:a atrim=start=0:end=2.000000,{RESAMPLED} "
        "-map_chapters -1 -map_metadata -1 -movflags +faststart+negative_cts_offsets -sn sound.mp4"
    )


def test_a_held_frame_is_moved_to_zero_and_odd_sides_are_made_even():
    odd = replace(MEDIA, video=VideoTrack(codec="vp9", width=159, height=96, frame_rate=25))
    held = replace(plan(3.0, 5.0), is_held=True)
    assert r",setpts=if(eq(N\,0)\,0\,PTS),crop=trunc(iw/2)*2:trunc(ih/2)*2:0:0 -fps_mode" in cut(held, odd)
    thin = replace(MEDIA, video=VideoTrack(codec="ffv1", width=1, height=1, frame_rate=25))
    assert r",scale=max(2\,trunc(iw/2)*2):max(2\,trunc(ih/2)*2) -fps_mode" in cut(plan(3.0, 5.0), thin)


def test_the_source_is_read_from_where_its_packets_were():
    seeking = replace(plan(3.0, 5.0), seek=2.0)
    assert source("-1.000000", "-ss 2.000000 ") in cut(seeking)
    assert "-copyts -f mpegts -format_whitelist mpegts -itsoffset -3.000000" in cut(seeking, replace(MEDIA, container="mpegts"))


def test_a_window_is_copied_as_it_is_onto_a_clock_that_is_never_negative():
    assert " ".join(window_command(URL, MEDIA, 1.0, 7.0, -10, ENCODING, audio=True)) == (
        f"{GLOBAL} {PROGRESS} -copyts {source('10.000000', '-ss 1.000000 ')} -map 0:0 -map 0:1 -f mp4 -c copy -dn "
        "-map_chapters -1 -map_metadata -1 -movie_timescale 35280000 -sn -to 17.000000 -video_track_timescale 12800 window.mp4"
    )


def test_a_window_of_h265_is_one_that_players_know_and_sound_that_mp4_does_not_hold_stays_out():
    video = VideoTrack(codec="hevc", width=160, height=96, frame_rate=25)
    stream = VideoStream(index=2, time_base=Fraction(1, 90000), pixel_format="yuv420p", rotation=0)
    command = window_command(
        URL, replace(MEDIA, container="mpegts", video=video, video_stream=stream), None, 7.0, -10, ENCODING, audio=False
    )
    assert " -map 0:2 -f mp4 -c copy " in " ".join(command)
    assert command[-7:] == ["-tag:v", "hvc1", "-to", "17.000000", "-video_track_timescale", "90000", "window.mp4"]
    assert "-ss" not in command


def test_an_edge_is_encoded_by_ticks_and_its_first_frame_kept_aside():
    edge = Edge("head", "yuv420p", {"c:v": "libx264", "preset": "veryfast", "x264-params": "sps-id=1:open-gop=0"})
    assert " ".join(edge_command(edge, 512, 1025, 12800, ENCODING)) == (
        f"{GLOBAL} {PROGRESS} -copyts {local('head.in.mp4')} -filter_complex [0:v:0]trim=end_pts=1025:start_pts=512[s0];"
        "[s0]setpts=PTS-STARTPTS[s1];[s1]split=2[s2][s3];[s3]trim=end_frame=1[s4];[s4]scale=64:36:flags=area[s5];[s5]format=gray[s6] "
        "-map [s2] -f mp4 -c:v libx264 -crf 20 -enc_time_base:v 1:12800 -fps_mode passthrough -pix_fmt yuv420p -preset veryfast "
        "-threads 2 -video_track_timescale 12800 -x264-params sps-id=1:open-gop=0 head.mp4 -map [s6] -f rawvideo head.gray"
    )


def test_subtitles_are_drawn_with_names_that_need_no_escaping():
    assert " ".join(burn_command(12800, ENCODING, has_audio=True)) == (
        f"env FONTCONFIG_PATH=. FONTCONFIG_FILE=fonts.conf {GLOBAL} {PROGRESS} {local('clip.mp4')} -map 0:v:0 -map 0:a:0 -f mp4 -c:a copy "
        "-c:v libx264 -crf 20 -dn -enc_time_base:v 1:12800 -filter:v ass=filename=subs.ass -fps_mode vfr -map_chapters -1 -map_metadata -1 "
        "-movflags +faststart+negative_cts_offsets -pix_fmt yuv420p -preset veryfast -sn -threads 2 clip.subbed.mp4"
    )


def test_pixels_that_are_not_square_are_told_to_libass():
    assert "ass=filename=subs.ass:original_size=1024x576" in burn_command(12800, ENCODING, has_audio=True, original_size=(1024, 576))


def test_what_is_hdr_keeps_its_ten_bits():
    command = " ".join(burn_command(12800, ENCODING, has_audio=True, is_hdr=True))
    assert "-c:v libx265 " in command
    assert "-pix_fmt yuv420p10le -preset veryfast -sn -tag:v hvc1 -threads 2 -x265-params log-level=error:pools=2 clip" in command


def test_the_first_frame_is_compared_tiny_and_gray():
    picture = "scale=64:36:flags=area,format=gray -fps_mode passthrough -frames:v 1 -"
    thumb = " ".join(source_thumb_command(URL, MEDIA, plan(3.0, 5.0), ENCODING))
    assert thumb == f"{GLOBAL} {source('-3.000000')} -map 0:0 -f rawvideo -filter:v trim=start=-0.010000,{picture}"
