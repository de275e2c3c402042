"""What ffprobe says of real files, and what is made of a hostile file's words."""

from fractions import Fraction
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.domain.failures import Code, Failure
from libs.common.runtime.media import DEMUXERS, Media, Packet, media, packet_of, packets_command, probe_command
from libs.common.runtime.probe import packets, probe
from libs.common.runtime.process import Limits
from tests import media as made

LIMITS = Limits(wall=20, memory=2 << 30)


async def probed(path: Path, demuxer: str) -> Media:
    return await probe(str(path), demuxer, program=made.FFPROBE, limits=LIMITS)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made.make(tmp_path_factory.mktemp("probe") / "plain.mp4", frames=120, rate="30000/1001")


async def test_a_video_is_described(plain: Path):
    found = await probed(plain, "mov")
    assert found.video
    assert (found.video.codec, found.video.width, found.video.height) == ("h264", 160, 96)
    assert found.video.frame_rate == pytest.approx(29.97, abs=0.01)
    assert found.audio
    assert (found.audio.codec, found.audio.sample_rate, found.audio.channels) == ("aac", 48000, 1)
    assert found.video_stream
    assert (found.video_stream.index, found.video_stream.pixel_format, found.video_stream.rotation) == (0, "yuv420p", 0)
    assert (found.audio_index, found.streams, found.start_time) == (1, 2, 0.0)
    assert found.duration == pytest.approx(4.004, abs=0.02)


async def test_rotation_is_clockwise(plain: Path, tmp_path: Path):
    found = await probed(made.turned(made.remuxed(plain, tmp_path / "turned.mp4")), "mov")
    assert found.video_stream
    assert found.video_stream.rotation == 90


async def test_a_transport_stream_says_where_its_clock_begins(plain: Path, tmp_path: Path):
    found = await probed(made.remuxed(plain, tmp_path / "plain.ts", "-output_ts_offset", "900"), "mpegts")
    assert found.start_time > 900
    assert found.video_stream
    assert found.video_stream.time_base == Fraction(1, 90_000)


async def test_cover_art_is_no_video(tmp_path: Path):
    cover = made.make(tmp_path / "cover.jpg", frames=1, video=("-c:v", "mjpeg", "-pix_fmt", "yuvj420p"), audio=None)
    sound = made.make(tmp_path / "sound.mp3", video=None, audio=("-c:a", "libmp3lame"))
    song = made.remuxed(sound, tmp_path / "song.mp3", "-map", "1", "-disposition:v", "attached_pic", plus=cover)
    found = await probed(song, "mp3")
    assert (found.video, found.streams) == (None, 2)
    assert found.audio
    assert found.audio.codec == "mp3"


async def test_packets_are_read_from_a_keyframe_up_to_the_first_that_is_enough(plain: Path):
    found, is_whole = await packets(
        str(plain), "mov", program=made.FFPROBE, limits=LIMITS, since=3.0, enough=lambda p: p.stream == 0 and (p.time or 0) > 3.5
    )
    video = [p for p in found if p.stream == 0]
    assert video[0].is_key
    assert video[0].time == pytest.approx(60 * 1001 / 30000, abs=1e-5)
    assert video[-1].time == max(p.time or 0 for p in video)
    assert not is_whole


async def test_packets_that_are_never_enough_are_all_of_them(plain: Path):
    found, is_whole = await packets(str(plain), "mov", program=made.FFPROBE, limits=LIMITS, since=None, enough=lambda _: False)
    assert len([p for p in found if p.stream == 0]) == 120
    assert is_whole


@pytest.mark.parametrize("content", [b"", b"no video at all", b"\x00" * 5000, b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n"])
async def test_a_file_that_is_no_video_is_unreadable(tmp_path: Path, content: bytes):
    (tmp_path / "junk.mp4").write_bytes(content)
    with pytest.raises(Failure) as refused:
        await probed(tmp_path / "junk.mp4", "mov")
    assert refused.value.code is Code.SOURCE_UNREADABLE
    assert str(tmp_path) not in refused.value.message


async def test_a_playlist_dressed_as_video_opens_no_other_file(plain: Path, tmp_path: Path):
    made.remuxed(plain, tmp_path / "secret.ts")
    (tmp_path / "list.mp4").write_text("#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:4,\nsecret.ts\n#EXT-X-ENDLIST\n")
    for demuxer in sorted(DEMUXERS):
        with pytest.raises(Failure) as refused:
            await probed(tmp_path / "list.mp4", demuxer)
        assert refused.value.code is Code.SOURCE_UNREADABLE


@pytest.mark.parametrize("demuxer", ["hls", "concat", "mov,hls", "lavfi", "image2", ""])
def test_formats_that_lead_elsewhere_are_refused(demuxer: str):
    with pytest.raises(Failure):
        probe_command("ffprobe", "in.mp4", demuxer)


def test_the_whole_command_is_guarded():
    guards = "-protocol_whitelist http,tcp -format_whitelist mov -max_pixels 33177600 -max_streams 64 -f mov"
    assert " ".join(packets_command("ffprobe", "http://127.0.0.1:9/token", "mov", 2.5)) == (
        f"ffprobe -hide_banner -v error {guards} -show_entries packet=stream_index,pts_time,dts_time,duration_time,flags "
        "-read_intervals 2.500000% -of csv=p=0 -i http://127.0.0.1:9/token"
    )
    assert "-protocol_whitelist file" in " ".join(probe_command("ffprobe", "/scratch/in", "mov"))
    assert "-protocol_whitelist file" in " ".join(probe_command("ffprobe", "http://169.254.169.254/", "mov"))


def test_numbers_that_are_none_are_left_out():
    claims = {"start_time": "N/A", "duration": "nan"}
    streams = [
        {"index": 0, "codec_type": "video", "width": 64, "height": "48", "avg_frame_rate": "0/0", "time_base": "1/0", "duration": "1e400"}
    ]
    found = media(msgspec.json.encode({"format": claims, "streams": streams}), "mov")
    assert (found.start_time, found.duration) == (0.0, None)
    assert found.video
    assert (found.video.codec, found.video.height, found.video.frame_rate) == ("unknown", 48, 0.0)


def test_too_many_streams_are_refused():
    with pytest.raises(Failure):
        media(msgspec.json.encode({"streams": [{"codec_type": "audio", "channels": 1}] * 65}), "mov")


def test_a_picture_of_no_size_does_not_pass_as_sound_alone():
    sound = {"index": 1, "codec_type": "audio", "channels": 2}
    oversized = {"index": 0, "codec_type": "video", "width": 0, "height": 0}
    cover = {**oversized, "disposition": {"attached_pic": 1}}
    with pytest.raises(Failure) as refused:
        media(msgspec.json.encode({"streams": [oversized, sound]}), "mov")
    assert refused.value.code is Code.SOURCE_UNREADABLE
    assert media(msgspec.json.encode({"streams": [cover, sound]}), "mov").video is None


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=10,
)
names = ["index", "codec_type", "codec_name", "width", "height", "time_base", "avg_frame_rate", "sample_rate", "channels", "disposition"]
claimed = st.sampled_from(["video", "audio", "1/0", "-1", "N/A", "99999999999999999999", "7"])
streams = st.lists(st.dictionaries(st.sampled_from(names), json | claimed), max_size=4)


@given(st.fixed_dictionaries({"format": json, "streams": streams | json}))
def test_whatever_is_claimed_gives_media_or_a_refusal(document: object):
    found = media_or_refusal(msgspec.json.encode(document))
    if isinstance(found, Failure):
        assert found.code is Code.SOURCE_UNREADABLE
        return
    assert found.video or found.audio
    assert found.start_time >= 0
    assert found.duration is None or 0 < found.duration < 1e9


def media_or_refusal(document: bytes) -> Media | Failure:
    try:
        return media(document, "mov")
    except Failure as refused:
        return refused


def test_a_packet_line_of_either_ffmpeg_is_understood():
    packet = Packet(0, 4.0, 3.933333, 0.033333, is_key=True)
    assert packet_of("0,4.000000,3.933333,0.033333,K_") == packet_of("0,4.000000,3.933333,0.033333,K__,") == packet
    assert packet_of("0,N/A,N/A,N/A,_D_") == Packet(0, None, None, 0.0, is_key=False, is_hidden=True)


@given(st.text(max_size=60))
def test_a_line_is_a_packet_or_nothing(line: str):
    packet = packet_of(line)
    assert packet is None or packet.duration >= 0
