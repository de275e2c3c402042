"""cut_clip on real ffmpeg and real S3: which frames are in the clip, where its sound is, what is taken of the source."""

from pathlib import Path

import pytest

from libs.common.domain.failures import Code, Failure
from tests import media
from tests.clipper.running import Clipper, Cut

PRIMING = 1024 / media.RATE
"""What an AAC encoder puts before the sound; a player that ignores edit lists plays it too."""

FADE = 0.05


def in_step(clip: Cut, expected: list[float]) -> bool:
    """Beeps begin within 20 ms of where they belong, also in players that ignore edit lists.

    What begins with the clip itself does not count: a decoder that starts with a packet fades it in.
    """
    heard = {0.020: media.beeps(clip.path), 0.020 + PRIMING: media.beeps(clip.path, options=("-ignore_editlist", "1"))}
    return all(_match([at for at in found if at > FADE], expected, tolerance) for tolerance, found in heard.items())


def _match(found: list[float], expected: list[float], tolerance: float) -> bool:
    later = [at for at in expected if at > FADE]
    return len(found) == len(later) > 0 and all(abs(f - e) <= tolerance for f, e in zip(found, later, strict=True))


async def test_a_range_that_begins_on_a_keyframe_is_copied(clipper: Clipper, plain: Path):
    clip = await clipper.cut(plain, 4.0, 8.0)
    assert clip.event.cut_path == "copy"
    assert clip.numbers == list(range(120, 240))
    assert (clip.event.actual_start, clip.event.actual_end) == (4.0, 8.0)
    assert clip.event.duration == pytest.approx(4.0, abs=0.02)
    assert in_step(clip, [0, 1, 2, 3])


async def test_a_range_between_keyframes_is_cut_to_the_frame(clipper: Clipper, plain: Path):
    clip = await clipper.cut(plain, 3.1, 6.6)
    assert (clip.event.cut_path, clip.event.cut_reason) == ("smart", "off_keyframe")
    assert clip.numbers == list(range(93, 198))
    assert (clip.event.actual_start, clip.event.actual_end) == (3.1, 6.6)
    assert in_step(clip, [0.9, 1.9, 2.9])


async def test_a_range_off_the_frame_grid_holds_the_frames_inside_it(clipper: Clipper, plain: Path):
    clip = await clipper.cut(plain, 3.117, 5.349)
    assert clip.numbers == list(range(94, 161))
    assert clip.event.actual_start == pytest.approx(94 / 30, abs=1e-5)


async def test_the_whole_source_is_copied(clipper: Clipper, plain: Path):
    clip = await clipper.cut(plain, 0.0, 10.0)
    assert clip.event.cut_path == "copy"
    assert clip.numbers == list(range(300))


async def test_the_end_of_the_source_is_reached(clipper: Clipper, plain: Path):
    clip = await clipper.cut(plain, 9.0, 10.0)
    assert clip.numbers == list(range(270, 300))


async def test_nothing_but_the_first_picture_and_sound_is_taken_over(clipper: Clipper, plain: Path, folder: Path):
    chapters = folder / "chapters.txt"
    chapters.write_text(";FFMETADATA1\ntitle=secret\n[CHAPTER]\nTIMEBASE=1/1\nSTART=0\nEND=9\ntitle=secret\n")
    source = media.remuxed(
        plain, folder / "rich.mkv", "-map_metadata", "1", "-attach", __file__, "-metadata:s:t", "mimetype=text/plain", plus=chapters
    )
    clip = await clipper.cut(source, 3.0, 4.0)
    assert media.told(clip.path, "stream=codec_type") == ["video", "audio"]
    assert media.told(clip.path, "chapter=id") == []
    assert b"secret" not in clip.path.read_bytes()


@pytest.mark.parametrize(("start", "path"), [(4.0, "copy"), (4.5, "smart")])
async def test_transport_streams_count_from_their_own_beginning(clipper: Clipper, plain: Path, folder: Path, start: float, path: str):
    source = media.remuxed(plain, folder / f"{start}.ts", "-output_ts_offset", "5000")
    begins, times = float(media.told(source, "format=start_time")[0]), times_of(source)
    first = next(n for n, pts in enumerate(times) if pts >= begins + start - 0.0005)
    grid = times[120] - begins if path == "copy" else start
    clip = await clipper.cut(source, round(grid, 3), round(grid, 3) + 2.0)
    assert clip.event.cut_path == path
    assert clip.numbers == list(range(120 if path == "copy" else first, (120 if path == "copy" else first) + 60))
    later = times[0] - begins  # the first picture, and so the sound
    sound = [k - clip.event.actual_start + later for k in range(10)]
    assert in_step(clip, [at for at in sound if at < 1.99])


def times_of(source: Path) -> list[float]:
    return sorted(float(pts) for pts in media.told(source, "packet=pts_time", "-select_streams", "v"))


@pytest.mark.parametrize(("suffix", "start", "path"), [("mkv", 4.0, "copy"), ("mkv", 4.7, "smart")])
async def test_matroska_is_cut_like_mp4(clipper: Clipper, folder: Path, suffix: str, start: float, path: str):
    source = media.make(folder / f"plain.{suffix}", audio=("-c:a", "pcm_s16le"))
    clip = await clipper.cut(source, start, start + 2.0)
    assert clip.event.cut_path == path
    assert clip.numbers == list(range(round(start * 30), round(start * 30) + 60))
    assert in_step(clip, [k - start for k in range(10) if start <= k < start + 2])
    assert media.told(clip.path, "stream=codec_name") == ["h264", "aac"]


async def test_a_clock_that_only_counts_frames_is_cut_to_the_frame(clipper: Clipper, folder: Path):
    source = media.make(folder / "frames.avi", rate="25", video=("-c:v", "mpeg4", "-g", "25", "-q:v", "2"), audio=("-c:a", "libmp3lame"))
    clip = await clipper.cut(source, 4.0, 6.0)
    shown_at = dict(zip(media.numbers(source), times_of(source), strict=True))
    assert clip.numbers == [n for n, time in shown_at.items() if 4.0 <= time < 6.0]


async def test_an_open_gop_is_never_copied(clipper: Clipper, folder: Path):
    source = media.make(folder / "open.mp4", video=media.gop(60, bframes=3, more=":open-gop=1:b-adapt=0"))
    clip = await clipper.cut(source, 4.0, 6.0)
    assert clip.event.cut_path == "reencode"
    assert clip.numbers == list(range(120, 180))


async def test_frames_of_ntsc_rate_are_counted_not_timed(clipper: Clipper, folder: Path):
    source = media.make(folder / "ntsc.mp4", rate="30000/1001", video=media.gop(250, bframes=3))
    for first in (100, 250):
        clip = await clipper.cut(source, round(first * 1001 / 30000, 3), round((first + 40) * 1001 / 30000, 3))
        assert clip.numbers == list(range(first, first + 40))


async def test_variable_frame_rates_keep_each_frames_own_time(clipper: Clipper, folder: Path):
    dropped = ("-vf", "select='not(eq(mod(n,7),3))*not(between(n,100,130))'", "-fps_mode", "vfr", "-enc_time_base", "1:90000")
    source = media.make(folder / "vfr.mkv", video=(*media.gop(90), *dropped), audio=("-c:a", "pcm_s16le"))
    clip = await clipper.cut(source, 2.0, 6.0)
    wanted = [n for n in range(300) if n % 7 != 3 and not 100 <= n <= 130 and 2.0 <= n / 30 < 6.0 - 0.02]
    assert clip.numbers == wanted
    times = times_of(clip.path)
    assert all(abs(t - (n - wanted[0]) / 30) < 0.002 for t, n in zip(times, wanted, strict=True))
    assert in_step(clip, [k - wanted[0] / 30 for k in (2, 3, 4, 5)])


async def test_a_range_that_begins_in_a_standstill_shows_its_first_frame_from_the_start(clipper: Clipper, folder: Path):
    still = ("-vf", "select='not(between(n,100,160))'", "-fps_mode", "vfr", "-enc_time_base", "1:90000")
    source = media.make(folder / "still.mkv", video=(*media.gop(60), *still), audio=("-c:a", "pcm_s16le"))
    clip = await clipper.cut(source, 4.0, 7.0)
    assert clip.numbers == list(range(161, 210))
    assert clip.event.actual_start == pytest.approx(4.0)
    assert times_of(clip.path)[:2] == pytest.approx([0.0, 162 / 30 - 4.0], abs=0.002)
    assert in_step(clip, [0, 1, 2])


@pytest.mark.parametrize(("start", "path"), [(2.0, "copy"), (2.5, "smart")])
async def test_a_turned_picture_stays_turned(clipper: Clipper, plain: Path, folder: Path, start: float, path: str):
    source = media.turned(media.remuxed(plain, folder / f"turned-{start}.mp4"))
    clip = await clipper.cut(source, start, start + 2)
    assert clip.event.cut_path == path
    shown = media.told(clip.path, "stream=width,height", "-select_streams", "v")[0]
    matrix = media.told(clip.path, "stream_side_data=rotation")
    assert (shown, matrix) in [("160,96", ["-90"]), ("96,160", [])]


async def test_a_source_without_sound_gives_a_clip_without(clipper: Clipper, folder: Path):
    source = media.make(folder / "silent.mp4", audio=None)
    clip = await clipper.cut(source, 2.0, 4.0)
    assert (clip.event.has_video, clip.event.has_audio) == (True, False)
    assert clip.numbers == list(range(60, 120))


async def test_a_source_without_picture_gives_a_clip_cut_to_the_sample(clipper: Clipper, folder: Path):
    source = media.make(folder / "sound.m4a", video=None, after=("-f", "mp4"))
    clip = await clipper.cut(source, 1.25, 3.75)
    assert (clip.event.has_video, clip.event.has_audio) == (False, True)
    assert clip.event.duration == pytest.approx(2.5, abs=0.005)
    assert in_step(clip, [0.75, 1.75])


async def test_cover_art_is_no_picture(clipper: Clipper, folder: Path):
    cover = media.make(folder / "cover.jpg", frames=1, video=("-c:v", "mjpeg", "-pix_fmt", "yuvj420p"), audio=None)
    sound = media.make(folder / "sound.mp3", video=None, audio=("-c:a", "libmp3lame"))
    source = media.remuxed(sound, folder / "covered.mp3", "-map", "1", "-disposition:v", "attached_pic", plus=cover)
    clip = await clipper.cut(source, 1.5, 3.0, "fast")
    assert media.told(clip.path, "stream=codec_name") == ["mp3"]
    assert in_step(clip, [0.5])


async def test_fast_begins_at_the_keyframe_before_and_says_so(clipper: Clipper, plain: Path):
    clip = await clipper.cut(plain, 3.1, 6.6, "fast")
    assert clip.event.cut_path == "copy"
    assert clip.event.actual_start == 2.0
    assert clip.numbers[0] == 60
    assert clip.numbers == list(range(60, 60 + len(clip.numbers)))
    assert clip.event.actual_end == pytest.approx((clip.numbers[-1] + 1) / 30, abs=1e-4)
    assert 6.6 <= clip.event.actual_end < 6.8
    assert in_step(clip, [0, 1, 2, 3, 4])


async def test_what_mp4_players_do_not_play_is_encoded_even_when_fast(clipper: Clipper, folder: Path):
    vp8 = ("-c:v", "libvpx", "-g", "30", "-deadline", "realtime", "-cpu-used", "8")
    source = media.make(folder / "vp8.webm", frames=60, video=vp8, audio=("-c:a", "libopus"))
    clip = await clipper.cut(source, 1.0, 2.0, "fast")
    assert clip.event.cut_path == "reencode"
    assert media.told(clip.path, "stream=codec_name") == ["h264", "aac"]
    assert clip.numbers == list(range(30, 60))


async def test_several_audio_tracks_give_the_default_one(clipper: Clipper, plain: Path, folder: Path):
    first = media.make(folder / "low.mkv", audio=("-c:a", "aac", "-af", "volume=0"))
    marked = ("-map", "1:a", "-disposition:a:0", "0", "-disposition:a:1", "default")
    source = media.remuxed(first, folder / "two.mkv", *marked, plus=plain)
    clip = await clipper.cut(source, 3.5, 5.5)
    assert in_step(clip, [0.5, 1.5])


async def test_a_range_beyond_the_source_is_refused(clipper: Clipper, plain: Path):
    for start, end in ((9.5, 15.0), (20.0, 25.0)):
        with pytest.raises(Failure) as refused:
            await clipper.cut(plain, start, end)
        assert refused.value.code is Code.RANGE_OUTSIDE_SOURCE


async def test_sound_that_ends_before_the_range_leaves_a_clip_without(clipper: Clipper, folder: Path):
    source = media.make(folder / "short-sound.mp4", audio=("-af", "atrim=end=3", "-c:a", "aac"))
    clip = await clipper.cut(source, 5.0, 7.0)
    assert (clip.event.has_audio, clip.numbers) == (False, list(range(150, 210)))


async def test_progress_rises_and_ends_short_of_one(clipper: Clipper, plain: Path):
    clip = await clipper.cut(plain, 1.0, 9.0)
    assert clip.said == sorted(clip.said)
    assert 0.0 <= clip.said[0] < clip.said[-1] <= 0.9


async def test_a_source_that_is_gone_is_unreadable(clipper: Clipper, plain: Path, monkeypatch: pytest.MonkeyPatch):
    async def stored(self: Clipper, source: Path) -> str:
        return f"sources/gone/{source.name}"

    monkeypatch.setattr(Clipper, "stored", stored)
    with pytest.raises(Failure) as refused:
        await clipper.cut(plain, 1.0, 2.0)
    assert refused.value.code is Code.SOURCE_UNREADABLE


async def test_the_last_picture_of_a_stream_of_uneven_rate_is_there(clipper: Clipper, folder: Path):
    dropped = ("-vf", "select='not(eq(mod(n,7),3))'", "-fps_mode", "vfr", "-enc_time_base", "1:90000")
    source = media.make(folder / "uneven-last.ts", frames=150, video=(*media.gop(45), *dropped))
    clip = await clipper.cut(source, 3.0, 5.0)
    assert clip.numbers == [n for n in range(90, 150) if n % 7 != 3]


async def test_one_pixel_is_made_four(clipper: Clipper, folder: Path):
    dot = ("-f", "lavfi", "-i", "color=red:s=1x1:r=30:d=2,format=yuv444p", "-c:v", "ffv1")
    clip = await clipper.cut(media.converted(folder / "dot.mkv", *dot), 0.5, 1.5)
    assert media.told(clip.path, "stream=width,height,nb_frames") == ["2,2,30"]
