"""Sample entries of real files say what ffprobe says, and survive having a part replaced."""

import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.clipper.mp4.boxes import NotUnderstood, box
from services.clipper.mp4.descriptors import AudioConfiguration, audio_configuration, decoder_description
from services.clipper.mp4.sample_entry import AudioEntry, audio_of, configuration, fourcc, plain_audio, with_configuration
from tests import media
from tests.clipper.mp4.files import movie_of


def entry_of(path: Path) -> bytes:
    (entry,) = movie_of(path).tracks[0].entries
    return entry


def sound(path: Path, *options: str) -> bytes:
    return entry_of(media.make(path, video=None, audio=options, seconds=0.5))


SOUNDS = {
    "AAC in MP4": ("a.mp4", ("-c:a", "aac"), AudioEntry(codec="aac", object_type=2, sample_rate=48_000, channels=1)),
    "AAC in MOV": ("a.mov", ("-c:a", "aac", "-ac", "2"), AudioEntry(codec="aac", object_type=2, sample_rate=48_000, channels=2)),
    "5.1 AAC": ("a.mp4", ("-c:a", "aac", "-ac", "6"), AudioEntry(codec="aac", object_type=2, sample_rate=48_000, channels=6)),
    "AAC at 96 kHz": ("a.mp4", ("-c:a", "aac", "-ar", "96000"), AudioEntry(codec="aac", object_type=2, sample_rate=96_000, channels=1)),
    "MP3 in MP4": (
        "a.mp4",
        ("-c:a", "libmp3lame", "-ar", "44100"),
        AudioEntry(codec="mp3", object_type=None, sample_rate=44_100, channels=2),
    ),
    "MP3 in MOV": ("a.mov", ("-c:a", "libmp3lame"), AudioEntry(codec="mp3", object_type=None, sample_rate=48_000, channels=1)),
    "AC-3": ("a.mp4", ("-c:a", "ac3", "-ac", "2"), AudioEntry(codec="ac3", object_type=None, sample_rate=48_000, channels=2)),
    "Opus": ("a.mp4", ("-c:a", "libopus"), AudioEntry(codec="opus", object_type=None, sample_rate=48_000, channels=1)),
    "16 bits": ("a.mov", ("-c:a", "pcm_s16le"), AudioEntry(codec="pcm", object_type=None, sample_rate=48_000, channels=1)),
    "32 bits": ("a.mov", ("-c:a", "pcm_f32le", "-ac", "2"), AudioEntry(codec="pcm", object_type=None, sample_rate=48_000, channels=2)),
    "many bits at 192 kHz": (
        "a.mov",
        ("-c:a", "pcm_s24le", "-ar", "192000"),
        AudioEntry(codec="pcm", object_type=None, sample_rate=192_000, channels=1),
    ),
}


@pytest.mark.parametrize("kind", SOUNDS)
def test_the_sound_is_told_from_its_entry(kind: str, tmp_path: Path) -> None:
    name, options, told = SOUNDS[kind]
    assert audio_of(sound(tmp_path / name, *options)) == told


def test_pictures_and_unknown_sounds_are_no_sound(tmp_path: Path) -> None:
    picture = entry_of(media.make(tmp_path / "a.mp4", frames=2, audio=None))
    assert audio_of(picture) is None
    assert audio_of(box(b"what", bytes(28))) is None


def test_quicktimes_aac_entry_becomes_that_of_mp4(tmp_path: Path) -> None:
    plain, quicktime = sound(tmp_path / "a.mp4", "-c:a", "aac", "-ac", "2"), sound(tmp_path / "a.mov", "-c:a", "aac", "-ac", "2")
    assert b"wave" in quicktime
    assert plain_audio(quicktime)[4:36] == plain[4:36]
    assert configuration(plain_audio(quicktime), b"esds") == configuration(quicktime, b"esds")
    assert plain_audio(plain_audio(quicktime)) == plain_audio(quicktime)
    assert b"wave" not in plain_audio(quicktime)


def test_only_an_mpeg4_entry_can_be_made_plain(tmp_path: Path) -> None:
    with pytest.raises(NotUnderstood):
        plain_audio(sound(tmp_path / "a.mp4", "-c:a", "ac3"))


@pytest.mark.parametrize(
    ("video", "kind", "box_kind"),
    [
        (media.gop(30), b"avc1", b"avcC"),
        (("-c:v", "libx265", "-preset", "ultrafast", "-tag:v", "hvc1", "-x265-params", "log-level=none"), b"hvc1", b"hvcC"),
        (("-c:v", "libvpx-vp9", "-deadline", "realtime"), b"vp09", b"vpcC"),
    ],
)
def test_a_decoders_configuration_is_read_and_replaced(video: tuple[str, ...], kind: bytes, box_kind: bytes, tmp_path: Path) -> None:
    entry = entry_of(media.make(tmp_path / "a.mp4", frames=2, video=video, audio=None, after=("-color_primaries", "bt709")))
    before = configuration(entry, box_kind)
    assert fourcc(entry) == kind
    assert before is not None
    changed = with_configuration(entry, box_kind, before + b"more")
    assert configuration(changed, box_kind) == before + b"more"
    assert len(changed) == len(entry) + 4 == struct.unpack(">I", changed[:4])[0]
    assert with_configuration(changed, box_kind, before) == entry


def test_a_configuration_that_is_not_there_is_none_and_can_not_be_replaced(tmp_path: Path) -> None:
    entry = entry_of(media.make(tmp_path / "a.mp4", frames=2, audio=None))
    assert configuration(entry, b"hvcC") is None
    with pytest.raises(NotUnderstood):
        with_configuration(entry, b"hvcC", b"")


@pytest.mark.parametrize(
    ("specific", "told"),
    [
        ("1190", AudioConfiguration(2, 48_000, 2)),
        ("1210", AudioConfiguration(2, 44_100, 2)),
        ("2b92080000", AudioConfiguration(5, 44_100, 2)),
        ("eb098800", AudioConfiguration(29, 48_000, 1)),
        ("f94f8012", None),
    ],
)
def test_aac_configurations_are_read(specific: str, told: AudioConfiguration | None) -> None:
    if told is not None:
        assert audio_configuration(bytes.fromhex(specific)) == told
    else:
        assert audio_configuration(bytes.fromhex(specific)).object_type == 32 + 10


@given(data=st.binary(max_size=80))
def test_broken_descriptions_are_not_understood_and_nothing_else(data: bytes) -> None:
    for read in (audio_of, decoder_description, audio_configuration, plain_audio):
        for broken in (data, box(b"mp4a", data), box(b"mp4a", bytes(28), box(b"esds", bytes(4), data)), b"\x03\x19\0\0\0\x04\x11" + data):
            try:
                read(broken)
            except NotUnderstood:
                continue
