"""The system's benchmark: what it reads from jobs, files and processes, and one job through the whole stack."""

import subprocess
import sys
from asyncio.subprocess import PIPE, create_subprocess_exec
from collections.abc import AsyncIterator
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import pytest

from bench import sources
from bench.cutting.cuts import Cut, Index, at_keyframes, index_of
from bench.system import demo
from bench.system.burning import bare_encode, undrawn
from bench.system.client import Ran, Told, cues, pictures, run, wrong
from bench.system.memory import mark, reset
from bench.system.queued import Kind, Load
from bench.system.readiness import NeverReady, seconds_to_ready
from bench.system.talk import Talk, each_once
from clipstream import AsyncClipstream
from clipstream.models import Upload
from libs.common.runtime.media import Media, VideoStream
from libs.common.runtime.settings import load
from services.clipper.ffmpeg_plan import Encoding, burn_command
from services.clipper.settings import ClipperSettings
from tests.whole_stack import System

HELD = 64 << 20
HOLDER = f"held = b'x' * {HELD}\nprint('there', flush=True)\ninput()\ndel held\nprint('gone', flush=True)\ninput()"
STREAM = VideoStream(index=0, time_base=Fraction(1, 15360), pixel_format="yuv420p", rotation=0)
MEDIA = Media(container="mov", start_time=0, duration=30, video=None, audio=None, video_stream=STREAM, audio_index=1, streams=2)
SRT = "1\n00:00:00,500 --> 00:00:01,500\nHello\n\n2\n01:02:03,004 --> 01:02:04,000\nYou\n"


class Cuttable(NamedTuple):
    """Four seconds of small numbered pictures, uploaded."""

    client: AsyncClipstream
    source: Upload
    index: Index

    @property
    def cut(self) -> Cut:
        return at_keyframes(self.index, 1, seed=1, frames=60)[0]


@pytest.fixture(scope="module")
async def cuttable(tmp_path_factory: pytest.TempPathFactory, system: System) -> AsyncIterator[Cuttable]:
    sources.CACHE = tmp_path_factory.mktemp("sources")
    source = sources.Source(180, 60, 6)
    await sources.make([source])
    async with AsyncClipstream(system.stack.url) as client:
        yield Cuttable(client, await client.upload(source.path, resume=False), await index_of(source))


async def test_a_job_is_followed_from_its_request_to_its_end(cuttable: Cuttable, tmp_path: Path) -> None:
    ran = await run(cuttable.client, cuttable.source, cuttable.cut)
    assert ran.is_done
    assert 0 < ran.until_begun < ran.seconds
    assert 0 < ran.last_hop < ran.seconds
    assert [told.type for told in ran.told][-1] == "clip.uploaded"
    assert await wrong(cuttable.client, ran, tmp_path, is_decoded=True) == []


async def test_a_clip_of_other_pictures_is_told(cuttable: Cuttable, tmp_path: Path) -> None:
    ran = await run(cuttable.client, cuttable.source, cuttable.cut)
    one_more = replace(ran, cut=replace(ran.cut, frames=61))
    assert await wrong(cuttable.client, one_more, tmp_path, is_decoded=False) == [f"job {ran.job_id}: not 61 pictures"]
    later = replace(ran, cut=replace(ran.cut, first=ran.cut.first + 1))
    [fault] = await wrong(cuttable.client, later, tmp_path, is_decoded=True)
    assert fault.startswith("60 pictures from ")


async def test_a_job_that_failed_is_told(cuttable: Cuttable, tmp_path: Path) -> None:
    ran = await run(cuttable.client, cuttable.source, replace(cuttable.cut, start=100.0, end=102.0))
    assert await wrong(cuttable.client, ran, tmp_path, is_decoded=True) == [f"job {ran.job_id} is failed"]


async def test_a_talk_without_cues_is_told_and_beeps_need_none(cuttable: Cuttable, tmp_path: Path) -> None:
    ran = await run(cuttable.client, cuttable.source, cuttable.cut, with_subtitles=True)
    assert await wrong(cuttable.client, ran, tmp_path, is_decoded=False) == []
    spoken = replace(ran, cut=replace(ran.cut, source=Talk(180, 60, 6)))
    assert await wrong(cuttable.client, spoken, tmp_path, is_decoded=False) == [f"job {ran.job_id}: no cue"]


def test_times_of_a_job_are_the_client_s_but_for_the_first_stage_s_start(made_up: Cut) -> None:
    told = (
        Told("clips.requested", 10.1, 10.2, "queued"),
        Told("stage.started", 10.4, 10.9, "processing"),
        Told("clip.uploaded", 12, 12.25, "done"),
    )
    ran = Ran("id", made_up, 10.0, told)
    assert (ran.seconds, round(ran.until_begun, 6), ran.last_hop, ran.is_done) == (2.25, 0.4, 0.25, True)


def test_the_figure_of_a_load_is_its_slowest_but_one_in_twenty(made_up: Cut) -> None:
    jobs = [Ran("id", made_up, 0.0, (Told("clip.uploaded", n, n, "done"),)) for n in range(1, 21)]
    assert Load(jobs, 0.0, ()).p95 == 19
    assert Kind("", iter(())).options == {}


@pytest.fixture
def made_up() -> Cut:
    return Cut(sources.Source(180, 60, 6), 0, 60, 0.0, 2.0, 0.0)


def test_cues_are_read_with_their_times() -> None:
    assert cues(SRT) == [(0.5, 1.5), (3723.004, 3724.0)]
    assert cues("") == []


async def test_pictures_are_counted_by_the_index_and_what_is_no_movie_has_none(tmp_path: Path) -> None:
    movie = _movie(tmp_path / "movie.mp4", "null")
    assert await pictures(str(movie)) == 50
    other = tmp_path / "other.mp4"
    other.write_text("no movie")
    assert await pictures(str(other)) == 0


async def test_a_burned_clip_without_letters_is_told(tmp_path: Path) -> None:
    clip, srt = _movie(tmp_path / "clip.mp4", "null"), tmp_path / "clip.srt"
    lettered = _movie(tmp_path / "lettered.mp4", "drawbox=x=60:y=150:w=60:h=10:color=white:t=fill")
    srt.write_text(SRT)
    assert await undrawn(clip, lettered, srt) == []
    assert await undrawn(clip, clip, srt) == ["nothing is drawn at 1.00 s"]
    srt.write_text("")
    assert await undrawn(clip, lettered, srt) == ["no cue"]


def _movie(path: Path, picture: str) -> Path:
    source = f"-f lavfi -i color=black:size=320x180:rate=25:duration=2 -vf {picture} -c:v libx264"
    subprocess.run(["ffmpeg", "-v", "error", "-y", *source.split(), str(path)], check=True)
    return path


def test_the_bare_encode_is_the_burner_s_less_its_letters(servers: dict[str, str]) -> None:
    settings = load(ClipperSettings, servers)
    encoding = Encoding(settings.ffmpeg_bin, settings.subtitle_crf, settings.encoder_threads)
    burner = set(pairwise(burn_command(12800, encoding, has_audio=True)))
    wanted = ("-c:v", "-preset", "-crf", "-pix_fmt", "-threads", "-c:a")
    bare = [pair for pair in pairwise(bare_encode(Path("in"), Path("out"), settings)) if pair[0] in wanted]
    assert {option for option, _ in bare} == set(wanted)
    assert set(bare) <= burner


async def test_a_mark_is_the_most_that_was_held_since_the_last_reset() -> None:
    process = await create_subprocess_exec(sys.executable, "-c", HOLDER, stdin=PIPE, stdout=PIPE)
    assert process.stdin
    assert process.stdout
    await process.stdout.readline()
    assert mark(process.pid) > HELD
    process.stdin.write(b"\n")
    await process.stdout.readline()
    assert mark(process.pid) > HELD
    reset(process.pid)
    assert 0 < mark(process.pid) < HELD
    process.stdin.close()
    await process.wait()


async def test_a_service_is_timed_to_its_readiness_and_one_that_ends_is_told(system: System, tmp_path: Path) -> None:
    environ, log = dict(system.stack.environ), tmp_path / "log"
    assert 0.1 < await seconds_to_ready("janitor", environ, log) < 60
    with pytest.raises(NeverReady, match="janitor ended with"):
        await seconds_to_ready("janitor", {**environ, "DATABASE_URL": ""}, log)
    assert "DATABASE_URL" in log.read_text()


def test_the_demo_runs_as_in_a_user_s_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in demo.OURS:
        monkeypatch.setenv(name, "ours")
    monkeypatch.setenv("PATH", f"{demo.ROOT}/.venv/bin:/usr/bin")
    environ = demo.environment()
    assert not set(demo.OURS) & environ.keys()
    assert environ["PATH"] == "/usr/bin"


async def test_no_range_is_drawn_twice_and_none_is_left_out(cuttable: Cuttable) -> None:
    frames = cuttable.index.source.pictures
    drawn = each_once(cuttable.index, seed=1, frames=60)
    assert sorted(cut.first for cut in drawn) == list(range(0, frames - 60, 60))
