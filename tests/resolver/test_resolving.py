"""The resolver on real S3 with real ffprobe: what becomes of a good upload, of a bad one, and of one that changes meanwhile."""

import asyncio
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from libs.common.domain.failures import Code, Failure
from libs.common.domain.values import Segment
from libs.common.runtime.embedded import LocalServers
from tests.media import FFPROBE
from tests.resolver.recordings import H264, RECORDINGS, SECONDS, Recording, image, made, recorded
from tests.resolver.running import Resolving

MIB = 1 << 20


@pytest.mark.parametrize("recording", RECORDINGS, ids=lambda recording: recording.name)
async def test_a_recording_becomes_a_source(recording: Recording, folder: Path, resolving: Resolving) -> None:
    body = recorded(recording, folder).read_bytes()
    key = await resolving.uploaded(body)
    source = await resolving.resolve(key)
    assert source.duration == pytest.approx(SECONDS, abs=0.1)
    assert (source.container, source.size) == (recording.demuxer, len(body))
    assert (source.video and source.video.codec, source.audio and source.audio.codec) == (recording.video, recording.audio)
    assert source.source_key == key
    assert await resolving.own_files() == []


async def test_the_tracks_are_described(resolving: Resolving, plain: bytes) -> None:
    source = await resolving.resolve(await resolving.uploaded(plain))
    assert source.video
    assert (source.video.width, source.video.height, source.video.frame_rate) == (64, 48, 25)
    assert source.audio
    assert (source.audio.sample_rate, source.audio.channels) == (44100, 1)


@pytest.mark.parametrize("name", ["bare.mp3", "quiet.aac", "plain.flac"])
async def test_a_recording_behind_a_long_tag_becomes_a_source(resolving: Resolving, folder: Path, name: str) -> None:
    recording = next(r for r in RECORDINGS if r.name == name)
    tagged = b"ID3\4\0\0\0\1\0\0" + b"\0" * (1 << 14) + recorded(recording, folder).read_bytes()
    source = await resolving.resolve(await resolving.uploaded(tagged))
    assert source.container == recording.demuxer
    assert source.duration == pytest.approx(SECONDS, abs=0.1)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"Dear sir or madam\n" * 300,
        b"ffconcat version 1.0\nfile 'source.mp4'\n",
        b"\0\0\0\x18ftypisom\0\0\0\0isom" + b"\0" * 5000,
        b"\x1a\x45\xdf\xa3" + b"\xff" * 5000,
        b"RIFF\xff\xff\xff\xffAVI " + b"\0" * 5000,
        b"RIFF\x24\0\0\0WAVEfmt ",
        b"ID3\4\0\0\0\0\x7f\x7f" + b"\0" * MIB,
        b"ID3\4\0\0\0\0\x7f\x7f",
        b"\xff\xfb\x90\x00" + b"\0" * MIB,
        (b"G" + b"\0" * 187) * 30,
        b"\xff\xfb\x90\x00",
        b"OggS",
    ],
    ids=[
        "empty",
        "text",
        "ffconcat",
        "mp4",
        "matroska",
        "avi",
        "wav",
        "mp3-then-nothing",
        "mp3-all-tag",
        "mp3-of-one-frame",
        "transport-stream",
        "mp3-of-4-bytes",
        "ogg",
    ],
)
async def test_what_is_no_recording_is_unreadable(resolving: Resolving, body: bytes) -> None:
    refused = await resolving.refusal(await resolving.uploaded(body))
    assert (refused.code, refused.retryable) == (Code.SOURCE_UNREADABLE, False)


async def test_an_image_is_unreadable(resolving: Resolving, tmp_path: Path) -> None:
    refused = await resolving.refusal(await resolving.uploaded(image(tmp_path / "still.png").read_bytes()))
    assert (refused.code, refused.retryable) == (Code.SOURCE_UNREADABLE, False)


async def test_an_mp4_that_lost_its_end_is_unreadable(resolving: Resolving, plain: bytes) -> None:
    assert plain.index(b"mdat") < plain.index(b"moov")
    refused = await resolving.refusal(await resolving.uploaded(plain[: plain.index(b"moov")]))
    assert (refused.code, refused.retryable) == (Code.SOURCE_UNREADABLE, False)


async def test_a_recording_without_a_single_picture_or_tone_is_unreadable(resolving: Resolving, folder: Path) -> None:
    live = recorded(next(r for r in RECORDINGS if r.name == "live.mkv"), folder).read_bytes()
    refused = await resolving.refusal(await resolving.uploaded(live[: live.index(b"\x1f\x43\xb6\x75")]))
    assert (refused.code, refused.retryable) == (Code.SOURCE_UNREADABLE, False)


async def test_an_mp4_whose_pictures_stand_for_a_thousand_hours_is_too_large(resolving: Resolving, tmp_path: Path) -> None:
    slow = made(tmp_path / "slow.mp4", *H264, "-vf", "setpts=N*36000/TB", "-fps_mode", "vfr", "-video_track_timescale", "1000")
    refused = await resolving.refusal(await resolving.uploaded(slow.read_bytes()))
    assert (refused.code, refused.retryable) == (Code.INPUT_TOO_LARGE, False)
    assert "3564000 s" in refused.message


async def test_a_picture_over_the_cap_is_refused(resolving: Resolving, tmp_path: Path) -> None:
    bomb = image(tmp_path / "bomb.mkv", "-c:v", "png", "-pix_fmt", "monob", size="8000x5000").read_bytes()
    refused = await resolving.refusal(await resolving.uploaded(bomb), start=0, end=1)
    assert (refused.code, refused.retryable) == (Code.SOURCE_UNREADABLE, False)


async def test_an_upload_that_is_not_there_is_unreadable(resolving: Resolving) -> None:
    refused = await resolving.refusal("uploads/nobody/file.mp4")
    assert (refused.code, refused.retryable) == (Code.SOURCE_UNREADABLE, False)


async def test_another_job_s_source_is_no_upload(resolving: Resolving, plain: bytes) -> None:
    theirs = "sources/somebody/source.mp4"
    await resolving.bucket.put(theirs, plain, "video/mp4")
    for key in (theirs, f"uploads/../{theirs}", None):
        refused = await resolving.refusal(key)
        assert (refused.code, refused.retryable) == (Code.SOURCE_UNREADABLE, False)


async def test_a_source_by_url_is_switched_off(resolving: Resolving) -> None:
    refused = await resolving.refusal(None, source_type="youtube")
    assert (refused.code, refused.retryable) == (Code.YTDLP_DISABLED, False)


async def test_a_source_of_exactly_the_largest_size_is_taken(resolving: Resolving, plain: bytes) -> None:
    rest = MIB - len(plain)
    whole = plain + rest.to_bytes(4, "big") + b"free" + b"\0" * (rest - 8)
    assert (await resolving.resolve(await resolving.uploaded(whole), MAX_INPUT_MB="1")).size == MIB


async def test_a_source_of_one_byte_more_is_too_large(resolving: Resolving) -> None:
    refused = await resolving.refusal(await resolving.uploaded(b"\0" * (MIB + 1)), MAX_INPUT_MB="1")
    assert (refused.code, refused.retryable) == (Code.INPUT_TOO_LARGE, False)


@pytest.mark.parametrize("name", ["plain.mp4", "live.mkv", "bare.mp3"])
async def test_a_source_that_lasts_too_long_is_too_large(resolving: Resolving, folder: Path, name: str) -> None:
    body = recorded(next(r for r in RECORDINGS if r.name == name), folder).read_bytes()
    refused = await resolving.refusal(await resolving.uploaded(body), MAX_CLIP_INPUT_DURATION_SEC="3")
    assert (refused.code, refused.retryable) == (Code.INPUT_TOO_LARGE, False)


@pytest.mark.parametrize("name", ["plain.mp4", "late.mkv", "late.mp4", "live.mkv", "quiet.aac"])
async def test_a_range_outside_the_source_is_refused(resolving: Resolving, folder: Path, name: str) -> None:
    key = await resolving.uploaded(recorded(next(r for r in RECORDINGS if r.name == name), folder).read_bytes())
    for start, end in ((5, 7), (1, 5), (500, 502)):
        refused = await resolving.refusal(key, start=start, end=end)
        assert (refused.code, refused.retryable) == (Code.RANGE_OUTSIDE_SOURCE, False)


async def test_an_end_within_the_grace_is_accepted(resolving: Resolving, plain: bytes) -> None:
    source = await resolving.resolve(await resolving.uploaded(plain), start=1, end=SECONDS + 0.4)
    assert source.duration < SECONDS + 0.1


async def test_every_range_of_a_joined_clip_is_held_against_the_source(resolving: Resolving, plain: bytes) -> None:
    key = await resolving.uploaded(plain)
    inside, outside = Segment(start=3, end=4), Segment(start=2, end=SECONDS + 1)
    assert (await resolving.resolve(key, start=1, end=4, segments=(inside, Segment(start=1, end=2)))).sections == ()
    refused = await resolving.refusal(key, start=1, end=4, segments=(inside, outside))
    assert (refused.code, "2.000 to 5.000" in refused.message) == (Code.RANGE_OUTSIDE_SOURCE, True)


async def test_resolving_twice_gives_the_same_answer(resolving: Resolving, plain: bytes) -> None:
    key = await resolving.uploaded(plain)
    first, second = await resolving.resolve(key), await resolving.resolve(key)
    assert first == second
    assert await resolving.own_files() == []


async def test_an_upload_that_is_replaced_meanwhile_is_looked_at_anew(resolving: Resolving, plain: bytes) -> None:
    key = await resolving.uploaded(plain)
    resolving.moments.what[0.2] = lambda: resolving.bucket.put(key, other(plain), "video/mp4")
    with pytest.raises(Failure) as raised:
        await resolving.resolve(key)
    assert (raised.value.code, raised.value.outage) == (Code.RETRYABLE_ERROR, None)
    assert await resolving.content(await resolving.resolve(key)) == other(plain)


async def test_an_upload_that_is_deleted_meanwhile_fails_for_good(resolving: Resolving, plain: bytes) -> None:
    key = await resolving.uploaded(plain)
    resolving.moments.what[0.2] = lambda: resolving.bucket.delete([key])
    refused = await resolving.refusal(key)
    assert (refused.code, refused.retryable) == (Code.SOURCE_UNREADABLE, False)


async def test_s3_going_away_is_an_outage_and_no_fault_of_the_file(resolving: Resolving, local: LocalServers, plain: bytes) -> None:
    key = await resolving.uploaded(plain)
    resolving.moments.what[0.2] = local.s3.kill
    try:
        with pytest.raises(Failure) as raised:
            await resolving.resolve(key)
    finally:
        await local.s3.start()
    assert (raised.value.code, raised.value.outage) == (Code.STORAGE_UNAVAILABLE, "s3")
    assert (await resolving.resolve(key)).size == len(plain)


async def test_a_count_of_packets_that_is_killed_is_no_duration(resolving: Resolving, folder: Path, tmp_path: Path) -> None:
    program = tmp_path / "ffprobe"
    counted = f'case "$*" in *packet=*) {FFPROBE} "$@" | head -n 40; kill -9 $$;; esac'
    program.write_text(f'#!/bin/sh\n{counted}\nexec {FFPROBE} "$@"\n')
    program.chmod(0o755)
    key = await resolving.uploaded(recorded(next(r for r in RECORDINGS if r.name == "live.mkv"), folder).read_bytes())
    refused = await resolving.refusal(key, FFPROBE_BIN=str(program))
    assert refused.code is Code.RETRYABLE_ERROR


@dataclass
class Canary:
    """An address that nobody should ask; `visits` counts who did."""

    port: int = 0
    visits: int = 0

    async def visited(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.visits += 1
        writer.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/segment.ts"

    @property
    def playlist(self) -> bytes:
        return f"#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\n{self.url}\n#EXT-X-ENDLIST\n".encode()


@pytest.fixture
async def canary() -> AsyncIterator[Canary]:
    bird = Canary()
    async with await asyncio.start_server(bird.visited, "127.0.0.1", 0) as server:
        bird.port = server.sockets[0].getsockname()[1]
        yield bird


async def test_an_unguarded_ffprobe_would_follow_the_playlist(canary: Canary, tmp_path: Path) -> None:
    path = tmp_path / "list.mp4"
    path.write_bytes(canary.playlist)
    command = [FFPROBE, "-v", "error", "-protocol_whitelist", "file,http,tcp", "-f", "hls", str(path)]
    await asyncio.to_thread(subprocess.run, command, capture_output=True, timeout=20, check=False)
    assert canary.visits > 0


async def test_a_playlist_dressed_as_video_is_not_followed(resolving: Resolving, canary: Canary) -> None:
    refused = await resolving.refusal(await resolving.uploaded(canary.playlist))
    assert (refused.code, refused.retryable, canary.visits) == (Code.SOURCE_UNREADABLE, False, 0)


@pytest.mark.parametrize(
    "document",
    [
        "ffconcat version 1.0\nfile {url}\n",
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><BaseURL>{url}</BaseURL></MPD>',
        "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\na=control:{url}\r\nm=video 0 RTP/AVP 96\r\n",
        "<asx version='3.0'><entry><ref href='{url}'/></entry></asx>",
    ],
    ids=["ffconcat", "dash", "sdp", "asx"],
)
async def test_no_document_that_names_an_address_is_followed(resolving: Resolving, canary: Canary, document: str) -> None:
    refused = await resolving.refusal(await resolving.uploaded(document.format(url=canary.url).encode()))
    assert (refused.code, canary.visits) == (Code.SOURCE_UNREADABLE, 0)


async def test_a_playlist_that_goes_on_as_a_transport_stream_is_read_as_one(resolving: Resolving, folder: Path, canary: Canary) -> None:
    stream = recorded(next(r for r in RECORDINGS if r.name == "plain.ts"), folder).read_bytes()
    source = await resolving.resolve(await resolving.uploaded(canary.playlist + stream, "list.m3u8"))
    assert (source.container, canary.visits) == ("mpegts", 0)


def other(body: bytes) -> bytes:
    """As playable and as long, and yet not the same: ffmpeg's name in the movie's metadata is spelt backwards."""
    changed = body.replace(b"Lavf", b"fvaL")
    assert changed != body
    return changed
