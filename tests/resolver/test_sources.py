"""What a source may be, without S3 or ffprobe: real heads of files and hostile ones, and the caps at their edges."""

from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.domain.failures import Code, Failure
from libs.common.domain.values import VideoTrack
from libs.common.runtime.media import DEMUXERS
from services.resolver.mpeg_audio import frame_size
from services.resolver.sources import (
    END_GRACE_SECONDS,
    HEAD_BYTES,
    MAX_PIXELS,
    Caps,
    Container,
    check_picture,
    check_size,
    check_times,
    container_of,
    is_upload_key,
    source_key,
    tag_size,
)
from tests.resolver.recordings import RECORDINGS, Recording, image, recorded

CAPS = Caps(max_bytes=1000, max_seconds=60, min_clip_seconds=0.5)
JOB = UUID(int=7)


@pytest.mark.parametrize("recording", RECORDINGS, ids=lambda recording: recording.name)
def test_a_container_is_told_by_its_first_bytes(recording: Recording, folder: Path) -> None:
    body = recorded(recording, folder).read_bytes()
    tag = tag_size(body)
    assert container_of(body[tag : tag + HEAD_BYTES]) == Container(recording.demuxer, recording.extension)


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"\0\0\0\x08wide\0\0\0\x10mdat", Container("mov", "mov")),
        (b"\0\0\0\x20moov\0\0\0\x18mvhd", Container("mov", "mov")),
        (b"\0\0\0\x18ftyp3gp5\0\0\0\0", Container("mov", "mp4")),
        (b"\xab" * 100 + (b"G" + b"\0" * 187) * 9, Container("mpegts", "ts")),
        ((b"G" + b"\0" * 203) * 9, Container("mpegts", "ts")),
    ],
    ids=["old-quicktime", "index-first", "phone", "broadcast-joined-late", "checksummed-packets"],
)
def test_a_rarer_head_is_known_too(head: bytes, expected: Container) -> None:
    assert container_of(head) == expected


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"no video at all",
        "\ufeffText in UTF-8".encode(),
        "\ufeffText in UTF-16".encode("utf-16-le"),
        b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nhttp://169.254.169.254/\n",
        b"ffconcat version 1.0\nfile '/etc/passwd'\n",
        b"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\nm=video 5004 RTP/AVP 96\r\n",
        b'<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static">',
        b"[playlist]\nFile1=http://127.0.0.1/\n",
        b"WEBVTT\n\n00:00.000 --> 00:01.000\nHello\n",
        b"%PDF-1.7\n",
        b"PK\x03\x04\x14\0",
        b"\x7fELF\x02\x01\x01\0",
        b"MZ\x90\0\x03\0",
        b"\x1f\x8b\x08\0",
        b"GIF89a",
        b"RIFF\x24\0\0\0WEBPVP8 ",
        b"\0\0\0\x0cjP  \r\n\x87\n",
        b"\0\0\0\x0cJXL \r\n\x87\n",
        b"\xff\x0a\0\0",
        b"GIF87a" + b"G" * 180,
        (b"G" + b"\0" * 187) * 8,
        b"ID3\4\0\0\0\0\x7f\x7f",
        b"\xff\xfb\x90\0" + b"\0" * 4000,
        b"\xff\xfb\x90\0" + b"\0" * 413 + b"\xff\xf3\x90\0",
        b"\0" * HEAD_BYTES,
        *(b"\0\0\0\x18ftyp" + brand + b"\0\0\0\0" for brand in (b"avif", b"avis", b"heic", b"heix", b"hevc", b"hevm", b"mif1", b"crx ")),
    ],
)
def test_what_is_no_video_or_audio_has_no_container(head: bytes) -> None:
    assert container_of(head) is None


@pytest.mark.parametrize(
    ("name", "options"), [("still.png", ()), ("still.jpg", ()), ("still.avif", ("-c:v", "libaom-av1", "-cpu-used", "8"))]
)
def test_an_image_has_no_container(name: str, options: tuple[str, ...], tmp_path: Path) -> None:
    assert container_of(image(tmp_path / name, *options).read_bytes()[:HEAD_BYTES]) is None


magic = [
    b"ID3\4\0\0",
    b"\0\0\0\x18ftyp",
    b"\x1a\x45\xdf\xa3",
    b"RIFF\0\0\0\0",
    b"RF64\0\0\0\0WAVE",
    b"\xff\xf1",
    b"\xff\xfb",
    b"G",
    b"OggS",
    b"#EXT",
]


@given(st.sampled_from([b"", *magic]), st.binary(max_size=HEAD_BYTES))
def test_whatever_the_bytes_only_a_format_that_we_read_is_told(beginning: bytes, rest: bytes) -> None:
    container = container_of(beginning + rest)
    assert container is None or container.demuxer in DEMUXERS
    assert container is None or container.extension.isalnum()


@given(st.text(st.characters(codec="ascii", exclude_characters="\0"), max_size=HEAD_BYTES))
def test_text_is_never_a_format_that_names_other_files(text: str) -> None:
    container = container_of(b"#EXTM3U\n" + text.encode())
    assert container is None or container.demuxer == "mpegts"


@pytest.mark.parametrize(
    ("head", "size"),
    [
        (b"", 0),
        (b"fLaC", 0),
        (b"ID3\4\0\0\0\0\0\0", 10),
        (b"ID3\4\0\x10\0\0\0\0", 20),
        (b"ID3\3\0\0\0\0\x01\x00", 138),
        (b"ID3\4\0\0\x7f\x7f\x7f\x7f", 10 + (1 << 28) - 1),
        (b"ID3\4\0\0\x80\0\0\0", 0),
        (b"ID3\4\0", 0),
    ],
)
def test_a_tag_is_as_long_as_it_says(head: bytes, size: int) -> None:
    assert tag_size(head) == size


@pytest.mark.parametrize(
    ("header", "size"),
    [
        ("fffb9000", 417),
        ("fffb9200", 418),
        ("fffd9000", 522),
        ("fff39000", 261),
        ("ffe31000", 52),
        ("ffe3a8c4", 864),
        ("fffb0000", 0),
        ("fffbf000", 0),
        ("fffb9c00", 0),
        ("ffeb9000", 0),
        ("ffff9000", 0),
        ("ff1b9000", 0),
        ("fffb90", 0),
    ],
    ids=[
        "128-kbps",
        "padded",
        "layer-II-160-kbps",
        "mpeg-2-80-kbps",
        "mpeg-2.5-8-kbps",
        "mpeg-2.5-96-kbps-at-8-kHz",
        "free-bit-rate",
        "no-such-bit-rate",
        "no-such-sample-rate",
        "no-such-version",
        "layer-I",
        "no-sync",
        "cut-off",
    ],
)
def test_a_frame_is_as_long_as_its_header_says(header: str, size: int) -> None:
    assert frame_size(bytes.fromhex(header)) == size


def test_every_recording_s_format_is_one_that_ffmpeg_is_allowed() -> None:
    assert {recording.demuxer for recording in RECORDINGS} == DEMUXERS


@pytest.mark.parametrize("key", ["uploads/u/file.mp4", "uploads/0b1c-2/a", "uploads/u/f..mp4", f"uploads/{JOB}/{'n' * 256}"])
def test_an_upload_s_key_is_taken(key: str) -> None:
    assert is_upload_key(key)


@pytest.mark.parametrize(
    "key",
    [
        "",
        "uploads/",
        "uploads/u",
        "uploads//file.mp4",
        "uploads/u/",
        "uploads/u/v/file.mp4",
        "uploads/../sources/j/source.mp4",
        "uploads/u/../file.mp4",
        "uploads/u/..",
        "uploads/u/.hidden",
        "uploads/u/file.mp4\n",
        "uploads/u\n/file.mp4",
        "uploads/u/file.mp4\0",
        "uploads/u/f%2e%2e.mp4",
        "uploads/u/film\u00e9.mp4",
        "/uploads/u/file.mp4",
        "Uploads/u/file.mp4",
        f"sources/{JOB}/source.mp4",
        f"results/{JOB}/clip.mp4",
        f"uploads/u/{'n' * 257}",
    ],
)
def test_any_other_key_is_refused(key: str) -> None:
    assert not is_upload_key(key)


def test_what_is_fetched_lies_with_its_job() -> None:
    assert source_key(JOB, "webm") == f"sources/{JOB}/source.webm"
    assert source_key(JOB, "mp4", 2) == f"sources/{JOB}/source-2.mp4"


@pytest.mark.parametrize(("size", "code"), [(1, None), (1000, None), (1001, Code.INPUT_TOO_LARGE), (0, Code.SOURCE_UNREADABLE)])
def test_a_size_is_held_against_the_cap(size: int, code: Code | None) -> None:
    assert refusal(check_size, size, CAPS) is code


@pytest.mark.parametrize(
    ("width", "height", "code"),
    [
        (7680, 4320, None),
        (4320, 7680, None),
        (MAX_PIXELS, 1, None),
        (7681, 4320, Code.INPUT_TOO_LARGE),
        (1 << 31, 1 << 31, Code.INPUT_TOO_LARGE),
    ],
)
def test_a_picture_is_held_against_the_cap(width: int, height: int, code: Code | None) -> None:
    assert refusal(check_picture, VideoTrack(codec="h264", width=width, height=height, frame_rate=25)) is code


def test_a_source_without_picture_has_none_to_check() -> None:
    assert refusal(check_picture, None) is None


@pytest.mark.parametrize(
    ("start", "end", "duration", "code"),
    [
        (0, 60, 60, None),
        (0, 1, 60.001, Code.INPUT_TOO_LARGE),
        (1, 40 + END_GRACE_SECONDS, 40, None),
        (1, 40.001 + END_GRACE_SECONDS, 40, Code.RANGE_OUTSIDE_SOURCE),
        (39.5, 40.5, 40, None),
        (39.501, 40.1, 40, Code.RANGE_OUTSIDE_SOURCE),
        (40, 40.5, 40, Code.RANGE_OUTSIDE_SOURCE),
        (39.9, 40, 40, None),
        (50, 52, 40, Code.RANGE_OUTSIDE_SOURCE),
    ],
    ids=[
        "all-of-the-longest",
        "too-long",
        "end-at-the-edge-of-the-grace",
        "end-past-the-grace",
        "inside-just-long-enough",
        "inside-too-little",
        "starts-at-the-end",
        "ends-at-the-end-length-is-not-our-business",
        "all-outside",
    ],
)
def test_a_range_is_held_against_the_duration(start: float, end: float, duration: float, code: Code | None) -> None:
    assert refusal(check_times, start, end, duration, CAPS) is code


def refusal(check: Callable[..., None], *values: object) -> Code | None:
    try:
        check(*values)
    except Failure as failure:
        return failure.code
    return None
