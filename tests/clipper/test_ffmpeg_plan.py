"""The commands, whole. What they do is shown in test_cutting and test_burning; here it is seen when one changes."""

from dataclasses import replace

from libs.common.runtime.media import Media
from services.clipper.cut_plan import cut_plan
from services.clipper.ffmpeg_plan import Encoding, burn_command, clip_thumb_command, cut_command, decode_command, source_thumb_command
from services.clipper.frames import Wanted
from tests.clipper.test_cut_plan import MEDIA, gops, index_of

URL = "http://127.0.0.1:9/token"
ENCODING = Encoding("ffmpeg", 20, 2)
GLOBAL = "ffmpeg -hide_banner -nostdin -v error -y"
PROGRESS = "-progress pipe:1 -stats_period 0.5"
INDEX = index_of(gops(5, 50, 2))


def source(offset: str, seek: str = "", guards: str = "-protocol_whitelist http,tcp") -> str:
    return (
        f"-f mov -format_whitelist mov -itsoffset {offset} -max_pixels 33177600 -max_streams 64 -noaccurate_seek "
        f"{guards} -seek_timestamp 1 {seek}-threads 2 -i {URL}"
    )


def local(name: str) -> str:
    return f"-f mov -format_whitelist mov -max_pixels 33177600 -max_streams 64 -protocol_whitelist file -threads 2 -i {name}"


def cut(want: Wanted, media: Media = MEDIA) -> str:
    return " ".join(cut_command(URL, media, cut_plan(media, INDEX, want, "exact"), ENCODING))


def test_a_copy():
    assert cut(Wanted(2.0, 6.0)) == (
        f"{GLOBAL} {PROGRESS} {source('-1.990000')} -map 0:0 -map 0:1 -f mp4 "
        r"-bsf:v noise=amount=0:drop=lt(pts*tb\,0.000000)+gte(pts*tb\,4.000000) -c:a copy -c:v copy -copypriorss 0 -dn "
        "-map_chapters -1 -map_metadata -1 -movflags +faststart+negative_cts_offsets -output_ts_offset -0.010000 -sn "
        "-t 3.994000 -video_track_timescale 12800 clip.mp4"
    )


def test_a_re_encode():
    assert cut(Wanted(3.0, 5.0)) == (
        f"{GLOBAL} {PROGRESS} {source('-3.000000')} -map 0:0 -map 0:1 -f mp4 -b:a 192k -c:a aac -c:v libx264 -crf 20 -dn "
        "-enc_time_base:v 1:12800 -filter:a atrim=start=0.000000:end=2.000000,aresample=async=1:min_hard_comp=0.01:first_pts=0 "
        "-filter:v trim=start=-0.010000:end=1.990000 -fps_mode vfr -map_chapters -1 -map_metadata -1 "
        "-movflags +faststart+negative_cts_offsets -pix_fmt yuv420p -preset veryfast -sn -threads 2 clip.mp4"
    )


def test_the_source_is_read_from_where_its_packets_were():
    plan = cut_plan(MEDIA, INDEX, Wanted(3.0, 5.0), "exact")
    seeking = replace(plan, seek=2.0)
    assert source("-1.000000", "-ss 2.000000 ") in " ".join(cut_command(URL, MEDIA, seeking, ENCODING))
    transport = " ".join(cut_command(URL, replace(MEDIA, container="mpegts"), seeking, ENCODING))
    assert "-copyts -f mpegts -format_whitelist mpegts -itsoffset -3.000000" in transport


def test_subtitles_are_drawn_with_names_that_need_no_escaping():
    assert " ".join(burn_command(MEDIA, ENCODING, has_fonts=True)) == (
        f"{GLOBAL} {PROGRESS} {local('clip.mp4')} -map 0:0 -map 0:1 -f mp4 -c:a copy -c:v libx264 -crf 20 -dn -enc_time_base:v 1:12800 "
        "-filter:v ass=filename=subs.ass:fontsdir=fonts -fps_mode vfr -map_chapters -1 -map_metadata -1 "
        "-movflags +faststart+negative_cts_offsets -pix_fmt yuv420p -preset veryfast -sn -threads 2 clip.subbed.mp4"
    )


def test_a_clip_is_decoded_without_forgiveness():
    assert " ".join(decode_command("clip.mp4", ENCODING)) == f"{GLOBAL} -xerror {local('clip.mp4')} -f null -fps_mode vfr -map 0 -"


def test_first_frames_are_compared_tiny_and_gray():
    plan = cut_plan(MEDIA, INDEX, Wanted(3.0, 5.0), "exact")
    picture = "scale=64:36:flags=area,format=gray -fps_mode passthrough -frames:v 1 -"
    assert " ".join(clip_thumb_command("clip.mp4", ENCODING)) == f"{GLOBAL} {local('clip.mp4')} -map 0:v:0 -f rawvideo -filter:v {picture}"
    thumb = " ".join(source_thumb_command(URL, MEDIA, plan, ENCODING))
    assert thumb == f"{GLOBAL} {source('-3.000000')} -map 0:0 -f rawvideo -filter:v trim=start=-0.010000,{picture}"
